//! Brokers that misbehave, on real sockets: whatever they do, each request has exactly one answer and the channel its
//! one end.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cloud::Limits;
use link::channel::ChannelType;
use link::device::Answer;
use link::kind::to_cloud;
use link::mqtt::RequestState;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use support::scripted::{Peer, Scripted, ask_for, connect_item, publish_item};
use support::{Device, Received, TestCloud};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a broker does.
type Script = for<'a> fn(&'a mut Peer) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Everything that comes until the channel is closed, which it must be.
async fn until_closed(device: &mut Device, channel: u8) -> Vec<Received> {
    let mut all = Vec::new();
    loop {
        match device.next().await {
            Received::Closed { channel: of } if of == channel => return all,
            end @ (Received::End | Received::Bye(_)) => panic!("the link ended: {end:?} after {all:?}"),
            received => all.push(received),
        }
    }
}

fn published(received: &Received) -> Option<RequestState> {
    match received {
        Received::Answer { answer: Answer::Published(answer), .. } => Some(answer.state),
        _ => None,
    }
}

fn is_subscribed(received: &Received) -> bool {
    matches!(received, Received::Answer { answer: Answer::Subscribed(_), .. })
}

fn is_disconnected(received: &Received) -> bool {
    matches!(received, Received::Answer { answer: Answer::Disconnected(_), .. })
}

/// Shows M12, D50, D94, D95.
#[tokio::test]
async fn whatever_a_connected_broker_does_each_request_has_one_answer_and_the_channel_one_end() {
    let scripts: [(&str, Script); 9] = [
        ("closes", |_| Box::pin(async {})),
        ("closes its way out only", |peer| {
            Box::pin(async {
                peer.half_close().await;
                peer.rest().await;
            })
        }),
        ("ends in the middle of a packet", |peer| {
            Box::pin(async { peer.send(&[0x30, 200, 1, 0, 1, b't']).await })
        }),
        ("acknowledges what was never sent", |peer| Box::pin(async { peer.send(&[0x40, 2, 0, 99]).await })),
        ("sends what is no packet", |peer| Box::pin(async { peer.send(&[0x00, 0x00]).await })),
        ("sends a length without end", |peer| {
            Box::pin(async { peer.send(&[0x30, 255, 255, 255, 255]).await })
        }),
        ("announces 256 MB", |peer| {
            Box::pin(async { peer.send(&[0x30, 255, 255, 255, 0x7f, 0, 1, b't']).await })
        }),
        ("answers the connect again", |peer| Box::pin(async { peer.send(&[0x20, 2, 0, 0]).await })),
        ("grants more than requested", |peer| Box::pin(async { peer.send(&[0x90, 4, 0, 2, 0, 0]).await })),
    ];
    let (test_cloud, broker) = (TestCloud::open().await, Scripted::start().await);
    let mut device = test_cloud.device().await;
    for (what, script) in scripts {
        let channel = ask_for(&mut device, broker.port).await;
        let mut peer = broker.accept().await;
        peer.let_in().await;
        assert!(
            matches!(device.next().await, Received::Answer { answer: Answer::Connected(_), .. }),
            "{what}"
        );
        device.item(channel, to_cloud::PUBLISH, &publish_item(0, 1, "t", b"x")).await;
        assert_eq!(peer.packet().await[0], 0x32, "{what}");
        device.item(channel, to_cloud::SUBSCRIBE, &[1, 1, b't']).await;
        assert_eq!(peer.packet().await[0], 0x82, "{what}");
        script(&mut peer).await;
        // Most of it makes the cloud end the connection; the rest is ended here.
        let ending = tokio::spawn(async move {
            let _ = tokio::time::timeout(Duration::from_millis(300), peer.rest()).await;
        });
        let all = until_closed(&mut device, channel).await;
        ending.await.expect("no panic");
        let publishes: Vec<_> = all.iter().filter_map(published).collect();
        assert_eq!(publishes, [RequestState::NotConnected], "{what}: {all:?}");
        assert_eq!(all.iter().filter(|received| is_subscribed(received)).count(), 1, "{what}: {all:?}");
        assert_eq!(all.iter().filter(|received| is_disconnected(received)).count(), 1, "{what}: {all:?}");
        assert_eq!(all.len(), 3, "{what}: {all:?}");
        device.close(channel).await;
    }
    test_cloud.cloud.stop().await;
}

/// Shows M12, D50.
#[tokio::test]
async fn a_reset_connection_is_answered_the_same_way() {
    let (test_cloud, broker) = (TestCloud::open().await, Scripted::start().await);
    let mut device = test_cloud.device().await;
    let channel = ask_for(&mut device, broker.port).await;
    let tcp = broker.tcp().await;
    tcp.set_zero_linger().expect("set");
    let mut peer = Peer::over(tcp);
    peer.let_in().await;
    assert!(matches!(device.next().await, Received::Answer { answer: Answer::Connected(_), .. }));
    device.item(channel, to_cloud::PUBLISH, &publish_item(5, 1, "t", b"x")).await;
    peer.packet().await;
    drop(peer);
    let all = until_closed(&mut device, channel).await;
    assert_eq!(all.iter().filter_map(published).collect::<Vec<_>>(), [RequestState::NotConnected], "{all:?}");
    assert_eq!(all.iter().filter(|received| is_disconnected(received)).count(), 1, "{all:?}");
    test_cloud.cloud.stop().await;
}

