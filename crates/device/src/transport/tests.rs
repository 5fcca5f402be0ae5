use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc as std_mpsc;
use std::time::Instant;

use rustls::HandshakeKind;

use super::*;
use crate::testing::{Authority, Peer, Server};

/// Long enough for a busy machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends back what it gets until the other end is done.
fn echo(mut peer: Peer) {
    let mut buffer = [0; 4096];
    while let Ok(length) = peer.read(&mut buffer) {
        if length == 0 || peer.write_all(&buffer[..length]).is_err() {
            break;
        }
        let _ = peer.flush();
    }
    peer.conn.send_close_notify();
    let _ = peer.flush();
}

struct Client {
    connector: Connector,
    waker: Waker,
}

/// TransportEvent with its bytes.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Connected,
    Bytes(Vec<u8>),
    Lost(Loss),
}

impl Client {
    fn new(authority: &Authority, address: &Address) -> Self {
        let waker = Waker::new().expect("a pipe");
        let connector =
            Connector::new(&authority.device(), address.clone(), waker.clone()).expect("an identity");
        Self { connector, waker }
    }

    /// Waits as the device's thread does.
    fn next(&self, connection: &mut Connection) -> Heard {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = next_event(connection) {
                return event;
            }
            assert!(Instant::now() < deadline, "no event");
            self.wait(connection, deadline);
        }
    }

    fn wait(&self, connection: &mut Connection, deadline: Instant) {
        let deadline = connection.deadline().map_or(deadline, |own| own.min(deadline));
        if !connection.has_more() && self.waker.wait(connection.interest(), Some(deadline)).socket {
            connection.mark_readable();
        }
    }

    fn connected(&self) -> Connection {
        let mut connection = self.connector.connect();
        assert_eq!(self.next(&mut connection), Heard::Connected);
        connection
    }

    fn loss(&self, connection: &mut Connection) -> Loss {
        loop {
            if let Heard::Lost(loss) = self.next(connection) {
                return loss;
            }
        }
    }
}

fn next_event(connection: &mut Connection) -> Option<Heard> {
    let mut buffer = vec![0; CHUNK];
    Some(match connection.poll(&mut buffer)? {
        TransportEvent::Connected => Heard::Connected,
        TransportEvent::Bytes(length) => Heard::Bytes(buffer[..length].to_vec()),
        TransportEvent::Lost(loss) => Heard::Lost(loss),
    })
}

#[test]
fn bytes_go_there_and_back() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, echo);
    let client = Client::new(&authority, &server.address);
    let mut connection = client.connected();
    assert!(connection.send(b"hello"));
    assert_eq!(client.next(&mut connection), Heard::Bytes(b"hello".to_vec()));
}

#[test]
fn a_large_amount_passes_although_the_socket_takes_little_at_a_time() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, echo);
    let client = Client::new(&authority, &server.address);
    let mut connection = client.connected();
    let (mut sent, mut received) = (0, Vec::new());
    // Nothing is read, so the other end stops reading too.
    while connection.has_room() {
        assert!(connection.send(&[sent as u8; CHUNK]));
        sent += 1;
    }
    assert!(!connection.send(b"no room"));
    let all = sent + 100;
    while received.len() < all * CHUNK {
        while sent < all && connection.has_room() {
            assert!(connection.send(&[sent as u8; CHUNK]));
            sent += 1;
        }
        match next_event(&mut connection) {
            Some(Heard::Bytes(bytes)) => received.extend(bytes),
            Some(other) => panic!("{other:?}"),
            None => client.wait(&mut connection, Instant::now() + PATIENCE),
        }
    }
    for (number, chunk) in received.chunks(CHUNK).enumerate() {
        assert!(chunk.iter().all(|byte| *byte == number as u8), "chunk {number}");
    }
}

#[test]
fn a_connection_closed_by_the_device_sends_its_last_bytes() {
    let authority = Authority::new();
    let (sender, event) = std_mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        let mut all = Vec::new();
        let clean = peer.read_to_end(&mut all).is_ok();
        let _ = sender.send((all, clean));
    });
    let client = Client::new(&authority, &server.address);
    let mut connection = client.connected();
    assert!(connection.send(b"good"));
    connection.close(b"bye");
    assert_eq!(event.recv_timeout(PATIENCE), Ok((b"goodbye".to_vec(), true)));
}

