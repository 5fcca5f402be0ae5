//! Log lines by pages and as a stream (docs/spec/api.md, *Following logs*).

mod support;

use std::time::{Duration, Instant};

use api::{Api, StreamLimits};
use axum::body::Body;
use axum::http::Request;
use cloud::DeviceId;
use cloud::clock::wall_millis;
use cloud::store::{LogLine, NewApiKey, Role};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::Fixture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::ServiceExt as _;

const LIMIT: Duration = Duration::from_secs(30);

fn line(device: DeviceId, sequence: u32, text: &[u8]) -> LogLine {
    let received = 1_764_590_400_000 + i64::from(sequence) * 1000;
    LogLine { device, boot: 7, sequence, clock: u64::from(sequence), received, text: text.to_vec() }
}

async fn add(fixture: &Fixture, device: DeviceId, sequences: impl IntoIterator<Item = u32>) {
    let lines: Vec<_> = sequences.into_iter().map(|number| line(device, number, b"text")).collect();
    fixture.store.add_logs(&lines).await.expect("stored");
}

/// One event as its reader sees it.
#[derive(Debug, Clone, PartialEq)]
struct Received {
    id: Option<String>,
    name: String,
    data: Value,
}

/// A reader of a stream.
struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    /// Begins to read, in process. `Err`: the status.
    async fn open(fixture: &Fixture, path: &str, key: &str, last_id: Option<&str>) -> Result<Self, u16> {
        let mut request = Request::get(path)
            .header("host", "localhost")
            .header("authorization", key)
            .header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = fixture.router.clone().oneshot(request).await.expect("infallible");
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { body: response.into_body(), text: String::new() })
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Received> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = parse(&frame) {
                    return Some(event);
                }
            }
            let frame = timeout(LIMIT, self.body.frame()).await.expect("in time")?.expect("no error");
            self.text += std::str::from_utf8(&frame.into_data().expect("data")).expect("UTF-8");
        }
    }

    /// Sequence numbers of the next lines, with their ids.
    async fn lines(&mut self, count: usize) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        while found.len() < count {
            let event = self.next().await.expect("a line");
            if event.name == "line" {
                let sequence = event.data["sequence"].as_u64().expect("a number");
                found.push((event.id.expect("every line has an id"), sequence));
            }
        }
        found
    }

    /// The reason of the end, after whatever comes before it.
    async fn reason(&mut self) -> String {
        loop {
            let event = self.next().await.expect("an end with a reason");
            if event.name == "end" {
                assert_eq!(self.next().await, None);
                return event.data["reason"].as_str().expect("a text").to_owned();
            }
        }
    }
}

/// An event of its lines; `None`: it has no data.
fn parse(frame: &str) -> Option<Received> {
    let field = |name: &str| {
        let mut found = frame.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let value = found.next().map(str::to_owned);
        assert_eq!(found.next(), None, "one {name}: {frame}");
        value
    };
    let data = serde_json::from_str(&field("data")?).expect("JSON");
    Some(Received { id: field("id"), name: field("event").expect("named"), data })
}

async fn read_key(fixture: &Fixture, expires: Option<i64>) -> (cloud::ApiKeyId, String) {
    use base64::Engine as _;
    let new = NewApiKey { name: None, role: Role::Read, expires, devices: None };
    let (key, secret) = fixture.store.add_api_key(&new).await.expect("created");
    let text = format!("{}:{}", key.id, secret.as_str());
    (key.id, format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))
}

