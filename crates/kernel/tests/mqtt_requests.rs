//! MQTT requests: what is sent, what is refused, and the responses.

use abi::channel::ChannelType;
use abi::mqtt::{
    MqttAuthentication, MqttConnectRequest, MqttPublishRequest, MqttReadableDataType, MqttSubscribeRequest,
    MqttSubscription, MqttUnsubscribeRequest, MqttWill, OwnTlsCertificateChain, TlsCertificateChain,
    TlsCredentials, UsernamePassword,
};
use abi::strings::SizedString;
use abi::{Call, Status};
use kernel::limits::{MAX_ACKNOWLEDGEMENTS, MAX_PUBLISHES};
use kernel_testport::TestDevice;
use kernel_testport::mqtt::{NOT_CONNECTED, READABLE};
use link::kind::to_cloud;
use link::mqtt::{Connect, Publish, RequestState, Subscribe, SubscribeOptions, Topic, TopicRef, Unsubscribe};

const NOWHERE: SizedString = SizedString { data: 0x4000_0000, length: 4 };
const NULL: SizedString = SizedString { data: 0, length: 0 };

fn chain(device: &mut TestDevice, certificates: &[&[u8]]) -> TlsCertificateChain {
    let mut array = Vec::new();
    for certificate in certificates {
        array.extend(device.flash_string(certificate).to_bytes());
    }
    TlsCertificateChain { num_certs: certificates.len() as u32, certs: device.alloc_bytes(&array) }
}

fn tls(device: &mut TestDevice, authorities: &[&[u8]], own: &[&[u8]], key: &[u8]) -> u32 {
    let cacert = chain(device, authorities);
    let clientcert = OwnTlsCertificateChain { chain: chain(device, own), key: device.flash_string(key) };
    device.alloc_bytes(&TlsCredentials { cacert, clientcert }.to_bytes())
}

fn password(device: &mut TestDevice) -> MqttAuthentication {
    let username_password =
        UsernamePassword { username: device.flash_string(b"user"), password: device.flash_string(b"secret") };
    MqttAuthentication { method: 1, username_password }
}

/// The body of the one connect that the cloud gets for a request that `change` has changed.
fn sent_connect(change: impl FnOnce(&mut TestDevice, &mut MqttConnectRequest)) -> Vec<u8> {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let mut request = device.connect_params();
    change(&mut device, &mut request);
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    let mut items = device.cloud().take_items();
    let Some((to_cloud::CONNECT, body)) = items.pop() else { panic!("no connect at the end of {items:?}") };
    assert_eq!(items, [], "one request, one item");
    body
}

/// Shows M02, M03, M07, M08, M27.
#[test]
fn a_connect_is_accepted_at_once_and_its_outcome_comes_later() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let request = device.connect_params();
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    assert!(matches!(device.cloud().take_items()[..], [(to_cloud::CONNECT, _)]), "it is with the cloud");
    assert_eq!(device.events(&mut setup.centre), [], "and nothing is known of its outcome");
    device.cloud().answer_connect(1, RequestState::Completed, 0);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
}

/// Shows M28, M29, M35, M36.
#[test]
fn broker_client_and_session_of_a_connect_reach_the_cloud() {
    let body = sent_connect(|_, _| ());
    let connect = Connect::decode(&body).expect("a connect");
    assert!(connect.head.version5 && connect.head.clean_start && !connect.head.out_of_range);
    assert_eq!((connect.head.port, connect.head.keepalive), (1883, 60));
    assert_eq!((connect.host, connect.client_id), (&b"broker.example"[..], &b"me"[..]));
}

/// Shows M38.
#[test]
fn a_will_reaches_the_cloud() {
    let body = sent_connect(|device, request| {
        let (topic, payload) = (device.flash_string(b"will/topic"), device.flash_string(b"gone"));
        request.will = device.alloc_bytes(&MqttWill { topic, payload, qos: 1, retain: 1 }.to_bytes());
    });
    let will = Connect::decode(&body).expect("a connect").will.expect("a will");
    assert!(will.options.qos1 && will.options.retain && !will.options.qos_out_of_range);
    assert_eq!((will.topic, will.payload), (&b"will/topic"[..], &b"gone"[..]));
}

/// Shows M44, M45.
#[test]
fn user_name_and_password_reach_the_cloud() {
    let body = sent_connect(|device, request| request.authentication = password(device));
    let credentials = Connect::decode(&body).expect("a connect").credentials.expect("credentials");
    assert_eq!((credentials.username, credentials.password), (&b"user"[..], &b"secret"[..]));
}

