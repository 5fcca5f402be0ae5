//! Connecting to a broker: what the broker gets, and what becomes of it.

mod common;

use common::{ConnectRequest, Rig, SocketState, connack, connected, disconnected, published};
use link::channel::ChannelType;
use link::kind::to_cloud;
use link::mqtt::RequestState as State;
use relay::{
    ConnectError, ConnectionEnd, CredentialsError, Notice, Security, Settings, TlsOptions, TlsPorts,
    limits::RECONNECT_DELAY,
};
use sansio::Duration;

fn connect_packet(request: &ConnectRequest) -> Vec<u8> {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(channel, to_cloud::CONNECT, &request.body());
    rig.opened(1);
    assert_eq!(rig.received, []);
    rig.sent(1)
}

fn refused(request: &ConnectRequest, settings: Settings) {
    let mut rig = Rig::open_with(settings);
    let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
    rig.send(channel, to_cloud::CONNECT, &request.body());
    assert_eq!(rig.answers(), [connected(State::InvalidParameters, 0)]);
    assert!(rig.targets.is_empty(), "no connection was opened");
}

fn is_invalid(request: &ConnectRequest) {
    refused(request, Settings::default());
}

/// Shows M01, M10, M12, M15, M27, M29, M30, M35, M36, M55, M56.
#[test]
fn a_connect_is_answered_when_the_broker_has_accepted_it() {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(
        channel,
        to_cloud::CONNECT,
        &ConnectRequest { keepalive: 60, ..ConnectRequest::default() }.body(),
    );
    let (_, target) = rig.targets[0].clone();
    assert_eq!((target.host.as_str(), target.port, target.tls), ("broker.example", 1883, None));
    rig.opened(1);
    assert_eq!(rig.sent(1), [0x10, 15, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 3, b'd', b'e', b'v']);
    assert_eq!(rig.received, [], "not before the broker says so");
    rig.broker_sends(1, [0x20, 2, 0]);
    assert_eq!(rig.received, []);
    rig.broker_sends(1, [0]);
    assert_eq!(rig.answers(), [connected(State::Completed, 0)]);
}

/// Shows M33, M35.
#[test]
fn version_5_announces_what_the_link_carries_and_a_session_that_lasts() {
    let request = ConnectRequest { version5: true, clean_start: false, ..ConnectRequest::default() };
    let properties = [0x11, 0xff, 0xff, 0xff, 0xff, 0x21, 0, 32, 0x27, 0, 8, 0, 0];
    let mut expected = vec![0x10, 29, 0, 4, b'M', b'Q', b'T', b'T', 5, 0, 0, 0, 13];
    expected.extend(properties);
    expected.extend([0, 3, b'd', b'e', b'v']);
    assert_eq!(connect_packet(&request), expected);
}

/// Shows M32, M33.
#[test]
fn clean_start_is_the_applications_word() {
    let with = connect_packet(&ConnectRequest::default());
    let without = connect_packet(&ConnectRequest { clean_start: false, ..ConnectRequest::default() });
    assert_eq!((with[9], without[9]), (2, 0));
}

/// Shows M31, D41.
#[test]
fn an_empty_client_id_is_the_brokers_to_judge() {
    let request = ConnectRequest { clean_start: false, client_id: Vec::new(), ..ConnectRequest::default() };
    assert_eq!(connect_packet(&request), [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 0]);
}

/// Shows M43, M44, M45, M46.
#[test]
fn user_name_and_password_go_to_the_broker() {
    let packet =
        connect_packet(&ConnectRequest { credentials: Some(("me", "secret")), ..ConnectRequest::default() });
    assert_eq!(packet[9], 0xc2);
    assert_eq!(packet[17..], *b"\x00\x02me\x00\x06secret");
}

/// Shows M44.
#[test]
fn an_empty_password_is_none() {
    let packet =
        connect_packet(&ConnectRequest { credentials: Some(("me", "")), ..ConnectRequest::default() });
    assert_eq!(packet[9], 0x82);
    assert_eq!(packet[17..], *b"\x00\x02me");
}

/// Shows M37, M38, M40, M41.
#[test]
fn a_will_goes_to_the_broker_with_its_options() {
    let will = |options| Some((options, b"w".to_vec(), b"bye".to_vec()));
    let packet = connect_packet(&ConnectRequest { will: will(3), ..ConnectRequest::default() });
    assert_eq!(packet[9], 0x2e, "retained, of QoS 1");
    assert_eq!(packet[17..], *b"\x00\x01w\x00\x03bye");
    let packet = connect_packet(&ConnectRequest { will: will(0), ..ConnectRequest::default() });
    assert_eq!(packet[9], 0x06);
    let packet =
        connect_packet(&ConnectRequest { version5: true, will: will(1), ..ConnectRequest::default() });
    assert_eq!(packet[9], 0x0e);
    assert!(packet.ends_with(b"\x00\x00\x01w\x00\x03bye"), "no properties of the will");
}

