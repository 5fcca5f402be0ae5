//! HTTP from a device through the cloud to HTTPS servers and back.

mod support;

use std::time::Duration;

use cloud::{Cloud, Config, Destinations, EventKind};
use link::bytes::Writer;
use link::channel::ChannelType;
use link::http::{HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};
use relay::Notice;
use support::https::{Https, OpenSsl, resolve};
use support::{Device, MAX_WAIT, Received, TestCloud, config};
use tokio::time::{Instant, timeout};

const RING: u32 = 2560;

/// Milliseconds an exchange is given: the most there is.
const TIMEOUT: u32 = 10_000;

/// A cloud that finds and believes the server.
async fn test_cloud(change: impl FnOnce(&mut Config)) -> TestCloud {
    let directory = tempfile::tempdir().expect("a folder");
    let mut config = config(&directory);
    // Devices of the tests seldom stay to hear the end.
    config.limits.farewell_timeout = Duration::from_millis(300);
    change(&mut config);
    TestCloud { cloud: Cloud::start(config).await.expect("started"), directory }
}

async fn cloud_with(server: &Https) -> TestCloud {
    test_cloud(|config| {
        config.resolve = resolve(server.address);
        config.extra_authorities = vec![server.authority.clone()];
        // The operator's word counts where the destination would be closed otherwise.
        config.destinations = Destinations::public();
    })
    .await
}

fn request(method: &str, url: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut item = vec![0; 4000];
    let mut writer = Writer::new(&mut item);
    writer.str(method.as_bytes());
    writer.str(url.as_bytes());
    writer.varint32(TIMEOUT);
    writer.u8(headers.len() as u8);
    for header in headers {
        writer.str(header.as_bytes());
    }
    let length = writer.finish().expect("fits");
    item.truncate(length);
    [item, body.to_vec()].concat()
}

/// What the application reads.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    result: HttpResult,
    status: u32,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Response {
    fn without(result: HttpResult) -> Self {
        Self { result, status: 0, headers: Vec::new(), body: Vec::new() }
    }
}

async fn ask(device: &mut Device, ring: u32, url: &str) -> u8 {
    let channel = device.open(ChannelType::Http, ring).await;
    device.item(channel, to_cloud::HTTP_REQUEST, &request("GET", url, &["Accept: */*"], b"")).await;
    channel
}

/// The next response and its channel, which is closed then.
async fn response(device: &mut Device) -> Response {
    let Received::Item { channel, kind: to_device::HTTP_RESPONSE, body } = device.next().await else {
        panic!("no response")
    };
    let (head, length) = ResponseHead::decode(&body).expect("a head").expect("whole");
    let mut rest = &body[length..];
    let mut headers = Vec::new();
    for &length in head.header_lengths() {
        let (line, after) = rest.split_at(length as usize);
        headers.push(String::from_utf8(line.to_vec()).expect("text"));
        rest = after;
    }
    device.credit(channel, (body.len() - length) as u32, 1).await;
    device.close(channel).await;
    Response { result: head.result, status: head.status, headers, body: rest.to_vec() }
}

async fn get(device: &mut Device, url: &str) -> Response {
    ask(device, RING, url).await;
    response(device).await
}