/// Shows M47, M48, M50.
#[test]
fn certificate_chains_reach_the_cloud_in_their_order() {
    let body = sent_connect(|device, request| {
        request.tls_credentials = tls(device, &[b"ca one", b"ca two"], &[b"own", b"issuer"], b"key");
    });
    let tls = Connect::decode(&body).expect("a connect").tls.expect("TLS credentials");
    assert_eq!(tls.authorities.iter().collect::<Vec<_>>(), [b"ca one", b"ca two"]);
    assert_eq!(tls.chain.iter().collect::<Vec<_>>(), [&b"own"[..], b"issuer"]);
    assert_eq!(tls.key, b"key");
}

/// Shows M47, M48.
#[test]
fn authorities_go_together_with_a_password_and_without_a_client_certificate() {
    let body = sent_connect(|device, request| {
        request.authentication = password(device);
        request.tls_credentials = tls(device, &[b"ca"], &[], b"");
    });
    let connect = Connect::decode(&body).expect("a connect");
    let tls = connect.tls.expect("TLS credentials");
    assert!(connect.credentials.is_some() && tls.chain.is_empty() && tls.key.is_empty());
}

/// Shows M39, M44, M46, D42.
#[test]
fn no_will_no_credentials_and_no_tls_are_left_out() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let mut request = device.connect_params();
    request.protocol_version = 0;
    request.clean_start = 0;
    // With method "none" the strings are not looked at, wherever they point.
    request.authentication.username_password = UsernamePassword { username: NOWHERE, password: NOWHERE };
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    let items = device.cloud().take_items();
    let connect = Connect::decode(&items[0].1).expect("a connect");
    assert!(!connect.head.version5 && !connect.head.clean_start);
    assert_eq!((connect.credentials, connect.will, connect.tls), (None, None, None));
}

/// Shows M43, D43.
#[test]
fn a_client_certificate_travels_with_its_key_but_not_with_a_password() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let mut request = device.connect_params();
    request.tls_credentials = tls(&mut device, &[], &[b"own"], b"key");
    request.authentication = password(&mut device);
    assert_eq!(device.request_connect(channel, &request), Status::InvalidAuthentication);
    request.authentication.username_password.password = NULL;
    assert_eq!(device.request_connect(channel, &request), Status::Okay, "a user name alone is no password");
    let items = device.cloud().take_items();
    let tls = Connect::decode(&items[0].1).expect("a connect").tls.expect("TLS credentials");
    assert_eq!((tls.chain.iter().collect::<Vec<_>>(), tls.key), (vec![&b"own"[..]], &b"key"[..]));
}

/// Shows D46.
#[test]
fn values_the_broker_may_not_be_sent_are_flagged_for_the_cloud_to_answer() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let will =
        MqttWill { topic: device.flash_string(b"w"), payload: device.flash_string(b""), qos: 2, retain: 0 };
    let mut request = device.connect_params();
    request.protocol_version = 7;
    request.will = device.alloc_bytes(&will.to_bytes());
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    let items = device.cloud().take_items();
    let connect = Connect::decode(&items[0].1).expect("a connect");
    assert!(connect.head.out_of_range);
    assert!(connect.will.expect("a will").options.qos_out_of_range);
}

/// Shows D41, M31.
#[test]
fn host_client_id_key_and_will_must_be_given() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let good = device.connect_params();
    let empty = device.flash_string(b"");
    let mut incomplete = vec![
        MqttConnectRequest { host: empty, ..good },
        MqttConnectRequest { host: NULL, ..good },
        MqttConnectRequest { clientid: NULL, ..good },
        MqttConnectRequest { tls_credentials: tls(&mut device, &[], &[b"own"], b""), ..good },
    ];
    let topic = device.flash_string(b"t");
    for (topic, payload) in [(NULL, topic), (empty, topic), (topic, NULL)] {
        let will = device.alloc_bytes(&MqttWill { topic, payload, qos: 0, retain: 0 }.to_bytes());
        incomplete.push(MqttConnectRequest { will, ..good });
    }
    for request in incomplete {
        assert_eq!(device.request_connect(channel, &request), Status::RequiredElementMissing);
    }
    assert_eq!(device.cloud().take_items(), []);
    let request = MqttConnectRequest { clientid: empty, ..good };
    assert_eq!(
        device.request_connect(channel, &request),
        Status::Okay,
        "the empty id is the broker's to judge"
    );
}

/// A chain has at most eight certificates.
#[test]
fn chains_of_nine_certificates_are_too_long() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let mut request = device.connect_params();
    for (authorities, own) in [(9, 0), (0, 9)] {
        let (authorities, own) = (vec![&b"c"[..]; authorities], vec![&b"c"[..]; own]);
        request.tls_credentials = tls(&mut device, &authorities, &own, b"key");
        assert_eq!(device.request_connect(channel, &request), Status::TooManyElements);
    }
    request.tls_credentials = tls(&mut device, &[&b"c"[..]; 8], &[&b"c"[..]; 8], b"key");
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
}

