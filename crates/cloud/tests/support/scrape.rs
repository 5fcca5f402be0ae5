//! A cloud's metrics, asked as a collector asks.

use std::net::SocketAddr;

use cloud::{Cloud, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::{MAX_WAIT, TestCloud, config};

/// A cloud that answers for its metrics, and where.
pub(crate) async fn test_cloud(change: impl FnOnce(&mut Config)) -> (TestCloud, SocketAddr) {
    let directory = tempfile::tempdir().expect("a folder");
    let mut config = config(&directory);
    config.metrics = Some("127.0.0.1:0".parse().expect("an address"));
    // Devices of the tests seldom stay to hear the end.
    config.limits.farewell_timeout = Duration::from_millis(300);
    change(&mut config);
    let cloud = Cloud::start(config).await.expect("started");
    let address = cloud.metrics_address().expect("it answers");
    (TestCloud { cloud, directory }, address)
}

/// Asks and gives the status line's code and the body.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    timeout(MAX_WAIT, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status"), body.to_owned())
}

/// Everything.
pub(crate) async fn metrics(address: SocketAddr) -> String {
    let (status, text) = ask(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    text
}

/// A sample's value; 0 when there is no such sample yet.
pub(crate) async fn value(address: SocketAddr, sample: &str) -> u64 {
    let text = metrics(address).await;
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.map_or(0, |value| value.parse().expect("a whole number"))
}

/// Waits until a sample has a value.
pub(crate) async fn until(address: SocketAddr, sample: &str, wanted: u64) {
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        let found = value(address, sample).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sample} is {found} and not {wanted}");
        sleep(Duration::from_millis(10)).await;
    }
}
