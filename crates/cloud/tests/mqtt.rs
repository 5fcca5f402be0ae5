//! MQTT from a device through the cloud to a real broker and back.

mod support;

use std::time::Duration;

use cloud::{Cloud, Config, Destinations};
use link::bytes::Writer;
use link::channel::ChannelType;
use link::device::Answer;
use link::kind::{to_cloud, to_device};
use link::mqtt::{MessageHead, Outcome, RequestState};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use support::mosquitto::{Mosquitto, Tls, heard};
use support::{Device, Received, TestCloud, config};

const RING: u32 = 4096;

/// What a `CONNECT` says beyond host and port.
#[derive(Default)]
struct Connect<'a> {
    version_5: bool,
    client_id: &'a str,
    will: Option<(&'a str, &'a str)>,
    tls: Option<Credentials>,
}

/// TLS credentials, all DER.
struct Credentials {
    authorities: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Connect<'_> {
    fn encode(&self, host: &str, port: u16) -> Vec<u8> {
        let mut body = vec![0; 4000];
        let mut writer = Writer::new(&mut body);
        let flag = |bit: u8, set: bool| u8::from(set) << bit;
        // Version, clean start, will, TLS.
        writer.u8(flag(0, self.version_5)
            | flag(1, true)
            | flag(3, self.will.is_some())
            | flag(4, self.tls.is_some()));
        writer.varint32(u32::from(port));
        writer.varint32(60);
        writer.str(host.as_bytes());
        writer.str(self.client_id.as_bytes());
        if let Some((topic, payload)) = self.will {
            writer.u8(0);
            writer.str(topic.as_bytes());
            writer.str(payload.as_bytes());
        }
        if let Some(tls) = &self.tls {
            for certificates in [&tls.authorities, &tls.chain] {
                writer.u8(certificates.len() as u8);
                for certificate in certificates {
                    writer.str(certificate);
                }
            }
            writer.str(&tls.key);
        }
        let length = writer.finish().expect("fits");
        body.truncate(length);
        body
    }
}

/// Asks for a broker and gives the channel and the answer.
async fn connect(device: &mut Device, host: &str, port: u16, connect: Connect<'_>) -> (u8, Outcome) {
    let channel = device.open(ChannelType::Mqtt, RING).await;
    device.item(channel, to_cloud::CONNECT, &connect.encode(host, port)).await;
    match device.next().await {
        Received::Answer { answer: Answer::Connected(outcome), channel: of } if of == channel => {
            (channel, outcome)
        }
        other => panic!("{other:?} instead of the answer to CONNECT"),
    }
}

async fn connected(device: &mut Device, port: u16, request: Connect<'_>) -> u8 {
    let (channel, outcome) = connect(device, "127.0.0.1", port, request).await;
    assert_eq!(outcome.state, RequestState::Completed);
    channel
}

fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    [&[qos, filter.len() as u8], filter.as_bytes()].concat()
}

async fn subscribed(device: &mut Device, channel: u8, filter: &str, qos: u8) {
    device.item(channel, to_cloud::SUBSCRIBE, &subscribe(filter, qos)).await;
    let Received::Answer { answer: Answer::Subscribed(codes), .. } = device.next().await else {
        panic!("no answer")
    };
    assert_eq!(codes.codes(), [qos]);
}

fn publish(slot: u8, qos: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    [&[slot | qos << 4, topic.len() as u8], topic.as_bytes(), payload].concat()
}

/// The next message: its head, topic and payload.
async fn message(device: &mut Device) -> (MessageHead, String, Vec<u8>) {
    let Received::Item { kind: to_device::MESSAGE, body, .. } = device.next().await else {
        panic!("no message")
    };
    let (head, length) = MessageHead::decode(&body).expect("a head").expect("whole");
    let (topic, payload) = body[length..].split_at(head.topic as usize);
    (head, String::from_utf8(topic.to_vec()).expect("text"), payload.to_vec())
}

