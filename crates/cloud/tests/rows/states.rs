//! Every request state by its real cause, and requests that are refused before they are made.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use abi::channel::ChannelType;
use abi::mqtt::{MqttConnectRequest, MqttReadableDataType, MqttRequestState};
use abi::{Call, Status};
use cloud::Destinations;

use crate::broker::Broker;
use crate::device::{App, Site};
use crate::mqtt::sign_in;
use kernel_testport::mqtt::NOT_CONNECTED;

const COMPLETED: u32 = MqttRequestState::RequestCompleted.raw();
const INVALID: u32 = MqttRequestState::InvalidParameters.raw();
const NOT_CONNECTED_STATE: u32 = MqttRequestState::NotConnected.raw();
const CIRCUIT_BREAKER: u32 = MqttRequestState::ConnectionCircuitBreaker.raw();

/// How long a test waits to see that nothing happens.
const QUIET_TIME: Duration = Duration::from_millis(150);

/// The state of a connect to `host`, on a channel of its own.
fn state_of(app: &mut App, host: &str, port: u16) -> MqttRequestState {
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    let host = app.live.device.flash_string(host.as_bytes());
    let request = MqttConnectRequest { host, ..app.connect_params("stateful", port) };
    let (state, _) = app.connect(channel, &request);
    app.close_channel(channel);
    state
}

/// A listener that does this to who connects.
fn peer(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    port
}

/// Shows M10, M11, M12, M14, M19, M21, D62, D95.
#[test]
fn a_broker_that_cannot_be_reached_is_reported_with_its_cause() {
    let site = Site::open();
    let mut app = App::online(&site);
    let closed = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.local_addr().expect("bound").port()
    };
    assert_eq!(state_of(&mut app, "broker.invalid", 1883), MqttRequestState::NxDomain);
    assert_eq!(state_of(&mut app, "127.0.0.1", closed), MqttRequestState::SocketError, "refused");
    let resets = peer(|mut stream| {
        let _ = stream.read(&mut [0; 1]);
        // Closed with bytes unread, a connection is reset.
    });
    assert_eq!(state_of(&mut app, "127.0.0.1", resets), MqttRequestState::SocketError, "reset");
    let closes = peer(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
    });
    assert_eq!(
        state_of(&mut app, "127.0.0.1", closes),
        MqttRequestState::SocketError,
        "closed before CONNACK"
    );
    let babbles = peer(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_eq!(state_of(&mut app, "127.0.0.1", babbles), MqttRequestState::SocketError, "no MQTT");
    assert_eq!(state_of(&mut app, "169.254.1.1", 1883), MqttRequestState::SocketError, "not allowed");
}

/// Shows M21, D62.
#[test]
fn a_public_cloud_does_not_connect_to_its_own_machine() {
    let site = Site::with(|config| config.destinations = Destinations::public());
    let broker = Broker::start();
    let mut app = App::online(&site);
    let callers = broker.count_log("New client connected");
    assert_eq!(state_of(&mut app, "127.0.0.1", broker.open), MqttRequestState::SocketError);
    app.expect_no_event(QUIET_TIME);
    assert_eq!(broker.count_log("New client connected"), callers, "no connection was made");
}

/// Shows M12, M16, M34, D46.
#[test]
fn what_the_broker_may_not_be_sent_is_invalid_and_the_channel_goes_on() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_connected_channel("careful", broker.open);
    assert_eq!(app.publish(channel, 1, "t", "p", 2, false).0, INVALID, "QoS 2");
    assert_eq!(app.publish(channel, 2, "t/#", "p", 0, false).0, INVALID, "a filter is no topic");
    assert_eq!(app.publish(channel, 3, "", "p", 0, false).0, INVALID, "no topic");
    assert_eq!(app.subscribe(channel, 4, &[(b"a/#/b", 0)]).0, INVALID);
    assert_eq!(app.subscribe(channel, 5, &[(b"a", 2)]).0, INVALID, "QoS 2");
    let request = app.connect_params("careful", broker.open);
    // The kernel lets no second connect through; `mqtt.rs` shows what the cloud would say.
    assert_eq!(app.live.device.request_connect(channel, &request), Status::RequestAlreadySent);
    assert_eq!(app.publish(channel, 6, "t", "p", 1, false).0, COMPLETED);
    assert_eq!(broker.count_log("Received PUBLISH from careful"), 1, "nothing else went out");
}

/// Shows M12, M18, D46.
#[test]
fn a_request_without_a_connection_is_answered_so() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 2048);
    assert_eq!(app.publish(channel, 1, "t", "p", 1, false), (NOT_CONNECTED_STATE, 1, 0));
    assert_eq!(app.subscribe(channel, 2, &[(b"t", 1)]).0, NOT_CONNECTED_STATE);
    assert_eq!(app.live.device.unsubscribe(channel, 3, &[b"t"]), Status::Okay);
    app.expect_readable(channel, MqttReadableDataType::UnsubscribeResponse);
    assert_eq!(
        app.live.device.read_unsubscribe_response(channel, 1).expect("a response").0,
        NOT_CONNECTED_STATE
    );
    assert_eq!(app.disconnect(channel).0, NOT_CONNECTED_STATE);
    let request = app.connect_params("late", broker.open);
    assert_eq!(
        app.connect(channel, &request).0,
        MqttRequestState::RequestCompleted,
        "none of these was a try"
    );
}