/// Shows M09, D02, D03.
#[test]
fn a_refused_connect_leaves_the_channel_usable() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let good = device.connect_params();
    let call = Call::MqttRequestConnect;
    assert_eq!(device.call(call, &[channel, 0x4000_0000]), Status::ParameterFault);
    let wild = MqttWill { topic: good.host, payload: NOWHERE, qos: 0, retain: 0 };
    let wild_will = device.alloc_bytes(&wild.to_bytes());
    let wild_chain = TlsCertificateChain { num_certs: 2, certs: 0x2007_fff8 };
    let credentials = |cacert, chain, key| {
        TlsCredentials { cacert, clientcert: OwnTlsCertificateChain { chain, key } }.to_bytes()
    };
    let none = TlsCertificateChain::default();
    let (ca, own, key) = (
        device.alloc_bytes(&credentials(wild_chain, none, NULL)),
        device.alloc_bytes(&credentials(none, wild_chain, NULL)),
        device.alloc_bytes(&credentials(none, none, NOWHERE)),
    );
    let authentication = MqttAuthentication {
        method: 1,
        username_password: UsernamePassword { username: NOWHERE, password: NULL },
    };
    for request in [
        MqttConnectRequest { host: NOWHERE, ..good },
        MqttConnectRequest { clientid: NOWHERE, ..good },
        MqttConnectRequest { authentication, ..good },
        MqttConnectRequest { will: 0x4000_0000, ..good },
        MqttConnectRequest { will: wild_will, ..good },
        MqttConnectRequest { tls_credentials: 0x4000_0000, ..good },
        MqttConnectRequest { tls_credentials: ca, ..good },
        MqttConnectRequest { tls_credentials: own, ..good },
        MqttConnectRequest { tls_credentials: key, ..good },
    ] {
        assert_eq!(device.request_connect(channel, &request), Status::LateFault);
    }
    assert_eq!(device.cloud().take_items(), [], "nothing was sent");
    assert_eq!(device.request_connect(channel, &good), Status::Okay);
}

/// Shows D45, M09.
#[test]
fn a_connect_larger_than_the_send_ring_is_refused_and_may_be_made_smaller() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let mut request = device.connect_params();
    request.tls_credentials = tls(&mut device, &[&[b'c'; 1600]], &[], b"");
    assert_eq!(device.request_connect(channel, &request), Status::InvalidBufferSize);
    request.tls_credentials = tls(&mut device, &[&[b'c'; 1400]], &[], b"");
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
}

/// Shows M13, M24, M25, M52, M53, D12.
#[test]
fn the_response_to_a_connect_is_announced_when_it_is_there() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let request = device.connect_params();
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::None));
    // Byte by byte: a part of a response is none.
    device.chunk = 1;
    device.cloud().answer_connect(1, RequestState::Completed, 0x87);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::ConnectResponse));
}

/// Shows M15, M23, M54, M55, M56.
#[test]
fn the_response_to_a_connect_is_read_once() {
    let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let request = device.connect_params();
    assert_eq!(device.read_connect_response(channel), Err(Status::ResponseNotPresent));
    assert_eq!(device.request_connect(channel, &request), Status::Okay);
    device.cloud().answer_connect(1, RequestState::Completed, 0x87);
    device.pump();
    assert_eq!(device.read_connect_response(channel), Ok((0, 0x87)));
    assert_eq!(device.read_connect_response(channel), Err(Status::ResponseNotPresent));
    assert_eq!(device.publish(channel, 1, b"topic", b"payload"), Status::Okay, "connected");
}

/// Shows M10, M11, M12, M14, M19, M20, M21, M16, M22.
#[test]
fn each_failure_of_a_connect_has_its_state() {
    for (state, raw) in [
        (RequestState::InvalidParameters, 1),
        (RequestState::AlreadyConnected, 2),
        (RequestState::NotConnected, 3),
        (RequestState::NameNotResolved, 4),
        (RequestState::UnknownCa, 5),
        (RequestState::CertificateExpired, 6),
        (RequestState::SocketError, 7),
        (RequestState::CircuitBreaker, 8),
    ] {
        let (mut device, _, channel) = TestDevice::with_channel(ChannelType::Mqtt);
        let request = device.connect_params();
        device.request_connect(channel, &request);
        device.cloud().answer_connect(1, state, 0);
        device.pump();
        assert_eq!(device.read_connect_response(channel), Ok((raw, 0)));
    }
}

/// Shows M17.
#[test]
fn a_channel_connects_once_in_its_life() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let request = device.connect_params();
    assert_eq!(device.request_connect(channel, &request), Status::RequestAlreadySent);
}

/// Shows D46, M18, M62.
#[test]
fn requests_before_any_connect_are_accepted_and_the_cloud_answers() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    assert_eq!(device.publish(channel, 9, b"topic", b"payload"), Status::Okay);
    device.cloud().answer_publish(1, 0, RequestState::NotConnected, 0);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::PublishResponse));
    assert_eq!(device.read_publish_response(channel), Ok((3, 9, 0)));
}