/// Shows M47, M48, M49, M50, D42.
#[test]
fn tls_credentials_are_part_of_the_target() {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    let tls = Some((vec![b"ca1".to_vec(), b"ca2".to_vec()], vec![b"own".to_vec()], b"key".to_vec()));
    rig.send(
        channel,
        to_cloud::CONNECT,
        &ConnectRequest { tls, port: 8883, ..ConnectRequest::default() }.body(),
    );
    let expected = TlsOptions {
        authorities: vec![b"ca1".to_vec(), b"ca2".to_vec()],
        chain: vec![b"own".to_vec()],
        key: b"key".to_vec(),
    };
    assert_eq!((rig.targets[0].1.port, rig.targets[0].1.tls.as_ref()), (8883, Some(&expected)));
}

/// Shows D42, M46.
#[test]
fn an_operator_can_ask_for_tls() {
    let settings = Settings { require_tls: true, ..Settings::default() };
    refused(&ConnectRequest::default(), settings);
    let mut rig = Rig::open_with(settings);
    let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
    let tls = Some((Vec::new(), Vec::new(), Vec::new()));
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest { tls, ..ConnectRequest::default() }.body());
    assert_eq!(rig.targets[0].1.tls, Some(TlsOptions::default()), "no authorities: the public ones");
}

/// Shows M16, M34, M40, D46.
#[test]
fn what_a_broker_may_not_be_sent_is_invalid() {
    let ok = ConnectRequest::default();
    is_invalid(&ConnectRequest { out_of_range: true, ..ok.clone() });
    is_invalid(&ConnectRequest { keepalive: 65_536, ..ok.clone() });
    is_invalid(&ConnectRequest { port: 0, ..ok.clone() });
    is_invalid(&ConnectRequest { host: Vec::new(), ..ok.clone() });
    is_invalid(&ConnectRequest { host: vec![0xff], ..ok.clone() });
    is_invalid(&ConnectRequest { client_id: vec![0xff], ..ok.clone() });
    is_invalid(&ConnectRequest { client_id: vec![0], ..ok.clone() });
    is_invalid(&ConnectRequest { will: Some((4, b"w".to_vec(), Vec::new())), ..ok.clone() });
    is_invalid(&ConnectRequest { will: Some((0, b"w/#".to_vec(), Vec::new())), ..ok.clone() });
    is_invalid(&ConnectRequest { will: Some((0, Vec::new(), Vec::new())), ..ok.clone() });
    is_invalid(&ConnectRequest { will: Some((0, b"w".to_vec(), vec![0; 65_536])), ..ok });
}

/// Shows D185: nothing a device says in text can begin a line of another protocol.
#[test]
fn a_control_character_in_text_is_invalid_and_no_connection_is_opened() {
    let ok = ConnectRequest::default();
    for control in ["\r", "\n", "\t", "\u{1b}", "\u{7f}", "\u{85}", "\u{9b}"] {
        let text = |before: &str| format!("{before}{control}FLUSHALL").into_bytes();
        is_invalid(&ConnectRequest { host: text("127.0.0.1"), ..ok.clone() });
        is_invalid(&ConnectRequest { client_id: text("dev"), ..ok.clone() });
        is_invalid(&ConnectRequest { client_id: text("dev"), version5: true, ..ok.clone() });
        is_invalid(&ConnectRequest { will: Some((0, text("w"), Vec::new())), ..ok.clone() });
    }
    for user_name in ["me\r\nQUIT", "me\u{0}", "me\u{9b}"] {
        is_invalid(&ConnectRequest { credentials: Some((user_name, "")), ..ok.clone() });
    }
    // Binary by MQTT, so they go as they are.
    let payload = Some((0, b"w".to_vec(), b"\r\n\0".to_vec()));
    let packet = connect_packet(&ConnectRequest { credentials: Some(("me", "a\r\nb")), will: payload, ..ok });
    assert!(packet.ends_with(b"\x00\x03\r\n\0\x00\x02me\x00\x04a\r\nb"), "{packet:?}");
}