/// Shows M12, M18, D50, D94.
#[test]
fn requests_in_flight_when_the_broker_dies_are_answered_before_its_end_is_reported() {
    let site = Site::open();
    // A broker that accepts the connection and answers nothing else, until it dies.
    let dies = peer(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(&[0x20, 2, 0, 0]);
        let _ = stream.read(&mut [0; 512]);
        std::thread::sleep(Duration::from_millis(100));
    });
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 2048);
    let mut request = app.connect_params("orphan", dies);
    request.protocol_version = 0;
    assert_eq!(app.connect(channel, &request).0, MqttRequestState::RequestCompleted);
    assert_eq!(app.publish(channel, 7, "t", "p", 1, false), (NOT_CONNECTED_STATE, 7, 0));
    app.expect(NOT_CONNECTED);
    assert_eq!(app.live.device.read_disconnect_response(channel), Ok((COMPLETED, 0)));
}

/// Shows M22, D51, D94.
#[test]
fn a_broker_that_floods_the_channel_is_disconnected_and_that_is_reported() {
    let site = Site::with(|config| config.limits.messages_a_second = 2);
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_connected_channel("flooded", broker.open);
    app.subscribe(channel, 1, &[(b"flood", 0)]);
    let port = broker.open.to_string();
    let flood = std::process::Command::new("sh")
        .args(["-c", "seq 40 | mosquitto_pub -h 127.0.0.1 -p $1 -t flood -l", "sh", &port])
        .status();
    assert!(flood.expect("a shell").success());
    // What arrived before the end is there, also what was not announced before it (D12).
    let mut messages = 0;
    while app.next_event() != NOT_CONNECTED {
        messages += usize::from(app.live.device.receive_message(channel, 16, 16).is_ok());
    }
    while app.live.device.next_readable(channel) == Ok(MqttReadableDataType::MessageReceived) {
        app.live.device.receive_message(channel, 16, 16).expect("a message");
        messages += 1;
    }
    assert!(
        (20..40).contains(&messages),
        "two a second over ten seconds, and a few while they come: {messages}"
    );
    assert_eq!(app.live.device.read_disconnect_response(channel), Ok((CIRCUIT_BREAKER, 0)));
    assert_eq!(app.live.device.publish(channel, 2, b"t", b"p"), Status::ChannelClosed);
}

/// Shows M02, M09, D02, D03.
#[test]
fn a_refused_request_counts_as_not_made() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    let good = app.connect_params("twice", broker.open);
    let device = &mut app.live.device;
    assert_eq!(device.call(Call::MqttRequestConnect, &[channel, 0x4000_0000]), Status::ParameterFault);
    let mut wild = good;
    wild.host.data = 0x4000_0000;
    assert_eq!(device.request_connect(channel, &wild), Status::LateFault);
    app.expect_no_event(QUIET_TIME);
    assert_eq!(app.connect(channel, &good).0, MqttRequestState::RequestCompleted);
    let device = &mut app.live.device;
    let huge = device.publish_params(1, b"t", &[b'x'; 1100], 1);
    assert_eq!(device.request_publish(channel, &huge), Status::InvalidBufferSize);
    assert_eq!(app.publish(channel, 1, "t", "p", 1, false).1, 1);
    assert_eq!(broker.count_log("Received PUBLISH from twice"), 1);
}

/// Shows M43, M46, D42, D43.
#[test]
fn without_tls_whoever_listens_reads_the_password() {
    let (sender, received) = std::sync::mpsc::channel();
    let listens = peer(move |mut stream| {
        let mut bytes = [0; 512];
        let count = stream.read(&mut bytes).unwrap_or(0);
        let _ = sender.send(bytes[..count].to_vec());
    });
    let site = Site::open();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    let mut request = app.connect_params("naive", listens);
    sign_in(&mut app, &mut request, ("me", "plain as day"));
    app.connect(channel, &request);
    let bytes = received.recv_timeout(Duration::from_secs(20)).expect("a CONNECT");
    assert!(bytes.windows(12).any(|bytes| bytes == b"plain as day"), "{bytes:?}");
    app.close_channel(channel);

    let site = Site::with(|config| config.require_tls = true);
    let mut app = App::online(&site);
    assert_eq!(
        state_of(&mut app, "127.0.0.1", listens),
        MqttRequestState::InvalidParameters,
        "a careful operator"
    );
    assert!(received.recv_timeout(QUIET_TIME).is_err(), "no connection was made");
}