/// Shows M01, M07, M12, M52, M54, M56, M61, M64, M78, M81, M87.
#[tokio::test]
async fn a_device_publishes_and_receives_through_a_broker() {
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    for version_5 in [false, true] {
        let mut device = test_cloud.device().await;
        let client_id = if version_5 { "five" } else { "three" };
        let channel =
            connected(&mut device, broker.port, Connect { version_5, client_id, ..Connect::default() }).await;
        let witness = broker.subscriber("up/#", 2).await;
        for (slot, qos) in [(0, 0), (1, 1)] {
            device.item(channel, to_cloud::PUBLISH, &publish(slot, qos, "up/x", b"hello")).await;
            let Received::Answer { answer: Answer::Published(published), .. } = device.next().await else {
                panic!("no answer")
            };
            assert_eq!((published.slot, published.state), (slot, RequestState::Completed));
        }
        assert_eq!(heard(witness).await, "up/x hello\nup/x hello\n");

        subscribed(&mut device, channel, "down/+", 1).await;
        broker.publish("down/y", "over to you").await;
        let (head, topic, payload) = message(&mut device).await;
        assert_eq!((&topic[..], &payload[..]), ("down/y", &b"over to you"[..]));
        let delivery = head.delivery.expect("QoS 1");
        device.credit(channel, head.topic + payload.len() as u32, 1).await;
        device.item(channel, to_cloud::ACKNOWLEDGE, &[delivery as u8]).await;
        device.close(channel).await;
    }
    test_cloud.cloud.stop().await;
}

/// Shows D52, M37.
#[tokio::test]
async fn a_lost_link_leaves_the_broker_without_a_goodbye_so_the_will_is_sent() {
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let request = Connect { client_id: "mortal", will: Some(("will", "gone")), ..Connect::default() };
    connected(&mut device, broker.port, request).await;
    let witness = broker.subscriber("will", 1).await;
    drop(device);
    assert_eq!(heard(witness).await, "will gone\n");
    test_cloud.cloud.stop().await;
}

/// Shows D52.
#[tokio::test]
async fn a_stopped_cloud_leaves_the_broker_without_a_goodbye_too() {
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let request = Connect { client_id: "mortal", will: Some(("will", "gone")), ..Connect::default() };
    connected(&mut device, broker.port, request).await;
    let witness = broker.subscriber("will", 1).await;
    test_cloud.cloud.stop().await;
    assert_eq!(heard(witness).await, "will gone\n");
}

/// Shows M37, M91, D50.
#[tokio::test]
async fn a_disconnect_reaches_the_broker_so_the_will_is_not_sent() {
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let request = Connect { client_id: "polite", will: Some(("will", "gone")), ..Connect::default() };
    let channel = connected(&mut device, broker.port, request).await;
    let witness = broker.subscriber("#", 1).await;
    device.item(channel, to_cloud::DISCONNECT, &[]).await;
    let Received::Answer { answer: Answer::Disconnected(outcome), .. } = device.next().await else {
        panic!("no answer")
    };
    assert_eq!(outcome.state, RequestState::Completed);
    broker.publish("marker", "first").await;
    assert_eq!(heard(witness).await, "marker first\n", "no will was published before");
    test_cloud.cloud.stop().await;
}

/// Shows D50.
#[tokio::test]
async fn a_broker_that_disconnects_is_reported_to_the_device() {
    let mut broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let channel =
        connected(&mut device, broker.port, Connect { client_id: "left", ..Connect::default() }).await;
    broker.stop();
    let Received::Answer { answer: Answer::Disconnected(_), .. } = device.next().await else {
        panic!("no word of it")
    };
    assert_eq!(device.next().await, Received::Closed { channel });
    test_cloud.cloud.stop().await;
}

/// Shows M10, M11, M19, M21.
#[tokio::test]
async fn a_connect_that_fails_says_why() {
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    let (_, outcome) = connect(&mut device, "broker.invalid", 1883, Connect::default()).await;
    assert_eq!(outcome.state, RequestState::NameNotResolved);
    let (_, outcome) = connect(&mut device, "127.0.0.1", closed, Connect::default()).await;
    assert_eq!(outcome.state, RequestState::SocketError);
    test_cloud.cloud.stop().await;
}

/// Shows M17, D91.
#[tokio::test]
async fn a_second_connect_on_a_channel_is_already_connected() {
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let channel =
        connected(&mut device, broker.port, Connect { client_id: "once", ..Connect::default() }).await;
    let again = Connect { client_id: "again", ..Connect::default() };
    device.item(channel, to_cloud::CONNECT, &again.encode("127.0.0.1", broker.port)).await;
    let Received::Answer { answer: Answer::Connected(outcome), .. } = device.next().await else {
        panic!("no answer")
    };
    assert_eq!(outcome.state, RequestState::AlreadyConnected);
    device.item(channel, to_cloud::PUBLISH, &publish(0, 1, "t", b"the first one stands")).await;
    assert!(matches!(device.next().await, Received::Answer { answer: Answer::Published(_), .. }));
    test_cloud.cloud.stop().await;
}