/// Shows D378.
#[tokio::test]
async fn kept_lines_are_listed_from_a_time_in_both_directions() {
    let fixture = Fixture::new().await;
    let (device, other) = (fixture.device(Some("kitchen")).await, fixture.device(None).await);
    add(&fixture, device, 1..=5).await;
    add(&fixture, other, 1..=1).await;
    let pages = async |path: &str| {
        let (mut found, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(url) = next {
            let page = fixture.get(&url).await;
            assert_eq!((page.status, &page.json["meta"]["key"]), (200, &"logs".into()), "{url}");
            found.extend(page.json["logs"].as_array().expect("a list").iter().map(|line| {
                assert!(line["device_sid"] == device.as_str() || url.starts_with("/v1/Logs"));
                line["sequence"].as_u64().expect("a number")
            }));
            next = page.json["meta"]["next_page_url"].as_str().map(|url| url.replace("http://localhost", ""));
        }
        found
    };
    assert_eq!(pages("/v1/Devices/kitchen/Logs?PageSize=2").await, [1, 2, 3, 4, 5]);
    assert_eq!(pages("/v1/Devices/kitchen/Logs?PageSize=2&Order=desc").await, [5, 4, 3, 2, 1]);
    assert_eq!(pages("/v1/Logs?PageSize=4").await, [1, 2, 3, 4, 5, 1]);
    let from = "StartTime=2025-12-01T13:00:03%2B01:00";
    assert_eq!(pages(&format!("/v1/Devices/kitchen/Logs?PageSize=2&{from}")).await, [3, 4, 5]);
    assert_eq!(pages(&format!("/v1/Devices/kitchen/Logs?PageSize=2&Order=desc&{from}")).await, [3, 2, 1]);

    let all = fixture.get("/v1/Devices/kitchen/Logs").await;
    let first = &all.json["logs"][0];
    assert_eq!(first["date_received"], "2025-12-01T12:00:01.000Z");
    let cursor = all.json["logs"][3]["cursor"].as_str().expect("a text");
    assert_eq!(pages(&format!("/v1/Devices/kitchen/Logs?After={cursor}")).await, [5]);
    for wrong in ["StartTime=yesterday", "Order=up", "After=-1", "After=x", "PageToken=eA"] {
        let refused = fixture.get(&format!("/v1/Devices/kitchen/Logs?{wrong}")).await;
        assert_eq!(refused.json["code"], 20001, "{wrong}");
    }
    let foreign = fixture.foreign_owner().await;
    let path = format!("/v1/Devices/{device}/Logs");
    assert_eq!(fixture.send("GET", &path, Some(&foreign), "").await.status, 404);
    assert_eq!(fixture.send("GET", "/v1/Logs", Some(&foreign), "").await.json["logs"], json!([]));
    assert_eq!(Reader::open(&fixture, &path, &foreign, None).await.err(), Some(404));
}

/// Shows D378: the events of a stream, as its reader sees them.
#[tokio::test]
async fn a_stream_has_kept_lines_then_says_so_then_new_ones() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let hostile = b"\x1b[2J\0\xff\r\n\nid: 9\n\ndata: \xc2\x9b5n\x7f";
    fixture.store.add_logs(&[line(device, 1, hostile)]).await.expect("stored");
    let owner = fixture.owner();
    let mut reader = Reader::open(&fixture, "/v1/Devices/kitchen/Logs", &owner, None).await.expect("opened");
    let first = reader.next().await.expect("a line");
    let cursor = first.id.clone().expect("an id");
    let expected = json!({
        "cursor": cursor, "device_sid": device.as_str(), "boot": 7, "sequence": 1, "clock_us": 1,
        "date_received": "2025-12-01T12:00:01.000Z",
        "text": "\u{1b}[2J\0\u{fffd}\r\n\nid: 9\n\ndata: \u{9b}5n\u{7f}",
    });
    assert_eq!((&*first.name, &first.data), ("line", &expected));
    let caught_up = reader.next().await.expect("caught up");
    assert_eq!((&*caught_up.name, caught_up.id.as_deref()), ("caughtup", Some(&*cursor)));
    assert_eq!(caught_up.data, json!({ "cursor": cursor }));
    add(&fixture, device, [2, 6]).await;
    assert_eq!(reader.lines(1).await[0].1, 2);
    let gap = reader.next().await.expect("a gap");
    let lost = json!({ "reason": "lost", "device_sid": device.as_str(), "boot": 7, "first": 3, "last": 5 });
    assert_eq!((gap.id, &*gap.name, gap.data), (None, "gap", lost));
    assert_eq!(reader.lines(1).await[0].1, 6);
    fixture.delete("/v1/Devices/kitchen").await;
    assert_eq!(reader.reason().await, "device_deleted");
}