/// Shows M57, M58, M59, M60, M61, M63, M64.
#[test]
fn a_topic_is_announced_once_and_then_sent_as_an_alias() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let mut request = device.publish_params(5, b"a/topic", b"one", 1);
    request.retain = 1;
    assert_eq!(device.request_publish(channel, &request), Status::Okay);
    let request = device.publish_params(6, b"a/topic", b"two", 2);
    assert_eq!(device.request_publish(channel, &request), Status::Okay);
    device.pump();
    let items = device.cloud().take_items();
    let kinds: Vec<u8> = items.iter().map(|item| item.0).collect();
    assert_eq!(kinds, [to_cloud::TOPIC, to_cloud::PUBLISH, to_cloud::PUBLISH]);
    assert_eq!(Topic::decode(&items[0].1).expect("a topic"), Topic { number: 0, name: b"a/topic" });
    let first = Publish::decode(&items[1].1).expect("a publish");
    let second = Publish::decode(&items[2].1).expect("a publish");
    assert_eq!((first.topic, first.payload), (TopicRef::Number(0), &b"one"[..]));
    assert!(first.qos1 && first.retain && !first.qos_out_of_range);
    assert_eq!((second.topic, second.payload, second.slot), (TopicRef::Number(0), &b"two"[..], 1));
    assert!(!second.qos1 && !second.retain && second.qos_out_of_range);
}

/// Shows D88, D32, D33.
#[test]
fn overwriting_the_send_ring_changes_bytes_and_no_lengths() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let channel = device.open_channel(&params);
    for correlation in 0..2 {
        let request = device.publish_params(correlation, b"t", b"payload", 0);
        assert_eq!(device.request_publish(channel, &request), Status::Okay);
    }
    device.memory.set(params.send_buffer, &[0xff; 512]);
    device.pump();
    // Each item is a head, the topic's length, the topic and seven bytes.
    let lengths: Vec<usize> = device.cloud().take_items().iter().map(|item| item.1.len()).collect();
    assert_eq!(lengths, [10, 10]);
    assert!(device.connected, "the link's own frames are whole");
    assert_eq!(device.publish(channel, 2, b"t", b"payload"), Status::Okay);
    let items = device.cloud().take_items();
    assert_eq!(Publish::decode(&items.last().expect("a publish").1).expect("a publish").payload, b"payload");
}

/// Shows D45, D113.
#[test]
fn a_topic_with_an_alias_takes_no_space_in_the_send_ring() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let channel = device.open_channel(&params);
    // The item has a head of two bytes and the payload.
    let topic = [b't'; 60];
    assert_eq!(device.publish(channel, 1, &topic, &[b'p'; 511]), Status::InvalidBufferSize);
    assert_eq!(device.publish(channel, 1, &topic, &[b'p'; 510]), Status::Okay);
    let items = device.cloud().take_items();
    let [(to_cloud::TOPIC, announced), (to_cloud::PUBLISH, body)] = &items[..] else {
        panic!("{} items", items.len())
    };
    assert_eq!(Topic::decode(announced).expect("a topic"), Topic { number: 0, name: &topic });
    assert_eq!(Publish::decode(body).expect("a publish").topic, TopicRef::Number(0));
}

/// Shows D113.
#[test]
fn an_alias_is_not_reassigned_before_it_was_announced() {
    let (mut device, setup) = TestDevice::with_network();
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 512);
    let channel = device.open_channel(&params);
    let topics: Vec<String> = (0..10).map(|number| format!("topic/{number}")).collect();
    let all = topics.iter().chain([&topics[0], &topics[9]]);
    for (correlation, topic) in (0..).zip(all.clone()) {
        let request = device.publish_params(correlation, topic.as_bytes(), b"p", 1);
        assert_eq!(device.request_publish(channel, &request), Status::Okay);
    }
    device.pump();
    let mut known: Vec<Vec<u8>> = vec![Vec::new(); 8];
    let mut published = Vec::new();
    let mut by_name = 0;
    for (kind, body) in device.cloud().take_items() {
        if kind == to_cloud::TOPIC {
            let topic = Topic::decode(&body).expect("a topic");
            known[usize::from(topic.number)] = topic.name.to_vec();
            continue;
        }
        published.push(match Publish::decode(&body).expect("a publish").topic {
            TopicRef::Number(number) => known[usize::from(number)].clone(),
            TopicRef::Name(name) => {
                by_name += 1;
                name.to_vec()
            }
        });
    }
    assert_eq!(published, all.map(|topic| topic.as_bytes().to_vec()).collect::<Vec<_>>());
    assert_eq!(by_name, 3, "the ninth, the tenth, and the tenth again");
    assert_eq!(device.publish(channel, 20, topics[9].as_bytes(), b"p"), Status::Okay);
    let last: Vec<u8> = device.cloud().take_items().iter().rev().take(2).map(|item| item.0).collect();
    assert_eq!(last, [to_cloud::PUBLISH, to_cloud::TOPIC], "all were announced, so it has an alias now");
}

