//! MQTT, from an application's calls to mosquitto, whose log is the evidence.

use std::time::Duration;

use abi::channel::ChannelType;
use abi::mqtt::{
    MqttConnectRequest, MqttReadableDataType, MqttRequestState, MqttSubscribeRequest, MqttSubscription,
    MqttWill,
};
use abi::{Call, Status};

use crate::broker::{Broker, FORBIDDEN, USER};
use crate::device::{App, LiveDevice, Site};
use kernel_testport::mqtt::{NOT_CONNECTED, READABLE};
use kernel_testport::{AppSetup, LINE};

const COMPLETED: u32 = MqttRequestState::RequestCompleted.raw();

/// How long a test waits to see that nothing happens.
const QUIET_TIME: Duration = Duration::from_millis(150);

const VERSION_3_1_1: u32 = 0;
const VERSION_5: u32 = 1;

/// Both versions of the protocol: the request's value, mosquitto's number, a name for clients.
const VERSIONS: [(u32, u32, &str); 2] = [(VERSION_3_1_1, 2, "three"), (VERSION_5, 5, "five")];

/// A channel connected by a request that `change` has changed.
fn connected(
    app: &mut App,
    broker: &Broker,
    client: &str,
    change: impl FnOnce(&mut App, &mut MqttConnectRequest),
) -> u32 {
    let channel = app.open_channel(ChannelType::Mqtt, 4096);
    let mut request = app.connect_params(client, broker.open);
    change(app, &mut request);
    assert_eq!(app.connect(channel, &request), (MqttRequestState::RequestCompleted, 0));
    channel
}

/// Shows M04, M05, M06.
#[test]
fn mqtt_runs_over_an_ordinary_channel_once_the_network_is_there() {
    let site = Site::open();
    let broker = Broker::start();
    let mut live = LiveDevice::new(&site);
    let centre = live.device.open_centre(LINE, 16);
    let network = live.device.request_network(&centre, 1);
    let setup = AppSetup { centre, network };
    let params = live.device.channel_params(&setup, ChannelType::Mqtt, 1536, 1536);
    assert_eq!(live.device.try_open_channel(&params), Status::NetworkNotConnected);
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1536);
    let request = app.connect_params("ordinary", broker.open);
    assert_eq!(app.connect(channel, &request), (MqttRequestState::RequestCompleted, 0));
}

/// Shows M02, M03, M07, M08, M12, M13, M14, M15, M23.
#[test]
fn a_connect_is_accepted_at_once_and_answered_when_the_broker_has() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1536);
    let request = app.connect_params("in-two-steps", broker.open);
    assert_eq!(app.live.device.request_connect(channel, &request), Status::Okay, "accepted, no more");
    assert_eq!(app.live.device.read_connect_response(channel), Err(Status::ResponseNotPresent));
    app.expect_readable(channel, MqttReadableDataType::ConnectResponse);
    assert_eq!(app.live.device.read_connect_response(channel), Ok((COMPLETED, 0)));
    app.expect_no_event(QUIET_TIME);
}

/// Shows M24, M25, M52, M53, M54, M55, M56.
#[test]
fn the_response_to_a_connect_is_announced_read_once_and_lets_the_application_publish() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1536);
    let request = app.connect_params("announced", broker.open);
    assert_eq!(app.live.device.next_readable(channel), Ok(MqttReadableDataType::None));
    assert_eq!(app.live.device.request_connect(channel, &request), Status::Okay);
    app.expect(READABLE);
    assert_eq!(app.live.device.next_readable(channel), Ok(MqttReadableDataType::ConnectResponse));
    assert_eq!(app.live.device.read_connect_response(channel), Ok((COMPLETED, 0)));
    assert_eq!(app.live.device.next_readable(channel), Ok(MqttReadableDataType::None));
    assert_eq!(
        app.publish(channel, 1, "t", "p", 1, false),
        (COMPLETED, 1, 0x10 * code(request.protocol_version, 1))
    );
}

/// Shows M01, M27, M28, M29, M32, M35, M36, M39.
#[test]
fn the_fields_of_a_connect_reach_the_broker() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, number, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| {
            request.protocol_version = version;
            (request.keepalive, request.clean_start) = (77, version as u8);
        });
        broker.expect_log(&format!("as {client} (p{number}, c{version}, k77)."));
        broker.expect_log("No will message specified.");
        app.expect_no_event(QUIET_TIME);
        app.close_channel(channel);
    }
}