/// Shows D378. What is on the wire of a hostile line: one frame, without a control character.
#[tokio::test]
async fn no_log_line_can_command_the_terminal_or_make_up_an_event() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let hostile = b"\x1b[2J\0\xff\r\n\nevent: end\n\n\xc2\x9b\x7f";
    fixture.store.add_logs(&[line(device, 1, hostile)]).await.expect("stored");
    let owner = fixture.owner();
    let mut reader = Reader::open(&fixture, "/v1/Logs", &owner, None).await.expect("opened");
    let mut raw = String::new();
    while !raw.contains("caughtup") {
        let frame =
            timeout(LIMIT, reader.body.frame()).await.expect("in time").expect("more").expect("no error");
        raw += std::str::from_utf8(&frame.into_data().expect("data")).expect("UTF-8");
    }
    assert!(raw.chars().all(|character| character == '\n' || !character.is_control()), "{raw:?}");
    assert!(raw.contains(r"\u001b[2J\u0000") && raw.contains(r"\u009b\u007f"), "{raw}");
    assert!(raw.contains("retry: 1000\n") || raw.contains("retry:1000\n"), "{raw}");
    assert_eq!(raw.matches("\nevent: ").count(), 2, "{raw}");
}

/// Shows D378: each line once and in order, wherever the reader was when it lost the stream, while lines are added.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_continues_after_every_position_while_lines_are_added() {
    const COUNT: u32 = 400;
    let fixture = Fixture::new().await;
    let (device, other) = (fixture.device(Some("kitchen")).await, fixture.device(None).await);
    let store = fixture.store.clone();
    let writer = tokio::spawn(async move {
        for first in (1..=COUNT).step_by(8) {
            let lines: Vec<_> = (first..first + 8).map(|number| line(device, number, b"x")).collect();
            store.add_logs(&lines).await.expect("stored");
            store.add_logs(&[line(other, first, b"y")]).await.expect("stored");
        }
    });
    let owner = fixture.owner();
    let (mut found, mut last, mut takes) = (Vec::new(), None, 1);
    while found.len() < COUNT as usize {
        let mut reader = Reader::open(&fixture, "/v1/Devices/kitchen/Logs", &owner, last.as_deref())
            .await
            .expect("opened");
        let lines = reader.lines(takes.min(COUNT as usize - found.len())).await;
        last = lines.last().map(|(id, _)| id.clone());
        found.extend(lines.into_iter().map(|(_, sequence)| sequence));
        takes += 1;
    }
    writer.await.expect("wrote");
    assert_eq!(found, (1..=u64::from(COUNT)).collect::<Vec<_>>());
}

/// Shows D378: what is missing is said to a reader that reconnects, too.
#[tokio::test]
async fn who_reconnects_learns_what_is_missing() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let owner = fixture.owner();
    let path = "/v1/Devices/kitchen/Logs";
    add(&fixture, device, [1, 2]).await;
    let mut reader = Reader::open(&fixture, &format!("{path}?Last=1"), &owner, None).await.expect("opened");
    let (id, sequence) = reader.lines(1).await.remove(0);
    assert_eq!(sequence, 2);
    add(&fixture, device, [5]).await;
    let mut again = Reader::open(&fixture, path, &owner, Some(&id)).await.expect("opened");
    let gap = again.next().await.expect("a gap");
    assert_eq!((&*gap.name, &gap.data["first"], &gap.data["last"]), ("gap", &json!(3), &json!(4)));
    assert_eq!(again.lines(1).await[0].1, 5);

    let retention = cloud::store::LogRetention { lines: 1, age: Duration::from_secs(u64::from(u32::MAX)) };
    fixture.store.prune_logs(retention).await.expect("pruned");
    let mut late = Reader::open(&fixture, &format!("{path}?After={id}"), &owner, None).await.expect("opened");
    let gap = late.next().await.expect("a gap");
    assert_eq!((&*gap.name, gap.data), ("gap", json!({ "reason": "removed" })));
    for wrong in ["Order=desc", "After=1&Last=1", "Last=-1"] {
        assert_eq!(Reader::open(&fixture, &format!("{path}?{wrong}"), &owner, None).await.err(), Some(400));
    }
    assert_eq!(Reader::open(&fixture, path, &owner, Some("x")).await.err(), Some(400));
}