/// Shows N58, D45.
#[test]
fn a_cloud_that_does_not_consume_one_channel_delays_no_other() {
    let (mut device, setup, other) = TestDevice::with_channel(ChannelType::Mqtt);
    let params = device.channel_params(&setup, ChannelType::Mqtt, 512, 40 * 512);
    let channel = device.open_channel(&params);
    device.cloud().holds_items = true;
    device.cloud().fragments.clear();
    let payload = vec![b'x'; 3000];
    for correlation in 0..6 {
        assert_eq!(device.publish(channel, correlation, b"t", &payload), Status::Okay);
    }
    let sent = |device: &mut TestDevice, number| -> usize {
        let fragments = &device.cloud().fragments;
        fragments.iter().filter(|fragment| fragment.0 == number).map(|fragment| fragment.2).sum()
    };
    let before = sent(&mut device, 2);
    assert!((13_000..=16_384).contains(&before), "the window is 16384 bytes: {before}");
    assert_eq!(device.publish(other, 9, b"t", b"p"), Status::Okay);
    assert!(sent(&mut device, 1) > 0, "the other channel has its own");
    device.cloud().consume_held(2);
    device.pump();
    assert!(sent(&mut device, 2) > 18_000, "room lets the rest go");
}

/// Shows M65.
#[test]
fn nine_topics_in_turn_each_arrive_under_their_own_name() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let long = [b'x'; 65];
    let mut names: Vec<Vec<u8>> = (0..9).map(|n| format!("topic/{n}").into_bytes()).collect();
    names.push(long.to_vec());
    names.push(Vec::new());
    let mut known: [Vec<u8>; 8] = Default::default();
    for round in 0..30_u32 {
        let name = names[round as usize % names.len()].clone();
        assert_eq!(device.publish(channel, round, &name, b"p"), Status::Okay);
        let mut arrived = Vec::new();
        for (kind, body) in device.cloud().take_items() {
            if kind == to_cloud::TOPIC {
                let topic = Topic::decode(&body).expect("a topic");
                known[usize::from(topic.number)] = topic.name.to_vec();
            } else {
                arrived = match Publish::decode(&body).expect("a publish").topic {
                    TopicRef::Number(number) => known[usize::from(number)].clone(),
                    TopicRef::Name(name) => name.to_vec(),
                };
            }
        }
        assert_eq!(arrived, name);
        device.cloud().answer_publish(1, 0, RequestState::Completed, 0);
        device.pump();
        assert_eq!(device.read_publish_response(channel), Ok((0, round, 0)));
    }
}

/// Shows D45, D80.
#[test]
fn sixteen_publishes_may_be_unanswered_or_unread() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    for correlation in 0..MAX_PUBLISHES as u32 {
        assert_eq!(device.publish(channel, correlation, b"t", b"p"), Status::Okay);
    }
    assert_eq!(device.publish(channel, 16, b"t", b"p"), Status::RateLimited);
    // In another order than requested.
    for slot in (0..MAX_PUBLISHES as u8).rev() {
        device.cloud().answer_publish(1, slot, RequestState::Completed, u32::from(slot));
    }
    device.pump();
    assert_eq!(device.events(&mut setup.centre).len(), MAX_PUBLISHES);
    assert_eq!(device.publish(channel, 16, b"t", b"p"), Status::RateLimited, "the answers are unread");
    for correlation in (0..MAX_PUBLISHES as u32).rev() {
        assert_eq!(device.read_publish_response(channel), Ok((0, correlation, correlation)));
    }
    assert_eq!(device.publish(channel, 16, b"t", b"p"), Status::Okay);
}

/// Shows N58, D45, M09.
#[test]
fn what_does_not_fit_the_free_send_ring_is_refused_until_it_drains() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let request = device.publish_params(1, b"t", &[b'x'; 1000], 0);
    assert_eq!(device.request_publish(channel, &request), Status::Okay);
    assert_eq!(device.request_publish(channel, &request), Status::InvalidBufferSize);
    device.pump();
    assert_eq!(device.request_publish(channel, &request), Status::Okay, "what has left has made room");
    let larger = device.publish_params(1, b"t", &[b'x'; 1600], 0);
    device.pump();
    assert_eq!(device.request_publish(channel, &larger), Status::InvalidBufferSize);
    device.pump();
    assert_eq!(device.cloud().take_items().iter().filter(|item| item.0 == to_cloud::PUBLISH).count(), 2);
}