/// Shows D42, D185, D190: people read why, on the timeline.
#[test]
fn a_connect_that_is_not_allowed_says_why_on_the_timeline() {
    let settings = Settings { require_tls: true, ..Settings::default() };
    let cause = |request: &ConnectRequest| {
        let mut rig = Rig::open_with(settings);
        let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
        rig.send(channel, to_cloud::CONNECT, &request.body());
        let cause = rig.notices.into_iter().find_map(|notice| match notice {
            Notice::ConnectFailed { error, .. } => Some(error),
            _ => None,
        });
        cause.expect("said")
    };
    assert_eq!(cause(&ConnectRequest::default()), ConnectError::TlsRequired);
    let host = ConnectRequest { host: b"a\nb".to_vec(), ..ConnectRequest::default() };
    assert_eq!(cause(&host), ConnectError::ControlCharacter);
}

/// Shows M36.
#[test]
fn the_longest_keepalive_is_65535_seconds() {
    let packet = connect_packet(&ConnectRequest { keepalive: 65_535, ..ConnectRequest::default() });
    assert_eq!(packet[10..12], [0xff, 0xff]);
}

/// The causes on the timeline and for the operator.
fn causes(rig: &mut Rig) -> Vec<ConnectError> {
    let cause = |notice| match notice {
        Notice::ConnectFailed { host, port, error, .. } => {
            assert_eq!((host.as_str(), port), ("broker.example", 1883));
            Some(error)
        }
        _ => None,
    };
    std::mem::take(&mut rig.notices).into_iter().filter_map(cause).collect()
}

/// Shows M10, M11, M16, M19, M20, M21, D62, D190.
#[test]
fn a_connection_that_cannot_be_established_is_answered_by_its_cause() {
    for (cause, state) in [
        (ConnectError::NameNotResolved, State::NameNotResolved),
        (ConnectError::ResolveTimedOut, State::NameNotResolved),
        (ConnectError::UnknownCa, State::UnknownCa),
        (ConnectError::CertificateExpired, State::CertificateExpired),
        (ConnectError::CertificateNotYetValid, State::SocketError),
        (ConnectError::CertificateName { names: vec!["other.example".into()] }, State::SocketError),
        (ConnectError::CertificateAlgorithm("SHA-1".into()), State::SocketError),
        (ConnectError::ClientCertificateRequired, State::SocketError),
        (ConnectError::TlsAlert("handshake_failure".into()), State::SocketError),
        (ConnectError::NotTls, State::SocketError),
        (ConnectError::Refused, State::SocketError),
        (ConnectError::Unreachable, State::SocketError),
        (ConnectError::TimedOut, State::SocketError),
        (ConnectError::TlsTimedOut, State::SocketError),
        (ConnectError::NotAllowed, State::SocketError),
        (ConnectError::TooMany, State::SocketError),
        (ConnectError::InvalidCredentials(CredentialsError::Mismatch), State::InvalidParameters),
    ] {
        // The log and the metrics need it, so it is reported without subscribers, too.
        let mut rig = Rig::open_with(Settings::default());
        let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
        rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
        rig.failed(1, cause.clone());
        assert_eq!(rig.answers(), [connected(state, 0)]);
        assert_eq!(causes(&mut rig), [cause]);
        rig.send(channel, to_cloud::PUBLISH, &common::publish(0, 0, "t", "p"));
        assert_eq!(rig.answers(), [published(0, State::NotConnected, 0)], "the channel stays");
    }
}

/// What the broker does with a connection that stands, the state, code and cause it comes to.
type Refusal = (fn(&mut Rig), State, u32, ConnectError);

/// Shows M21, M55, D90, D95, D190.
#[test]
fn whatever_a_broker_does_instead_of_accepting_has_its_own_cause() {
    let refusals: [Refusal; 7] = [
        (
            |rig| rig.broker_sends(1, [0x20, 3, 0, 0x87, 0]),
            State::NotConnected,
            0x87,
            ConnectError::MqttRefused { version5: true, code: 0x87 },
        ),
        (
            |rig| rig.broker_sends(1, [0xe0, 1, 0x89]),
            State::NotConnected,
            0x89,
            ConnectError::MqttRefused { version5: true, code: 0x89 },
        ),
        (
            |rig| rig.broker_sends(1, [0x00, 0x00]),
            State::SocketError,
            0,
            ConnectError::MqttProtocol(mqtt::ProtocolError {
                reason_code: 0x81,
                cause: "a reserved packet type",
            }),
        ),
        (|rig| rig.broker_closes(1, true), State::SocketError, 0, ConnectError::MqttClosed),
        (|rig| rig.broker_closes(1, false), State::SocketError, 0, ConnectError::MqttLost),
        (
            |rig| rig.broker_ends(1, ConnectionEnd::Failed(ConnectError::ClientCertificateRequired)),
            State::SocketError,
            0,
            ConnectError::ClientCertificateRequired,
        ),
        (|rig| rig.wait(20_000), State::SocketError, 0, ConnectError::MqttTimedOut),
    ];
    for (does, state, code, cause) in refusals {
        let (mut rig, channel) = Rig::with_channel(common::RING);
        rig.send(
            channel,
            to_cloud::CONNECT,
            &ConnectRequest { version5: true, ..ConnectRequest::default() }.body(),
        );
        rig.opened(1);
        does(&mut rig);
        assert_eq!(rig.answers(), [connected(state, code)], "{cause}");
        assert_eq!(causes(&mut rig), [cause]);
        assert_eq!(rig.socket(1).state, SocketState::Closed);
    }
}