/// Shows D379.
#[tokio::test]
async fn a_stream_ends_within_a_second_of_its_credentials() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    add(&fixture, device, [1]).await;
    let expires = wall_millis() + 1500;
    let (_, expiring) = read_key(&fixture, Some(expires)).await;
    let (id, revoked) = read_key(&fixture, None).await;
    let open = async |key: &str| Reader::open(&fixture, "/v1/Logs", key, None).await.expect("opened");
    let (mut expiring, mut revoked) = (open(&expiring).await, open(&revoked).await);
    let mut replaced = open(&fixture.owner()).await;
    revoked.lines(1).await;
    assert_eq!(expiring.reason().await, "expired");
    assert!(wall_millis() >= expires);
    fixture.store.revoke_api_key(id).await.expect("revoked");
    fixture.store.rotate_token().await.expect("replaced");
    assert_eq!((revoked.reason().await, replaced.reason().await), ("revoked".into(), "revoked".into()));
}

/// Shows D379.
#[tokio::test]
async fn streams_are_limited_and_a_slow_reader_continues_later() {
    let limits = StreamLimits { per_caller: 2, total: 3, stall: Duration::from_millis(100) };
    let fixture = Fixture::with(|api| api.with_stream_limits(limits)).await;
    let device = fixture.device(Some("kitchen")).await;
    let (_, key) = read_key(&fixture, None).await;
    let owner = fixture.owner();
    let open = async |key: &str| Reader::open(&fixture, "/v1/Logs", key, None).await;
    let mut slow = open(&owner).await.expect("opened");
    let second = open(&owner).await.expect("opened");
    assert_eq!(open(&owner).await.err(), Some(429), "of one token");
    let third = open(&key).await.expect("opened");
    assert_eq!(open(&key).await.err(), Some(429), "in all");
    drop((second, third));
    let began = Instant::now();
    let mut fourth = loop {
        match open(&key).await {
            Ok(reader) => break reader,
            Err(_) => assert!(began.elapsed() < LIMIT, "a reader that has gone makes room"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };

    add(&fixture, device, 1..=500).await;
    let all = fourth.lines(500).await;
    // The other has not read meanwhile, so that its queue has been full for long.
    tokio::time::sleep(limits.stall * 5).await;
    assert_eq!(slow.reason().await, "slow");
    let id = &all[123].0;
    let mut again = Reader::open(&fixture, "/v1/Logs", &owner, Some(id)).await.expect("opened");
    assert_eq!(again.lines(376).await, all[124..]);
}

/// Shows D379, over a socket: events arrive as they happen, and a stop is said.
#[tokio::test]
async fn a_stream_over_a_socket_continues_until_the_cloud_stops() {
    let mut api: Option<Api> = None;
    let fixture = Fixture::with(|made| api.insert(made).clone()).await;
    let device = fixture.device(Some("kitchen")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(api::server::serve(
        listener,
        None,
        fixture.router.clone(),
        stopped,
        Duration::from_mins(1),
    ));
    let mut socket = TcpStream::connect(address).await.expect("connected");
    let request = format!(
        "GET /v1/Devices/kitchen/Logs HTTP/1.1\r\nHost: {address}\r\nAuthorization: {}\r\n\
         Accept: text/event-stream\r\n\r\n",
        fixture.owner()
    );
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    let mut until = async |what: &str| {
        while !text.contains(what) {
            let mut bytes = [0; 1024];
            let count = timeout(LIMIT, socket.read(&mut bytes)).await.expect("in time").expect("read");
            assert!(count > 0, "{what} is missing: {text}");
            text += std::str::from_utf8(&bytes[..count]).expect("UTF-8");
        }
    };
    until("event: caughtup").await;
    add(&fixture, device, [1]).await;
    until("\"sequence\":1").await;
    api.expect("made").stop_streams();
    stop.send(()).expect("it serves");
    until("{\"reason\":\"shutting_down\"}").await;
    until("\r\n0\r\n\r\n").await;
    timeout(LIMIT, serving).await.expect("it waits for no stream").expect("ended");
}