#[test]
fn a_connection_that_is_dropped_says_what_it_was_given_and_ends_by_itself() {
    let authority = Authority::new();
    let (sender, event) = std_mpsc::channel();
    let server = Server::start(&authority, ALPN, 1, move |mut peer| {
        // More than fits on the way, unread until the other end has timed out, would be lost with the connection.
        let _ = peer.write_all(&[0; 1000]);
        let mut all = Vec::new();
        let clean = peer.read_to_end(&mut all).is_ok();
        let _ = sender.send((all, clean));
    });
    let client = Client::new(&authority, &server.address);
    let mut connection = client.connected();
    assert!(connection.send(b"goodbye"));
    drop(connection);
    assert_eq!(event.recv_timeout(PATIENCE), Ok((b"goodbye".to_vec(), true)));
}

#[test]
fn a_cloud_that_accepts_and_says_nothing_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = Authority::new();
    let address = Address::parse(&silent.local_addr().expect("bound").to_string()).expect("an address");
    let client = Client::new(&authority, &address);
    let mut connection = client.connector.connect();
    assert_eq!(next_event(&mut connection), None);
    client.waker.wait(None, Some(Instant::now() + PATIENCE));
    assert_eq!(next_event(&mut connection), None);
    assert!(connection.interest().is_some(), "TCP stands");
    connection.deadline = Instant::now() + Duration::from_millis(20);
    let loss = client.loss(&mut connection);
    assert_eq!(loss.text, format!("cloud at {address}: no answer within 15 s"));
    assert_eq!(connection.deadline(), None, "nothing is waited for any more");
}

#[test]
fn the_clouds_end_is_reported() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, |mut peer| {
        peer.conn.send_close_notify();
        let _ = peer.flush();
    });
    let client = Client::new(&authority, &server.address);
    let mut connection = client.connected();
    let loss = client.loss(&mut connection);
    assert_eq!(loss.kind, LinkLoss::Unreachable);
    assert!(loss.text.ends_with(": closed by the cloud"), "{}", loss.text);
}

#[test]
fn a_port_without_a_listener_is_reported() {
    let authority = Authority::new();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let client = Client::new(&authority, &Address::parse(&format!("127.0.0.1:{port}")).expect("an address"));
    let loss = client.loss(&mut client.connector.connect());
    assert_eq!(loss.text, format!("cloud at 127.0.0.1:{port}: connection refused"));
}

/// Shows D323.
#[test]
fn a_cloud_of_another_authority_is_turned_away() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::start(&other, ALPN, 1, echo);
    let client = Client::new(&ours, &server.address);
    let loss = client.loss(&mut client.connector.connect());
    let expected = "not the cloud that made this device's identity";
    assert!(loss.text.contains(expected), "{}", loss.text);
}

#[test]
fn a_cloud_under_another_name_is_turned_away() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, echo);
    let address =
        Address::parse(&server.address.to_string().replace("localhost", "127.0.0.1")).expect("an address");
    let client = Client::new(&authority, &address);
    let loss = client.loss(&mut client.connector.connect());
    assert!(loss.text.contains("certificate"), "{}", loss.text);
}

#[test]
fn a_peer_of_another_protocol_is_turned_away() {
    let authority = Authority::new();
    let server = Server::start(&authority, b"h2", 1, echo);
    let client = Client::new(&authority, &server.address);
    assert_eq!(client.loss(&mut client.connector.connect()).kind, LinkLoss::Unreachable);
}

#[test]
fn a_second_connection_resumes_the_first_ones_session() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 2, echo);
    let client = Client::new(&authority, &server.address);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut connection = client.connected();
        // Tickets come with the cloud's first bytes.
        connection.send(b"x");
        assert_eq!(client.next(&mut connection), Heard::Bytes(b"x".to_vec()));
        connection.close(b"");
        assert_eq!(server.served.recv_timeout(PATIENCE), Ok(expected));
    }
}

#[test]
fn nothing_waits_for_a_connection_that_is_dropped_while_it_is_made_or_open() {
    let authority = Authority::new();
    let server = Server::start(&authority, ALPN, 1, echo);
    let client = Client::new(&authority, &server.address);
    drop((client.connected(), client.connector.connect()));
}

#[test]
fn addresses_are_read_with_and_without_a_port() {
    for (text, shown) in [
        ("cloud.example", "cloud.example:7883"),
        ("cloud.example:8", "cloud.example:8"),
        ("127.0.0.1:65535", "127.0.0.1:65535"),
        ("[::1]:9", "[::1]:9"),
        ("[::1]", "[::1]:7883"),
        ("::1", "[::1]:7883"),
    ] {
        assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), Ok(shown));
    }
    for wrong in ["", ":1", "host:", "host:0", "host:65536", "a b", "[::1", "[::1]x", "host:1x"] {
        assert!(Address::parse(wrong).is_err(), "{wrong:?}");
    }
}