/// Shows M21.
#[test]
fn a_connection_closed_before_connack_is_a_socket_error() {
    for clean in [true, false] {
        let (mut rig, channel) = Rig::with_channel(common::RING);
        rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
        rig.opened(1);
        rig.broker_closes(1, clean);
        assert_eq!(rig.answers(), [connected(State::SocketError, 0)]);
    }
}

/// Shows M12, M21.
#[test]
fn a_connection_closed_before_it_was_said_to_be_open_is_a_socket_error() {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    rig.broker_closes(1, false);
    assert_eq!(rig.answers(), [connected(State::SocketError, 0)]);
}

/// Shows M21, M12.
#[test]
fn a_broker_that_does_not_answer_is_a_socket_error_after_20_seconds() {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    rig.opened(1);
    rig.wait(19_999);
    assert_eq!(rig.received, []);
    rig.wait(1);
    assert_eq!(rig.answers(), [connected(State::SocketError, 0)]);
    assert_eq!(rig.socket(1).state, SocketState::Closed);
}

/// Shows M55, D90.
#[test]
fn a_refusal_of_the_broker_is_reported_with_its_code() {
    for (version5, packet, code) in
        [(false, &[0x20, 2, 0, 5][..], 5), (true, &[0x20, 3, 0, 0x87, 0][..], 0x87)]
    {
        let (mut rig, channel) = Rig::with_channel(common::RING);
        rig.send(
            channel,
            to_cloud::CONNECT,
            &ConnectRequest { version5, ..ConnectRequest::default() }.body(),
        );
        rig.opened(1);
        rig.broker_sends(1, packet);
        assert_eq!(rig.answers(), [connected(State::NotConnected, code)]);
        assert_eq!(rig.socket(1).state, SocketState::Closed);
    }
}

/// Shows M17, D91.
#[test]
fn a_second_connect_is_answered_already_connected() {
    let connect = ConnectRequest::default().body();
    let again = connected(State::AlreadyConnected, 0);
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(channel, to_cloud::CONNECT, &connect);
    rig.send(channel, to_cloud::CONNECT, &connect);
    assert_eq!(rig.answers(), [again], "while the first is under way");
    rig.opened(1);
    rig.broker_sends(1, connack(false));
    assert_eq!(rig.answers(), [connected(State::Completed, 0)]);
    rig.send(channel, to_cloud::CONNECT, &connect);
    assert_eq!(rig.answers(), [again], "while connected");
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    assert_eq!(rig.answers(), [disconnected(State::Completed, 0)]);
    rig.send(channel, to_cloud::CONNECT, &connect);
    assert_eq!(rig.answers(), [again], "after the end");
    assert_eq!(rig.targets.len(), 1);
}

/// Shows M17, D91.
#[test]
fn a_connect_that_failed_was_tried() {
    let (mut rig, channel) = Rig::with_channel(common::RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest { port: 0, ..ConnectRequest::default() }.body());
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    let answers = [connected(State::InvalidParameters, 0), connected(State::AlreadyConnected, 0)];
    assert_eq!(rig.answers(), answers);
}

/// Shows M12, M18, D93.
#[test]
fn a_disconnect_takes_back_a_connect_under_way() {
    for opened in [false, true] {
        let (mut rig, channel) = Rig::with_channel(common::RING);
        rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
        if opened {
            rig.opened(1);
        }
        rig.send(channel, to_cloud::DISCONNECT, &[]);
        let answers = [connected(State::NotConnected, 0), disconnected(State::NotConnected, 0)];
        assert_eq!(rig.answers(), answers);
        assert_eq!(rig.socket(1).state, SocketState::Closed);
    }
}