/// Shows M41, M42, M57, M58, M60, M61.
#[test]
fn each_publish_reaches_the_broker_as_it_was_requested() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        for (qos, retain) in [(0, false), (1, false), (0, true), (1, true)] {
            let topic = format!("{client}/{qos}/{retain}");
            app.publish(channel, 1, &topic, "payload", qos, retain);
            let (q, r) = (qos, u32::from(retain));
            let line = broker.expect_log(&format!("Received PUBLISH from {client} (d0, q{q}, r{r}, "));
            assert!(line.contains(&format!("'{topic}'")) && line.ends_with("(7 bytes))"), "{line}");
            if retain {
                assert_eq!(broker.retained(&topic).as_deref(), Some("payload"));
            }
        }
        app.close_channel(channel);
    }
}

/// Shows M59, M62, M63, M64, D47.
#[test]
fn each_publish_is_answered_with_its_correlation_id() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        for (id, qos) in [(1, 0), (2, 1), (0, 0), (0xFFFF_FFFF, 1)] {
            let response = app.publish(channel, id, "topic", "payload", qos, false);
            assert_eq!(response, (COMPLETED, id, 0x10 * code(version, qos)));
        }
        app.close_channel(channel);
    }
}

/// Shows M65, M69.
#[test]
fn the_responses_to_one_message_on_several_topics_are_told_apart_by_their_ids() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        for id in 10..14 {
            let topic = format!("{client}/many/{id}");
            let device = &mut app.live.device;
            let request = device.publish_params(id, topic.as_bytes(), b"same", id % 2);
            assert_eq!(device.request_publish(channel, &request), Status::Okay);
        }
        let mut ids: Vec<u32> = (0..4)
            .map(|_| {
                app.expect_readable(channel, MqttReadableDataType::PublishResponse);
                app.live.device.read_publish_response(channel).expect("a response").1
            })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [10, 11, 12, 13], "in whatever order");
        app.close_channel(channel);
    }
}

/// Whether mosquitto reports that a publish has no subscribers (0x10): on version 5 with QoS 1.
fn code(version: u32, qos: u32) -> u32 {
    version * qos
}

/// A channel of a user, with a subscribe to three filters of QoS 1, 0 and 0 that has been accepted.
fn subscribing(app: &mut App, broker: &Broker, version: u32, client: &str) -> u32 {
    let channel = app.open_channel(ChannelType::Mqtt, 4096);
    let mut request = app.connect_params(client, broker.password);
    request.protocol_version = version;
    sign_in(app, &mut request, USER);
    assert_eq!(app.connect(channel, &request), (MqttRequestState::RequestCompleted, 0));
    assert_eq!(app.live.device.subscribe(channel, 40, &SUBSCRIPTIONS), Status::Okay);
    channel
}

const SUBSCRIPTIONS: [(&[u8], u32); 3] = [(b"a/+", 1), (FORBIDDEN.as_bytes(), 0), (b"b/#", 0)];

/// Shows M66, M67, M68, M72, M73, D45.
#[test]
fn several_topics_are_subscribed_to_in_one_request_and_one_request_at_a_time() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = subscribing(&mut app, &broker, version, client);
        let second = app.live.device.subscribe(channel, 41, &SUBSCRIPTIONS);
        assert_eq!(second, Status::RateLimited, "one at a time");
        app.expect_readable(channel, MqttReadableDataType::SubscribeResponse);
        broker.expect_log(&format!("{client} 1 a/+"));
        broker.expect_log(&format!("{client} 0 b/#"));
        app.close_channel(channel);
    }
}

/// Shows M74, M75, M76, M77, M78, M79, M80, D40.
#[test]
fn the_response_to_a_subscribe_has_a_code_for_each_topic_in_their_order() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = subscribing(&mut app, &broker, version, client);
        app.expect_readable(channel, MqttReadableDataType::SubscribeResponse);
        let device = &mut app.live.device;
        let too_small = device.read_subscribe_response(channel, 2).err();
        assert_eq!(too_small, Some(Status::InvalidBufferSize), "codes, not bytes");
        // mosquitto applies its access list when messages flow, and grants what was requested.
        assert_eq!(device.read_subscribe_response(channel, 3), Ok((COMPLETED, 40, vec![1, 0, 0])));
        app.close_channel(channel);
    }
}