/// Shows N56, N57.
#[test]
fn requests_wrap_round_the_end_of_the_send_ring() {
    let (mut device, _, channel) = TestDevice::with_broker();
    for round in 0..20_u8 {
        let payload = vec![round; 700];
        assert_eq!(device.publish(channel, u32::from(round), b"t", &payload), Status::Okay);
        let items = device.cloud().take_items();
        let last = Publish::decode(&items.last().expect("a publish").1).expect("a publish").payload.to_vec();
        assert_eq!(last, payload);
        device.cloud().answer_publish(1, 0, RequestState::Completed, 0);
        device.pump();
        device.read_publish_response(channel).expect("an answer");
    }
}

/// Shows D02, D03.
#[test]
fn publishing_from_bad_pointers_sends_nothing() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let good = device.publish_params(1, b"t", b"p", 0);
    assert_eq!(device.call(Call::MqttRequestPublish, &[channel, 0]), Status::ParameterFault);
    for request in [
        MqttPublishRequest { topic: NOWHERE, ..good },
        MqttPublishRequest { payload: NOWHERE, ..good },
        MqttPublishRequest { payload: SizedString { data: 0x2000_0000, length: u32::MAX }, ..good },
    ] {
        assert_eq!(device.request_publish(channel, &request), Status::LateFault);
    }
    device.pump();
    assert_eq!(device.cloud().take_items(), []);
    assert_eq!(device.publish(channel, 1, b"t", b"p"), Status::Okay);
}

/// Shows M66, M68, M70.
#[test]
fn a_subscribe_carries_each_filter_with_its_options() {
    let (mut device, _, channel) = TestDevice::with_broker();
    let array: Vec<u8> = [(1, 1, 0, 2), (2, 0, 1, 3)]
        .into_iter()
        .flat_map(|(desired_qos, nl, rap, rh)| {
            let topic = device.flash_string(b"some/#");
            MqttSubscription { topic, desired_qos, nl, rap, rh }.to_bytes()
        })
        .collect();
    let subscriptions = device.alloc_bytes(&array);
    let request = MqttSubscribeRequest { correlation_id: 77, subscriptions, num_subscriptions: 2 };
    let request = device.alloc_bytes(&request.to_bytes());
    device.call_ok(Call::MqttRequestSubscribe, &[channel, request]);
    device.pump();
    let items = device.cloud().take_items();
    let [(to_cloud::SUBSCRIBE, body)] = &items[..] else { panic!("{items:?}") };
    let filters: Vec<_> = Subscribe::decode(body).expect("a subscribe").iter().collect();
    let first = SubscribeOptions { qos: 1, no_local: true, retain_as_published: false, retain_handling: 2 };
    let second = SubscribeOptions { qos: 3, no_local: false, retain_as_published: true, retain_handling: 3 };
    assert_eq!(filters, [(first, &b"some/#"[..]), (second, &b"some/#"[..])]);
}

/// Shows M74, M75, M76, M77, M78, M79, M80, D40.
#[test]
fn a_subscribe_brings_back_a_code_for_each_filter() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    assert_eq!(device.subscribe(channel, 77, &[(b"a", 1), (b"b", 1)]), Status::Okay);
    device.cloud().answer_subscribe(1, &[1, 0x80]);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::SubscribeResponse));
    assert_eq!(
        device.read_subscribe_response(channel, 1),
        Err(Status::InvalidBufferSize),
        "codes, not bytes"
    );
    assert_eq!(device.read_subscribe_response(channel, 2), Ok((0, 77, vec![1, 0x80])));
}

/// Shows M67, D45.
#[test]
fn one_subscribe_and_one_unsubscribe_at_a_time() {
    let (mut device, _, channel) = TestDevice::with_broker();
    assert_eq!(device.subscribe(channel, 1, &[(b"a", 0)]), Status::Okay);
    assert_eq!(device.subscribe(channel, 2, &[(b"b", 0)]), Status::RateLimited);
    assert_eq!(device.unsubscribe(channel, 3, &[b"c"]), Status::Okay, "the other kind is free");
    assert_eq!(device.unsubscribe(channel, 4, &[b"d"]), Status::RateLimited);
    device.cloud().answer_unsubscribe(1, &[0x11]);
    device.cloud().answer_subscribe(1, &[0]);
    device.pump();
    assert_eq!(device.subscribe(channel, 2, &[(b"b", 0)]), Status::RateLimited, "the answer is unread");
    assert_eq!(device.read_unsubscribe_response(channel, 1), Ok((0, 3, vec![0x11])));
    assert_eq!(device.read_subscribe_response(channel, 1), Ok((0, 1, vec![0])));
    assert_eq!(device.subscribe(channel, 2, &[(b"b", 0)]), Status::Okay);
    assert_eq!(device.unsubscribe(channel, 4, &[b"d"]), Status::Okay);
}