/// Shows M46, D42, D196.
#[test]
fn without_tls_credentials_the_port_decides_whether_there_is_tls() {
    let open = |port, settings: Settings| {
        let mut rig = Rig::open_with(Settings { notices: true, ..settings });
        let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
        rig.send(channel, to_cloud::CONNECT, &ConnectRequest { port, ..ConnectRequest::default() }.body());
        let security = rig.notices.iter().find_map(|notice| match notice {
            Notice::BrokerConnecting { security, .. } => Some(*security),
            _ => None,
        });
        (rig.targets.pop().map(|(_, target)| target.tls), security)
    };
    let public = (Some(Some(TlsOptions::default())), Some(Security::TlsByPort));
    let plain = (Some(None), Some(Security::Plain));
    let default = Settings::default();
    assert_eq!(open(8883, default), public);
    assert_eq!(open(443, default), public);
    assert_eq!(open(1883, default), plain);
    assert_eq!(open(8884, default), plain);
    let other = TlsPorts::default().without(8883).with(8884).expect("room");
    assert_eq!(open(8883, Settings { tls_ports: other, ..default }), plain);
    assert_eq!(open(8884, Settings { tls_ports: other, ..default }), public);
    // That is TLS for an operator who requires it.
    assert_eq!(open(8883, Settings { require_tls: true, ..default }), public);
    assert_eq!(open(1883, Settings { require_tls: true, ..default }), (None, None));
}

/// Connects on a new channel, which fails; after which delay it was tried.
fn connect_and_fail(rig: &mut Rig, connection: u32) -> Duration {
    let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
    let before = rig.now;
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    while rig.targets.is_empty() {
        assert_eq!(rig.received, [], "no connect is refused");
        rig.wait(50);
    }
    rig.targets.clear();
    let waited = rig.now.duration_since(before);
    rig.failed(connection, ConnectError::Refused);
    assert_eq!(rig.answers(), [connected(State::SocketError, 0)]);
    rig.close(channel);
    rig.received();
    waited
}

/// Shows D197.
#[test]
fn connects_that_keep_failing_are_delayed_and_that_is_reported_once() {
    let mut rig = Rig::open_with(Settings::default());
    let delays: Vec<Duration> = (1..=12).map(|connection| connect_and_fail(&mut rig, connection)).collect();
    assert_eq!(delays[..7], [0, 0, 0, 250, 500, 1000, 2000].map(Duration::from_millis));
    assert!(delays[8..].iter().all(|delay| *delay == RECONNECT_DELAY), "{delays:?}");
    let delayed = rig.notices.iter().filter(|notice| matches!(notice, Notice::ConnectDelayed { .. }));
    assert_eq!(delayed.count(), 1);
    assert_eq!(rig.relay.take_counts().delayed, 9);
    // An operator who wants none gets none.
    let mut rig = Rig::open_with(Settings { reconnect_delay: Duration::ZERO, ..Settings::default() });
    assert!((1..=12).all(|connection| connect_and_fail(&mut rig, connection).is_zero()));
}

/// Shows D93, D197.
#[test]
fn a_delayed_connect_can_be_cancelled() {
    let mut rig = Rig::open_with(Settings::default());
    (1..=4).for_each(|connection| {
        connect_and_fail(&mut rig, connection);
    });
    let channel = rig.open_channel(ChannelType::Mqtt, common::RING);
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    rig.send(channel, to_cloud::CONNECT, &ConnectRequest::default().body());
    assert_eq!(rig.answers(), [connected(State::AlreadyConnected, 0)]);
    rig.send(channel, to_cloud::DISCONNECT, &[]);
    assert_eq!(rig.answers(), [connected(State::NotConnected, 0), disconnected(State::NotConnected, 0)]);
    rig.wait(60_000);
    assert!(rig.targets.is_empty(), "no connection is opened");
}

/// Shows D192: each kind is reported once and counted each time.
#[test]
fn a_harmless_departure_from_mqtt_is_reported_once() {
    let (mut rig, _) = Rig::with_broker(false, common::RING);
    rig.notices.clear();
    (0..3).for_each(|_| rig.broker_sends(1, [0x38, 3, 0, 1, b't']));
    let received = rig.notices.iter().filter_map(|notice| match notice {
        Notice::Deviation { deviation, .. } => Some(*deviation),
        _ => None,
    });
    assert_eq!(received.collect::<Vec<_>>(), [mqtt::Deviation::DupOnQos0]);
    assert_eq!(rig.relay.take_counts().deviations[mqtt::Deviation::DupOnQos0 as usize], 3);
}