/// Shows M70, M71, M85.
#[test]
fn the_options_of_version_5_reach_the_broker() {
    let site = Site::open();
    let broker = Broker::start();
    broker.publish("kept", "old", &["-r"]);
    let mut app = App::online(&site);
    let channel = connected(&mut app, &broker, "options", |_, request| request.protocol_version = VERSION_5);
    // No local; retain as published; no retained messages at the subscription (2) or with it (0).
    let options = [("own/#", 1, 0, 0), ("kept", 0, 0, 2), ("as/it/was", 0, 1, 0), ("without", 0, 0, 0)];
    let device = &mut app.live.device;
    let mut array = Vec::new();
    for (filter, nl, rap, rh) in options {
        let topic = device.flash_string(filter.as_bytes());
        array.extend(MqttSubscription { topic, desired_qos: 1, nl, rap, rh }.to_bytes());
    }
    let subscriptions = device.alloc_bytes(&array);
    let request = MqttSubscribeRequest { correlation_id: 1, subscriptions, num_subscriptions: 4 };
    let at = device.alloc_bytes(&request.to_bytes());
    device.call_ok(Call::MqttRequestSubscribe, &[channel, at]);
    app.expect_readable(channel, MqttReadableDataType::SubscribeResponse);
    assert_eq!(app.live.device.read_subscribe_response(channel, 4), Ok((COMPLETED, 1, vec![1; 4])));
    app.publish(channel, 2, "own/word", "not for me", 1, false);
    app.expect_no_event(QUIET_TIME);
    broker.publish("as/it/was", "x", &["-r"]);
    assert_eq!(app.receive_message(channel).retain, 1, "as published");
    broker.publish("without", "x", &["-r"]);
    assert_eq!(app.receive_message(channel).retain, 0, "not retained for one who was there");
    app.expect_no_event(QUIET_TIME);
    app.close_channel(channel);
    without_meaning_on_3_1_1(&mut app, &broker, &request);
}

/// The same subscriptions on version 3.1.1: the options mean nothing there.
fn without_meaning_on_3_1_1(app: &mut App, broker: &Broker, request: &MqttSubscribeRequest) {
    let channel = connected(app, broker, "no options", |_, request| request.protocol_version = VERSION_3_1_1);
    let request = app.live.device.alloc_bytes(&request.to_bytes());
    app.live.device.call_ok(Call::MqttRequestSubscribe, &[channel, request]);
    app.expect_readable(channel, MqttReadableDataType::SubscribeResponse);
    assert_eq!(app.live.device.read_subscribe_response(channel, 4), Ok((COMPLETED, 1, vec![1; 4])));
    let mut kept: Vec<_> = (0..3).map(|_| app.receive_message(channel).topic).collect();
    kept.sort_unstable();
    assert_eq!(kept, [&b"as/it/was"[..], b"kept", b"without"], "with the subscription, wanted or not");
    let device = &mut app.live.device;
    let own = device.publish_params(3, b"own/word", b"for me", 0);
    assert_eq!(device.request_publish(channel, &own), Status::Okay);
    let mut arrived = vec![];
    for _ in 0..2 {
        app.expect(READABLE);
        let next = app.live.device.next_readable(channel).expect("something");
        match next {
            MqttReadableDataType::MessageReceived => drop(app.live.device.receive_message(channel, 64, 64)),
            _ => drop(app.live.device.read_publish_response(channel)),
        }
        arrived.push(next);
    }
    assert!(arrived.contains(&MqttReadableDataType::MessageReceived), "it received its own message");
}

/// Shows M24, M26, M81, M82, M83, M84, M85, M88, D12.
#[test]
fn a_message_arrives_with_everything_it_has() {
    let site = Site::open();
    let broker = Broker::start();
    broker.publish("in/kept", "retained", &["-r"]);
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        app.subscribe(channel, 1, &[(b"in/kept", 1), (b"in/+/now", 0)]);
        app.expect_readable(channel, MqttReadableDataType::MessageReceived);
        let device = &mut app.live.device;
        // Buffers that are too small leave it where it is.
        assert_eq!(device.receive_message(channel, 64, 3).err(), Some(Status::InvalidBufferSize));
        let message = device.receive_message(channel, 64, 64).expect("a message");
        assert_eq!((&message.topic[..], &message.payload[..]), (&b"in/kept"[..], &b"retained"[..]));
        assert_eq!((message.qos, message.retain), (1, 1));
        broker.publish("in/just/now", "", &[]);
        let message = app.receive_message(channel);
        assert_eq!((&message.topic[..], &message.payload[..]), (&b"in/just/now"[..], &b""[..]));
        assert_eq!((message.qos, message.retain, message.correlation), (0, 0, 0));
        app.expect_no_event(QUIET_TIME);
        app.close_channel(channel);
    }
}