/// Shows M89.
#[test]
fn an_unsubscribe_carries_its_filters() {
    let (mut device, _, channel) = TestDevice::with_broker();
    assert_eq!(device.unsubscribe(channel, 3, &[b"one", b"two/+"]), Status::Okay);
    let items = device.cloud().take_items();
    let filters: Vec<_> = Unsubscribe::decode(&items[0].1).expect("an unsubscribe").iter().collect();
    assert_eq!((items[0].0, filters), (to_cloud::UNSUBSCRIBE, vec![&b"one"[..], &b"two/+"[..]]));
}

/// Up to eight filters go in one request.
#[test]
fn nine_filters_are_too_many() {
    let (mut device, _, channel) = TestDevice::with_broker();
    assert_eq!(device.subscribe(channel, 1, &[(&b"f"[..], 0); 9]), Status::TooManyElements);
    assert_eq!(device.unsubscribe(channel, 1, &[&b"f"[..]; 9]), Status::TooManyElements);
    assert_eq!(device.cloud().take_items(), []);
    assert_eq!(device.subscribe(channel, 1, &[(&b"f"[..], 0); 8]), Status::Okay);
    assert_eq!(device.unsubscribe(channel, 1, &[&b"f"[..]; 8]), Status::Okay);
}

/// Shows D82.
#[test]
fn subscribing_to_nothing_is_answered_by_the_kernel() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    assert_eq!(device.subscribe(channel, 5, &[]), Status::Okay);
    assert_eq!(device.unsubscribe(channel, 6, &[]), Status::Okay);
    assert_eq!(device.events(&mut setup.centre), [READABLE, READABLE]);
    assert_eq!(device.read_subscribe_response(channel, 0), Ok((1, 5, vec![])));
    assert_eq!(device.read_unsubscribe_response(channel, 0), Ok((1, 6, vec![])));
    assert_eq!(device.cloud().take_items(), []);
}

/// Shows D02, D03.
#[test]
fn the_array_of_filters_is_an_early_claim_and_its_strings_a_late_one() {
    let (mut device, _, channel) = TestDevice::with_broker();
    for array in [0x2007_fff8, 0x4000_0000] {
        let subscribe =
            MqttSubscribeRequest { correlation_id: 1, subscriptions: array, num_subscriptions: 2 };
        let subscribe = device.alloc_bytes(&subscribe.to_bytes());
        let unsubscribe = MqttUnsubscribeRequest { correlation_id: 1, topics: array, num_topics: 2 };
        let unsubscribe = device.alloc_bytes(&unsubscribe.to_bytes());
        assert_eq!(device.call(Call::MqttRequestSubscribe, &[channel, subscribe]), Status::ParameterFault);
        assert_eq!(
            device.call(Call::MqttRequestUnsubscribe, &[channel, unsubscribe]),
            Status::ParameterFault
        );
    }
    let subscription = MqttSubscription { topic: NOWHERE, ..MqttSubscription::default() };
    let subscriptions = device.alloc_bytes(&subscription.to_bytes());
    let subscribe = MqttSubscribeRequest { correlation_id: 1, subscriptions, num_subscriptions: 1 };
    let subscribe = device.alloc_bytes(&subscribe.to_bytes());
    assert_eq!(device.call(Call::MqttRequestSubscribe, &[channel, subscribe]), Status::LateFault);
    let unsubscribe = MqttUnsubscribeRequest { correlation_id: 1, topics: subscriptions, num_topics: 1 };
    let unsubscribe = device.alloc_bytes(&unsubscribe.to_bytes());
    assert_eq!(device.call(Call::MqttRequestUnsubscribe, &[channel, unsubscribe]), Status::LateFault);
    device.pump();
    assert_eq!(device.cloud().take_items(), []);
    assert_eq!(device.subscribe(channel, 1, &[(b"a", 0)]), Status::Okay);
}

/// Shows D02, D04.
#[test]
fn a_response_read_to_bad_pointers_stays_readable() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.subscribe(channel, 1, &[(b"a", 0)]);
    device.cloud().answer_subscribe(1, &[0]);
    device.pump();
    let call = Call::MqttReadSubscribeResponse;
    assert_eq!(device.call(call, &[channel, 0]), Status::ParameterFault);
    let good = device.codes_params(1);
    let flash = 0x0800_0000;
    let mut bad = [good; 5];
    bad[0].request_state = flash;
    bad[1].correlation_id = flash;
    bad[2].reason_codes = flash;
    bad[3].reason_codes_size = u32::MAX;
    bad[4].reason_codes_len = flash;
    for response in bad {
        let response = device.alloc_bytes(&response.to_bytes());
        assert_eq!(device.call(call, &[channel, response]), Status::LateFault);
    }
    assert_eq!(device.read_subscribe_response(channel, 1), Ok((0, 1, vec![0])));
}