/// Shows M12, M21, D90, D95.
#[tokio::test]
async fn whatever_a_broker_does_instead_of_accepting_the_connect_has_one_answer() {
    let scripts: [(&str, Script, RequestState, u32); 5] = [
        ("closes", |_| Box::pin(async {}), RequestState::SocketError, 0),
        (
            "sends what is no packet",
            |peer| Box::pin(async { peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await }),
            RequestState::SocketError,
            0,
        ),
        (
            "acknowledges instead",
            |peer| Box::pin(async { peer.send(&[0x40, 2, 0, 1]).await }),
            RequestState::SocketError,
            0,
        ),
        (
            "answers half",
            |peer| Box::pin(async { peer.send(&[0x20, 2, 0]).await }),
            RequestState::SocketError,
            0,
        ),
        (
            "refuses",
            |peer| Box::pin(async { peer.send(&[0x20, 2, 0, 5]).await }),
            RequestState::NotConnected,
            5,
        ),
    ];
    let (test_cloud, broker) = (TestCloud::open().await, Scripted::start().await);
    let mut device = test_cloud.device().await;
    for (what, script, state, code) in scripts {
        let channel = ask_for(&mut device, broker.port).await;
        let mut peer = broker.accept().await;
        assert_eq!(peer.packet().await[0], 0x10);
        script(&mut peer).await;
        drop(peer);
        let received = device.next().await;
        let Received::Answer { answer: Answer::Connected(outcome), channel: of } = received else {
            panic!("{what}: {received:?}")
        };
        assert_eq!((of, outcome.state, outcome.reason), (channel, state, code), "{what}");
        device.item(channel, to_cloud::PUBLISH, &publish_item(0, 1, "t", b"x")).await;
        assert_eq!(
            published(&device.next().await),
            Some(RequestState::NotConnected),
            "{what}: nothing more was received"
        );
        device.close(channel).await;
    }
    test_cloud.cloud.stop().await;
}

/// A server's TLS with a certificate for `localhost` that ends in this year, and the authority's certificate.
fn tls(last_year: i32) -> (Arc<ServerConfig>, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    let certificate = params.signed_by(&key, &issuer).expect("signed").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    (Arc::new(config), issuer.der().to_vec())
}

/// Asks for a broker with TLS; what it comes to.
async fn ask_with_tls(device: &mut Device, port: u16, authority: Vec<u8>) -> RequestState {
    let channel = device.open(ChannelType::Mqtt, 2048).await;
    let connect = connect_item(false, "localhost", port, Some(&[authority]));
    device.item(channel, to_cloud::CONNECT, &connect).await;
    let received = device.next().await;
    let Received::Answer { answer: Answer::Connected(outcome), .. } = received else {
        panic!("{received:?}")
    };
    device.close(channel).await;
    outcome.state
}

/// Shows M20, M21.
#[tokio::test]
async fn failures_of_tls_with_a_broker_are_distinguished() {
    let limits = Limits {
        connect_timeout: Duration::from_millis(500),
        farewell_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let test_cloud = TestCloud::with(limits).await;
    let mut device = test_cloud.device().await;
    let broker = Arc::new(Scripted::start().await);
    let (good, authority) = tls(2999);
    let (expired, old_authority) = tls(2020);
    for (config, trusted, state) in [
        (expired, old_authority, RequestState::CertificateExpired),
        (good, tls(2999).1, RequestState::UnknownCa),
    ] {
        let serving = tokio::spawn({
            let broker = broker.clone();
            async move { broker.accept_tls(config).await.is_some() }
        });
        assert_eq!(ask_with_tls(&mut device, broker.port, trusted).await, state);
        serving.await.expect("no panic");
    }
    // It accepts, and says nothing.
    let silent = tokio::spawn({
        let broker = broker.clone();
        async move { broker.accept().await.rest().await }
    });
    assert_eq!(ask_with_tls(&mut device, broker.port, authority.clone()).await, RequestState::SocketError);
    assert!(!silent.await.expect("no panic").is_empty(), "it was spoken to");
    // It speaks plain.
    let plain = tokio::spawn({
        let broker = broker.clone();
        async move { broker.accept().await.send(&[0x20, 2, 0, 0]).await }
    });
    assert_eq!(ask_with_tls(&mut device, broker.port, authority).await, RequestState::SocketError);
    plain.await.expect("no panic");
    test_cloud.cloud.stop().await;
}
