//! What is logged while secrets pass through the cloud. One test, because it is about all a process logs.

mod support;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use cloud::{Cloud, Config, Destinations, Scope};
use link::bytes::Writer;
use link::channel::ChannelType;
use link::kind::{to_cloud, to_device};
use rcgen::KeyPair;
use support::https::{Https, resolve};
use support::{Device, Received, TestCloud, config};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Everything that is logged, at every level, by whatever crate.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nothing panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn start() -> Self {
        let captured = Self::default();
        let writer = captured.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .json()
            .with_writer(move || writer.clone())
            .init();
        captured
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nothing panics")).into_owned()
    }
}

/// The ways in which bytes get into a log by accident: as text, as numbers, in either hexadecimal case.
fn disguises(secret: &[u8]) -> Vec<String> {
    let hex = secret.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    });
    let numbers = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut all = vec![numbers, hex.to_uppercase(), hex];
    all.extend(std::str::from_utf8(secret).ok().map(str::to_owned));
    all
}

/// A broker that takes one connection's CONNECT and goes away.
async fn broker() -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let taken = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut connect = vec![0; 4096];
        let length = stream.read(&mut connect).await.expect("a packet");
        connect.truncate(length);
        connect
    });
    (port, taken)
}

fn connect(port: u16, password: &[u8], key: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![0; 4000];
    let mut writer = Writer::new(&mut body);
    // Clean start, and credentials or TLS.
    writer.u8(1 << 1 | if key.is_some() { 1 << 4 } else { 1 << 2 });
    writer.varint32(u32::from(port));
    writer.varint32(60);
    writer.str(b"127.0.0.1");
    writer.str(b"client-of-the-test");
    if let Some(key) = key {
        writer.u8(0);
        writer.u8(1);
        writer.str(b"no certificate, but the key is read first or not at all");
        writer.str(key);
    } else {
        writer.str(b"s3cret-user-of-the-test");
        writer.str(password);
    }
    let length = writer.finish().expect("fits");
    body.truncate(length);
    body
}

fn http(url: &str, header: &str, content: &[u8]) -> Vec<u8> {
    let mut item = vec![0; 4000];
    let mut writer = Writer::new(&mut item);
    writer.str(b"POST");
    writer.str(url.as_bytes());
    writer.varint32(10_000);
    writer.u8(1);
    writer.str(header.as_bytes());
    let length = writer.finish().expect("fits");
    item.truncate(length);
    [item, content.to_vec()].concat()
}

async fn item(device: &mut Device, channel_type: ChannelType, kind: u8, body: &[u8]) -> Received {
    let channel = device.open(channel_type, 2048).await;
    device.item(channel, kind, body).await;
    let received = device.next().await;
    device.close(channel).await;
    received
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let captured = Captured::start();
    let server = Https::start(|_| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())).await;
    let directory = tempfile::tempdir().expect("a folder");
    let mut config = Config { destinations: Destinations::with_loopback(), ..config(&directory) };
    config.limits.farewell_timeout = std::time::Duration::from_millis(300);
    config.resolve = resolve(server.address);
    config.extra_authorities = vec![server.authority.clone()];
    let test_cloud = TestCloud { cloud: Cloud::start(config).await.expect("started"), directory };
    let identity = test_cloud.cloud.provision(None).await.expect("an identity");
    let mut device = Device::connect(test_cloud.cloud.address(), &identity).await;
    device.welcome().await;
    let key = KeyPair::generate().expect("a key").serialize_der();
    let store = test_cloud.cloud.store();
    store.set_secret(Scope::Device(device.id), "pass", "s3cret-of-a-device").await.expect("set");
    store.set_config(Scope::Account, "token", "s3cret-of-the-account").await.expect("set");

    let fetch = [&[1, 4][..], b"pass", &[2, 5], b"token"].concat();
    let received = item(&mut device, ChannelType::ConfigFetch, to_cloud::CONFIG_FETCH, &fetch).await;
    assert!(
        matches!(&received, Received::Item { kind: to_device::CONFIG_RESPONSE, body, .. }
        if body.ends_with(b"s3cret-of-a-devices3cret-of-the-account")),
        "{received:?}"
    );
    let (port, taken) = broker().await;
    let body = connect(port, b"s3cret-password", None);
    item(&mut device, ChannelType::Mqtt, to_cloud::CONNECT, &body).await;
    let taken = taken.await.expect("taken");
    assert!(taken.windows(15).any(|part| part == b"s3cret-password"), "it did pass through");
    let body = connect(port, b"", Some(&key));
    item(&mut device, ChannelType::Mqtt, to_cloud::CONNECT, &body).await;
    for url in [
        "https://server.example/path?token=s3cret-query#s3cret-fragment",
        "https://s3cret-user:s3cret-pass@server.example/path",
        "s3cret-user:s3cret-pass@server.example",
    ] {
        let body = http(url, "Authorization: Bearer s3cret-header", b"s3cret-body");
        item(&mut device, ChannelType::Http, to_cloud::HTTP_REQUEST, &body).await;
    }
    device.log(1, "s3cret-of-a-line").await;
    assert_eq!(device.next().await, Received::LogTaken(1));
    // A rule broken with a secret in hand.
    let channel = device.open(ChannelType::Mqtt, 512).await;
    device.item(channel, to_cloud::PUBLISH, b"\xff\xff\xff\xff\xff s3cret-payload").await;
    while !matches!(device.next().await, Received::Bye(_) | Received::End) {}
    test_cloud.cloud.stop().await;

    let text = captured.text();
    for proof in [
        "cloud started",
        "connecting to a broker",
        "configuration fetched",
        "HTTP request",
        "violated the link protocol",
    ] {
        assert!(text.contains(proof), "the captured log is incomplete: {proof}\n{text}");
    }
    let about = text.lines().filter(|line| line.contains("broker\"") || line.contains("HTTP request"));
    assert!(about.clone().count() > 0, "{text}");
    about.for_each(|line| assert!(line.contains(identity.device_id.as_str()), "which device? {line}"));
    let private = identity.key.lines().nth(1).expect("a key").as_bytes().to_vec();
    for secret in [&b"s3cret"[..], &key[..24], &private] {
        for disguise in disguises(secret) {
            assert!(!text.contains(&disguise), "{disguise} is in what was logged");
        }
    }
}