/// Shows D62.
#[tokio::test]
async fn a_cloud_for_the_public_does_not_connect_to_its_own_machine() {
    let broker = Mosquitto::start();
    let directory = tempfile::tempdir().expect("a folder");
    let config = Config { destinations: Destinations::public(), ..config(&directory) };
    let test_cloud = TestCloud { cloud: Cloud::start(config).await.expect("started"), directory };
    let mut device = test_cloud.device().await;
    let (_, outcome) = connect(&mut device, "localhost", broker.port, Connect::default()).await;
    assert_eq!(outcome.state, RequestState::SocketError);
    test_cloud.cloud.stop().await;
}

/// Shows D42.
#[tokio::test]
async fn an_operator_can_require_tls() {
    let broker = Mosquitto::start();
    let directory = tempfile::tempdir().expect("a folder");
    let config = Config { require_tls: true, ..config(&directory) };
    let test_cloud = TestCloud { cloud: Cloud::start(config).await.expect("started"), directory };
    let mut device = test_cloud.device().await;
    let (_, outcome) = connect(&mut device, "127.0.0.1", broker.port, Connect::default()).await;
    assert_eq!(outcome.state, RequestState::InvalidParameters);
    test_cloud.cloud.stop().await;
}

struct Signed {
    pem: String,
    der: Vec<u8>,
    key: KeyPair,
}

fn authority() -> (CertifiedIssuer<'static, KeyPair>, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // The library gives every subject the same name, which would make every certificate look signed by itself.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let issuer =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    let der = issuer.der().to_vec();
    (issuer, der)
}

fn sign(issuer: &Issuer<'_, KeyPair>, host: &str) -> Signed {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([host.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Signed { pem: certificate.pem(), der: certificate.der().to_vec(), key }
}

/// Shows M20, M43, M47, M49, M50.
#[tokio::test]
async fn a_broker_behind_tls_is_reached_with_the_applications_certificates() {
    let ((brokers, authority_der), (clients, _)) = (authority(), authority());
    let own = sign(&brokers, "localhost");
    let broker = Mosquitto::start_tls(&Tls {
        certificate: own.pem,
        key: own.key.serialize_pem(),
        clients: Some(clients.pem()),
    });
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let client = sign(&clients, "client");
    let with = |tls| Connect { client_id: "sealed", tls: Some(tls), ..Connect::default() };
    let good = with(Credentials {
        authorities: vec![authority_der],
        chain: vec![client.der],
        key: client.key.serialize_der(),
    });
    let (channel, outcome) = connect(&mut device, "localhost", broker.port, good).await;
    assert_eq!(outcome.state, RequestState::Completed);
    device.item(channel, to_cloud::PUBLISH, &publish(0, 1, "t", b"")).await;
    assert!(matches!(device.next().await, Received::Answer { answer: Answer::Published(_), .. }));
    let unknown = with(Credentials { authorities: vec![], chain: vec![], key: vec![] });
    let (_, outcome) = connect(&mut device, "localhost", broker.port, unknown).await;
    assert_eq!(outcome.state, RequestState::UnknownCa);
    test_cloud.cloud.stop().await;
}

/// Shows D49.
#[tokio::test]
async fn a_full_receive_ring_holds_the_broker_back_and_another_channel_continues() {
    const COUNT: usize = 200;
    let broker = Mosquitto::start();
    let test_cloud = TestCloud::open().await;
    let mut device = test_cloud.device().await;
    let slow = connected(&mut device, broker.port, Connect { client_id: "slow", ..Connect::default() }).await;
    let quick =
        connected(&mut device, broker.port, Connect { client_id: "quick", ..Connect::default() }).await;
    subscribed(&mut device, slow, "flood", 1).await;
    for number in 0..COUNT {
        let payload = [&(number as u32).to_be_bytes()[..], &[0; 996]].concat();
        device.item(quick, to_cloud::PUBLISH, &publish(0, 1, "flood", &payload)).await;
        // The answer to the quick channel comes although the slow one takes nothing; messages to the slow one come between.
        loop {
            match device.next().await {
                Received::Answer { channel, answer: Answer::Published(_) } if channel == quick => break,
                item @ Received::Item { .. } => device.put_back(item),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(device.put_back_count() <= RING as usize / 1005, "no more than the ring holds");
    device.release();
    for number in 0..COUNT {
        let (head, _, payload) = message(&mut device).await;
        assert_eq!(payload[..4], (number as u32).to_be_bytes());
        device.credit(slow, head.topic + payload.len() as u32, 1).await;
        let mut delivery = [0; 5];
        let mut writer = Writer::new(&mut delivery);
        writer.varint32(head.delivery.expect("QoS 1"));
        let length = writer.finish().expect("fits");
        device.item(slow, to_cloud::ACKNOWLEDGE, &delivery[..length]).await;
    }
    assert!(device.is_quiet(Duration::from_millis(50)).await);
    test_cloud.cloud.stop().await;
}
