//! Scripted exchanges: a session against the literal bytes of a broker.

mod connect;
mod deliver;
mod deviations;
mod faults;
mod keep_alive;
mod publish;
mod subscribe;

use alloc::vec::Vec;

use super::{Filter, Session};
use crate::error::{Error, ProtocolError};
use crate::event::{Event, Message};
use crate::limits::Limits;
use crate::options::{ConnectOptions, Version};

const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;
const BOTH: [Version; 2] = [V3, V5];

/// A session that has sent its CONNECT.
fn connecting(options: &ConnectOptions, limits: Limits) -> Session {
    let mut session = Session::new(options, limits, 0).expect("valid options");
    assert_eq!(sent(&mut session)[0], 0x10);
    session
}

/// A session that the broker has accepted with these properties (version 5).
fn accepted(options: &ConnectOptions, limits: Limits, properties: &[u8]) -> Session {
    let mut session = connecting(options, limits);
    let connack = match options.version {
        V3 => b"\x20\x02\x00\x00".to_vec(),
        V5 => {
            let length = properties.len() as u8;
            [&[0x20, 3 + length, 0, 0, length], properties].concat()
        }
    };
    feed(&mut session, &connack);
    assert_eq!(session.poll_event(), Some(Event::Connected { session_present: false }));
    session
}

fn connected(version: Version) -> Session {
    accepted(&ConnectOptions::new(version, b"dev"), Limits::default(), &[])
}

fn connected_v5(properties: &[u8]) -> Session {
    accepted(&ConnectOptions::new(V5, b"dev"), Limits::default(), properties)
}

/// Gives the session bytes it must take whole, at time 0.
fn feed(session: &mut Session, bytes: &[u8]) {
    assert_eq!(session.receive(0, bytes), Ok(bytes.len()));
}

/// What the session sends, taken by the connection at once, at time 0.
fn sent(session: &mut Session) -> Vec<u8> {
    let mut out = Vec::new();
    session.transmit(&mut out);
    session.transmitted(0, out.len());
    out
}

fn events(session: &mut Session) -> Vec<Event> {
    core::iter::from_fn(|| session.poll_event()).collect()
}

fn published(token: u32, reason_code: u8) -> Event {
    Event::Published { token, reason_code }
}

fn message(session: &mut Session) -> Message {
    match session.poll_event() {
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

/// Expects `bytes` to end the session with this reason, told to the broker on version 5 only.
fn assert_fails(session: &mut Session, bytes: &[u8], reason: u8) {
    sent(session);
    let result = session.receive(0, bytes);
    assert!(
        matches!(result, Err(Error::Protocol(ProtocolError { reason_code, .. })) if reason_code == reason),
        "{result:?} for {bytes:x?}"
    );
    let told = if session.version == V5 { Vec::from([0xe0, 1, reason]) } else { Vec::new() };
    assert_eq!(sent(session), told);
    assert_eq!(session.receive(0, b"\xd0\x00"), Err(Error::Closed));
    assert!(session.is_closed());
    assert_eq!(session.next_timeout(), None);
}

fn filter(topic: &[u8], qos: u8) -> Filter<'_> {
    Filter { topic, qos, no_local: false, retain_as_published: false, retain_handling: 0 }
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 640, "{} bytes", size_of::<Session>());
    let session = connected(V5);
    assert_eq!(session.framer.reserved(), 0);
}
