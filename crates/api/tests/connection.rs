//! Bytes on a connection, where clients depend on more than status and body.

mod support;

use std::time::Duration;

use support::Fixture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Shows D376, cloud-api 1.5: `twilio` for Node keeps a connection, and fails on it, unless the header is answered.
#[tokio::test]
async fn a_connection_that_ends_is_announced_as_ending() {
    let fixture = Fixture::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (_stop, stopped) = oneshot::channel();
    let router = fixture.router();
    tokio::spawn(api::server::serve(listener, None, router, stopped, Duration::ZERO));
    for (path, status) in [("/v1/Devices", "200 OK"), ("/v1/Nothing", "404 Not Found")] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
            fixture.owner()
        );
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server closes");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        let is_echo = |line: &str| line.eq_ignore_ascii_case("connection: close");
        assert!(head.lines().any(is_echo), "{head}");
    }
}