/// Shows D60, D62.
#[tokio::test]
async fn a_device_asks_an_https_server_and_those_who_watch_see_it() {
    let server = Https::start(|path| {
        let text = format!("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        Some(text.into_bytes())
    })
    .await;
    let test_cloud = cloud_with(&server).await;
    let mut device = test_cloud.device().await;
    // From here on: a session under way notices that somebody watches.
    let mut events = test_cloud.cloud.events();
    let url = "https://server.example/a?b=c";
    let headers = vec!["x: y".into(), "content-length: 6".into()];
    let expected = Response { result: HttpResult::Ok, status: 200, headers, body: b"/a?b=c".to_vec() };
    assert_eq!(get(&mut device, url).await, expected);
    let mut notices = Vec::new();
    while notices.len() < 4 {
        let event = timeout(MAX_WAIT, events.recv()).await.expect("an event").expect("not behind");
        if let EventKind::Notice(notice) = event.kind {
            notices.push(notice);
        }
    }
    let channel = 1;
    let seen = [
        Notice::ChannelOpened { channel, kind: "http" },
        Notice::HttpRequested { channel, method: "GET", url: url.into() },
        Notice::HttpAnswered { channel, status: 200, length: 6 },
        Notice::ChannelClosed { channel, by_device: true },
    ];
    assert_eq!(notices, seen);
    test_cloud.cloud.stop().await;
}

/// Shows D60.
#[tokio::test]
async fn a_response_of_exactly_the_ring_fits_and_one_byte_more_does_not() {
    let server = Https::start(|path| {
        let length: usize = path[1..].parse().expect("a length");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Some([head.as_bytes(), &vec![b'x'; length]].concat())
    })
    .await;
    let test_cloud = cloud_with(&server).await;
    let mut device = test_cloud.device().await;
    let fits = RING as usize - "content-length: 2540".len();
    let fitting = get(&mut device, &format!("https://server.example/{fits}")).await;
    assert_eq!((fitting.result, fitting.body.len()), (HttpResult::Ok, fits));
    let beyond = get(&mut device, &format!("https://server.example/{}", fits + 1)).await;
    assert_eq!(beyond, Response::without(HttpResult::ResponseTooLarge));
    test_cloud.cloud.stop().await;
}

/// Shows D60, D62.
#[tokio::test]
async fn faults_of_the_request_and_of_the_way_are_results() {
    let server = Https::start(|_| None).await;
    let test_cloud = test_cloud(|config| config.destinations = Destinations::public()).await;
    let mut device = test_cloud.device().await;
    let closed = format!("https://localhost:{}/", server.address.port());
    for (url, result) in [
        ("http://server.example/", HttpResult::UnsupportedScheme),
        ("https://nowhere.invalid/", HttpResult::RequestFailed),
        (&closed, HttpResult::RequestFailed),
        ("https://10.0.0.1/", HttpResult::RequestFailed),
    ] {
        assert_eq!(get(&mut device, url).await, Response::without(result), "{url}");
    }
    assert_eq!(server.open(), 0, "no connection was made");
    for (method, headers, result) in [
        ("BREW", &["a: b"][..], HttpResult::UnsupportedMethod),
        ("GET", &["Host: other.example"], HttpResult::InvalidHeaders),
    ] {
        let channel = device.open(ChannelType::Http, RING).await;
        let item = request(method, "https://server.example/", headers, b"");
        device.item(channel, to_cloud::HTTP_REQUEST, &item).await;
        assert_eq!(response(&mut device).await, Response::without(result));
    }
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn a_channel_that_closes_ends_its_exchange_and_so_does_a_lost_link() {
    let server = Https::start(|_| None).await;
    let test_cloud = cloud_with(&server).await;
    let mut device = test_cloud.device().await;
    let channel = ask(&mut device, RING, "https://server.example/").await;
    server.until_open(1).await;
    let begun = Instant::now();
    device.close(channel).await;
    server.until_open(0).await;
    assert!(begun.elapsed() < Duration::from_millis(u64::from(TIMEOUT) - 1000), "it ran out of time instead");
    for _ in 0..4 {
        ask(&mut device, RING, "https://server.example/").await;
    }
    server.until_open(4).await;
    let begun = Instant::now();
    drop(device);
    server.until_open(0).await;
    assert!(
        begun.elapsed() < Duration::from_millis(u64::from(TIMEOUT) - 1000),
        "they ran out of time instead"
    );
    test_cloud.cloud.stop().await;
}

#[tokio::test]
async fn hundreds_of_exchanges_leave_nothing_behind() {
    let server = Https::start(|_| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())).await;
    let test_cloud = cloud_with(&server).await;
    let mut device = test_cloud.device().await;
    for _ in 0..300 {
        assert_eq!(get(&mut device, "https://server.example/").await.body, b"ok");
    }
    server.until_open(0).await;
    test_cloud.cloud.stop().await;
}

/// Shows D60.
#[tokio::test]
async fn requests_work_with_an_independent_server_too() {
    let content = b"a file of some length\n".repeat(20);
    let Some(server) = OpenSsl::start("file.txt", &content).await else { return };
    let test_cloud = test_cloud(|config| {
        config.resolve = resolve(server.address);
        config.extra_authorities = server.authorities();
    })
    .await;
    let mut device = test_cloud.device().await;
    let found = get(&mut device, "https://server.example/file.txt").await;
    assert_eq!((found.result, found.status), (HttpResult::Ok, 200));
    assert_eq!(String::from_utf8_lossy(&found.body), String::from_utf8_lossy(&content));
    assert_eq!(found.headers, ["content-type: text/plain"]);
    test_cloud.cloud.stop().await;
}