/// Shows M86, M87, M92, D48, D83.
#[test]
fn a_message_is_acknowledged_to_the_broker_when_the_application_acknowledges_it_by_its_id() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        app.subscribe(channel, 1, &[(b"in", 1)]);
        broker.publish("in", "x", &["-q", "1"]);
        let message = app.receive_message(channel);
        assert_ne!(message.correlation, 0);
        app.live.run_for(QUIET_TIME);
        let acknowledged = format!("Received PUBACK from {client}");
        assert_eq!(broker.count_log(&acknowledged), 0, "not before the application does");
        app.live.device.call_ok(Call::MqttAcknowledgeMessage, &[channel, message.correlation]);
        app.live.run_for(QUIET_TIME);
        broker.expect_log(&acknowledged);
        app.close_channel(channel);
    }
}

/// Shows M89, M90, M14.
#[test]
fn unsubscribing_ends_the_messages_and_disconnecting_the_connection() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let channel = connected(&mut app, &broker, client, |_, request| request.protocol_version = version);
        app.subscribe(channel, 1, &[(b"in", 0), (b"other", 0)]);
        assert_eq!(app.live.device.unsubscribe(channel, 2, &[b"in", b"other"]), Status::Okay);
        app.expect_readable(channel, MqttReadableDataType::UnsubscribeResponse);
        let (state, id, codes) = app.live.device.read_unsubscribe_response(channel, 2).expect("a response");
        assert_eq!((state, id), (COMPLETED, 2));
        assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
        broker.publish("in", "no subscriber", &[]);
        app.expect_no_event(QUIET_TIME);
        assert_eq!(app.disconnect(channel), (COMPLETED, 0));
        broker.expect_log(&format!("Received DISCONNECT from {client}"));
        app.expect_no_event(QUIET_TIME);
        app.close_channel(channel);
    }
}

/// A will of this QoS and retain flag.
fn with_will(app: &mut App, request: &mut MqttConnectRequest, topic: &str, qos: u32, retain: u8) {
    let device = &mut app.live.device;
    let (topic, payload) = (device.flash_string(topic.as_bytes()), device.flash_string(b"gone"));
    request.will = device.alloc_bytes(&MqttWill { topic, payload, qos, retain }.to_bytes());
}

/// Shows M37, M38, M40, M41, M42, M91, D52.
#[test]
fn a_will_is_sent_when_the_device_is_lost_and_not_when_it_leaves() {
    let site = Site::open();
    let broker = Broker::start();
    let mut witness = App::online(&site);
    let watching = witness.open_connected_channel("witness", broker.open);
    witness.subscribe(watching, 1, &[(b"will/#", 1)]);
    for (qos, version) in [(0, VERSION_3_1_1), (1, VERSION_5)] {
        let mut app = App::online(&site);
        let topic = format!("will/{qos}");
        let client = format!("mortal{qos}");
        let request = |app: &mut App, request: &mut MqttConnectRequest| {
            request.protocol_version = version;
            with_will(app, request, &topic, qos, 1);
        };
        let channel = connected(&mut app, &broker, &client, request);
        assert_eq!(app.disconnect(channel), (COMPLETED, 0));
        app.close_channel(channel);
        witness.expect_no_event(QUIET_TIME);

        connected(&mut app, &broker, &client, request);
        app.live.unplug();
        let message = witness.receive_message(watching);
        assert_eq!((&message.topic[..], &message.payload[..]), (topic.as_bytes(), &b"gone"[..]));
        assert_eq!(message.qos, qos);
        assert_eq!(broker.retained(&topic).as_deref(), Some("gone"));
    }
    let mut app = App::online(&site);
    let channel = app.open_channel(ChannelType::Mqtt, 1024);
    let mut request = app.connect_params("too good", broker.open);
    with_will(&mut app, &mut request, "will/2", 2, 0);
    assert_eq!(app.connect(channel, &request).0, MqttRequestState::InvalidParameters);
}