/// Shows M90, M91, D50, D45.
#[test]
fn an_orderly_disconnect_is_answered_and_raises_no_not_connected() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.call_ok(Call::MqttRequestDisconnect, &[channel]);
    assert_eq!(device.call(Call::MqttRequestDisconnect, &[channel]), Status::RateLimited);
    device.pump();
    assert_eq!(device.cloud().take_items(), [(to_cloud::DISCONNECT, vec![])]);
    device.cloud().answer_disconnect(1, RequestState::Completed, 0);
    device.cloud().send_closed(1, link::channel::ClosureReason::None);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE]);
    assert_eq!(device.next_readable(channel), Ok(MqttReadableDataType::DisconnectResponse));
    assert_eq!(device.read_disconnect_response(channel), Ok((0, 0)));
    assert_eq!(device.read_disconnect_response(channel), Err(Status::ChannelClosed));
}

/// Shows D50.
#[test]
fn the_end_of_a_broker_is_reported_as_not_connected_with_its_code_readable() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    assert_eq!(device.publish(channel, 4, b"t", b"p"), Status::Okay);
    device.cloud().answer_publish(1, 0, RequestState::NotConnected, 0);
    device.cloud().answer_disconnect(1, RequestState::Completed, 0x8e);
    device.cloud().send_closed(1, link::channel::ClosureReason::ClosedByServer);
    device.pump();
    assert_eq!(device.events(&mut setup.centre), [READABLE, NOT_CONNECTED]);
    assert_eq!(device.read_publish_response(channel), Ok((3, 4, 0)));
    assert_eq!(device.read_disconnect_response(channel), Ok((0, 0x8e)));
    assert_eq!(device.next_readable(channel), Err(Status::ChannelClosed));
}

/// Shows D53, M12, N66, D87.
#[test]
fn everything_in_flight_is_answered_not_connected_when_the_link_is_lost() {
    let (mut device, mut setup, channel) = TestDevice::with_channel(ChannelType::Mqtt);
    let request = device.connect_params();
    device.request_connect(channel, &request);
    device.publish(channel, 1, b"t", b"p");
    device.publish(channel, 2, b"t", b"p");
    device.subscribe(channel, 3, &[(b"f", 1)]);
    device.unsubscribe(channel, 4, &[b"f"]);
    device.call_ok(Call::MqttRequestDisconnect, &[channel]);
    device.lose_link();
    let events = device.events(&mut setup.centre);
    assert_eq!(events[..7], [READABLE, READABLE, READABLE, READABLE, READABLE, READABLE, NOT_CONNECTED]);
    assert_eq!(device.read_connect_response(channel), Ok((3, 0)));
    assert_eq!(device.read_subscribe_response(channel, 1), Ok((3, 3, vec![])));
    assert_eq!(device.read_unsubscribe_response(channel, 1), Ok((3, 4, vec![])));
    assert_eq!(device.read_publish_response(channel), Ok((3, 1, 0)));
    assert_eq!(device.read_publish_response(channel), Ok((3, 2, 0)));
    assert_eq!(device.read_disconnect_response(channel), Ok((3, 0)));
    assert_eq!(device.next_readable(channel), Err(Status::ChannelClosed));
}

/// Shows D45, D48, M86, M87.
#[test]
fn sixteen_acknowledgements_wait_for_the_link_and_leave_in_order() {
    let (mut device, _, channel) = TestDevice::with_broker();
    for number in 1..=MAX_ACKNOWLEDGEMENTS as u32 {
        device.call_ok(Call::MqttAcknowledgeMessage, &[channel, number * 100 + 1]);
    }
    assert_eq!(device.call(Call::MqttAcknowledgeMessage, &[channel, 1]), Status::RateLimited);
    device.pump();
    let expected: Vec<_> = (1..=MAX_ACKNOWLEDGEMENTS as u32)
        .map(|number| {
            let mut body = [0; link::mqtt::Acknowledge::MAX];
            let length = link::mqtt::Acknowledge { delivery: number * 100 }.encode(&mut body);
            (to_cloud::ACKNOWLEDGE, body[..length].to_vec())
        })
        .collect();
    assert_eq!(device.cloud().take_items(), expected);
    device.call_ok(Call::MqttAcknowledgeMessage, &[channel, 1]);
}

/// Shows D83.
#[test]
fn acknowledging_a_message_of_qos_0_does_nothing() {
    let (mut device, _, channel) = TestDevice::with_broker();
    device.call_ok(Call::MqttAcknowledgeMessage, &[channel, 0]);
    device.pump();
    assert_eq!(device.cloud().take_items(), []);
}

/// An answer without a request ends the connection, of which every channel and handle is notified.
#[test]
fn an_answer_without_a_request_is_a_violation() {
    let (mut device, mut setup, channel) = TestDevice::with_broker();
    device.publish(channel, 1, b"t", b"p");
    device.cloud().answer_publish(1, 5, RequestState::Completed, 0);
    device.pump();
    assert!(!device.connected);
    assert_eq!(device.events(&mut setup.centre)[..2], [READABLE, NOT_CONNECTED]);
}
