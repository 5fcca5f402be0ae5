//! Scripted exchanges: a client against the literal bytes of a broker.

mod connect;
mod deliver;
mod deviations;
mod faults;
mod keep_alive;
mod publish;
mod subscribe;

use alloc::vec::Vec;

use sansio::{Duration, Instant};

use super::{Client, Filter, Input};
use crate::error::{Error, ProtocolError};
use crate::event::{Event, Message};
use crate::limits::Limits;
use crate::options::{ConnectOptions, Version};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;
const BOTH: [Version; 2] = [V3, V5];

const START: Instant = Instant::ZERO;

/// A time in milliseconds.
fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Offers the client bytes; how many it takes.
fn receive(client: &mut Client, millis: u64, bytes: &[u8]) -> Result<usize, Error> {
    let mut rest = bytes;
    client.handle(at(millis), Input::Received(&mut rest)).map(|()| bytes.len() - rest.len())
}

fn transmitted(client: &mut Client, millis: u64, bytes: usize) {
    assert_eq!(client.handle(at(millis), Input::Transmitted(bytes)), Ok(()));
}

fn timeout(client: &mut Client, millis: u64) -> Result<(), Error> {
    client.handle(at(millis), Input::Timeout)
}

/// A client that has sent its CONNECT.
fn connecting(options: &ConnectOptions, limits: Limits) -> Client {
    let mut client = Client::new(options, limits, START).expect("valid options");
    assert_eq!(sent(&mut client)[0], 0x10);
    client
}

/// A client that the broker has accepted with these properties (version 5).
fn accepted(options: &ConnectOptions, limits: Limits, properties: &[u8]) -> Client {
    let mut client = connecting(options, limits);
    let connack = match options.version {
        V3 => b"\x20\x02\x00\x00".to_vec(),
        V5 => {
            let length = properties.len() as u8;
            [&[0x20, 3 + length, 0, 0, length], properties].concat()
        }
    };
    feed(&mut client, &connack);
    assert_eq!(client.poll(START), Some(Event::Connected { session_present: false }));
    client
}

fn connected(version: Version) -> Client {
    accepted(&ConnectOptions::new(version, b"dev"), Limits::default(), &[])
}

fn connected_v5(properties: &[u8]) -> Client {
    accepted(&ConnectOptions::new(V5, b"dev"), Limits::default(), properties)
}

/// Gives the client bytes it must take whole, at time 0.
fn feed(client: &mut Client, bytes: &[u8]) {
    assert_eq!(receive(client, 0, bytes), Ok(bytes.len()));
}

/// What the client sends, taken by the connection at once, at time 0.
fn sent(client: &mut Client) -> Vec<u8> {
    let mut out = Vec::new();
    client.transmit(&mut out);
    transmitted(client, 0, out.len());
    out
}

fn events(client: &mut Client) -> Vec<Event> {
    core::iter::from_fn(|| client.poll(START)).collect()
}

fn published(token: u32, reason_code: u8) -> Event {
    Event::Published { token, reason_code }
}

fn message(client: &mut Client) -> Message {
    match client.poll(START) {
        Some(Event::Message(message)) => message,
        other => panic!("a message, not {other:?}"),
    }
}

/// A PUBLISH of QoS 1 to topic `t` without payload, as a broker sends it.
fn qos1(version: Version, packet_id: u16, dup: bool) -> Vec<u8> {
    let [high, low] = packet_id.to_be_bytes();
    let first = if dup { 0x3a } else { 0x32 };
    match version {
        V3 => [first, 5, 0, 1, b't', high, low].to_vec(),
        V5 => [first, 6, 0, 1, b't', high, low, 0].to_vec(),
    }
}

/// Expects `bytes` to end the connection with this reason, sent to the broker on version 5 only.
fn assert_fails(client: &mut Client, bytes: &[u8], reason: u8) {
    sent(client);
    let result = receive(client, 0, bytes);
    assert!(
        matches!(result, Err(Error::Protocol(ProtocolError { reason_code, .. })) if reason_code == reason),
        "{result:?} for {bytes:x?}"
    );
    let expected = if client.version == V5 { Vec::from([0xe0, 1, reason]) } else { Vec::new() };
    assert_eq!(sent(client), expected);
    assert_eq!(receive(client, 0, b"\xd0\x00"), Err(Error::Closed));
    assert!(client.is_closed());
    assert_eq!(client.next_timeout(), None);
}

fn filter(topic: &[u8], qos: u8) -> Filter<'_> {
    Filter { topic, qos, no_local: false, retain_as_published: false, retain_handling: 0 }
}

#[test]
fn an_idle_client_is_small() {
    assert!(size_of::<Client>() <= 640, "{} bytes", size_of::<Client>());
    let client = connected(V5);
    assert_eq!(client.framer.reserved(), 0);
}

/// Shows D137.
#[test]
fn debug_output_contains_no_payload_and_no_credentials() {
    let secret = b"hunter2";
    let options = ConnectOptions {
        username: Some(b"user".to_vec()),
        password: Some(secret.to_vec()),
        ..ConnectOptions::new(V5, b"dev")
    };
    // The CONNECT is still in the buffer.
    let connecting = Client::new(&options, Limits::default(), START).expect("valid options");
    let mut client = connected(V5);
    client.publish(1, b"t", secret, 1, false).expect("taken");
    feed(&mut client, &[&b"\x30\x0b\x00\x01t\x00"[..], secret].concat());
    let waiting = alloc::format!("{client:?}");
    let event = client.poll(START);
    assert!(matches!(event, Some(Event::Message(_))));
    let shown = alloc::format!("{connecting:?} {waiting} {event:?}");
    for hidden in [alloc::format!("{secret:?}"), "hunter2".into(), "104, 117, 110".into()] {
        assert!(!shown.contains(&hidden), "{shown}");
    }
    assert!(shown.contains("<7 bytes>"), "{shown}");
}