/// Shows M30, M31, M32, M33, D41, D50, D90.
#[test]
fn the_client_id_names_a_session_that_persists_without_clean_start() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, _, client) in VERSIONS {
        let start = |clean: u8| {
            move |_: &mut App, request: &mut MqttConnectRequest| {
                (request.protocol_version, request.clean_start) = (version, clean);
            }
        };
        let channel = connected(&mut app, &broker, client, start(0));
        app.subscribe(channel, 1, &[(b"meanwhile", 1)]);
        app.disconnect(channel);
        app.close_channel(channel);
        broker.publish("meanwhile", client, &[]);
        // The message waits at the broker for a client without clean start …
        let channel = connected(&mut app, &broker, client, start(0));
        let message = app.receive_message(channel);
        assert_eq!(message.payload, client.as_bytes());
        app.live.device.call_ok(Call::MqttAcknowledgeMessage, &[channel, message.correlation]);
        app.disconnect(channel);
        app.close_channel(channel);
        // … and everything is dropped for one with clean start.
        let channel = connected(&mut app, &broker, client, start(1));
        broker.publish("meanwhile", client, &[]);
        app.expect_no_event(QUIET_TIME);
        // A second client with the same id disconnects the first.
        let second = app.open_channel(ChannelType::Mqtt, 1024);
        let mut request = app.connect_params(client, broker.open);
        request.protocol_version = version;
        assert_eq!(app.live.device.request_connect(second, &request), Status::Okay);
        taken_over(&mut app, channel);
        assert_eq!(app.live.device.read_connect_response(second), Ok((COMPLETED, 0)));
        app.close_channel(second);
        app.close_channel(channel);
    }
    empty_ids(&mut app, &broker);
}

/// Two readable items and one end arrive, in an order that depends on two connections.
fn taken_over(app: &mut App, channel: u32) {
    let mut events = vec![app.next_event(), app.next_event()];
    events.sort_unstable();
    let mut expected = vec![READABLE, NOT_CONNECTED];
    expected.sort_unstable();
    assert_eq!(events, expected);
    // This broker closes the connection without a DISCONNECT, on version 5 as well.
    assert_eq!(app.live.device.read_disconnect_response(channel), Ok((COMPLETED, 0)));
}

/// The broker decides about an empty id: it assigns one to a client with clean start, and refuses others on 3.1.1.
fn empty_ids(app: &mut App, broker: &Broker) {
    for (version, clean, code) in [(VERSION_3_1_1, 1, 0), (VERSION_3_1_1, 0, 2), (VERSION_5, 1, 0)] {
        let channel = app.open_channel(ChannelType::Mqtt, 1024);
        let mut request = app.connect_params("", broker.open);
        (request.protocol_version, request.clean_start) = (version, clean);
        let state =
            if code == 0 { MqttRequestState::RequestCompleted } else { MqttRequestState::NotConnected };
        assert_eq!(app.connect(channel, &request), (state, code), "{version} {clean}");
        app.close_channel(channel);
    }
}

/// User name and password.
pub(crate) fn sign_in(app: &mut App, request: &mut MqttConnectRequest, (user, password): (&str, &str)) {
    let device = &mut app.live.device;
    request.authentication.method = 1;
    request.authentication.username_password.username = device.flash_string(user.as_bytes());
    request.authentication.username_password.password = device.flash_string(password.as_bytes());
}

/// Shows M43, M44, M45, M55, D90.
#[test]
fn a_broker_accepts_the_right_password_and_no_other() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    for (version, refused) in [(VERSION_3_1_1, 5), (VERSION_5, 0x87)] {
        let wrong = (USER.0, "wrong");
        for (credentials, code) in [(Some(USER), 0), (Some(wrong), refused), (None, refused)] {
            let channel = app.open_channel(ChannelType::Mqtt, 1024);
            let mut request = app.connect_params("secretive", broker.password);
            request.protocol_version = version;
            if let Some(credentials) = credentials {
                sign_in(&mut app, &mut request, credentials);
            }
            let (state, found) = app.connect(channel, &request);
            assert_eq!(found, code, "{credentials:?}");
            assert_eq!(state == MqttRequestState::RequestCompleted, code == 0, "{state:?}");
            app.close_channel(channel);
        }
    }
    assert_eq!(broker.count_log("u'sensor'"), 2, "the name reached it, each time it was let in");
}
