use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{self, ClientConfig, SupportedProtocolVersion};

use super::*;
use crate::authority::Identity;
use crate::limits::Limits;

/// A gateway whose sessions say the device's id and then wait for the other end to leave.
struct TestGateway {
    address: SocketAddr,
    authority: Authority,
    metrics: Arc<Metrics>,
    /// The addresses of the devices that were served.
    served: Arc<std::sync::Mutex<Vec<SocketAddr>>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestGateway {
    async fn open(limits: Limits) -> Self {
        Self::open_behind(&[], limits).await
    }

    /// A gateway behind load balancers in these ranges.
    async fn open_behind(proxies: &[&str], limits: Limits) -> Self {
        let authority = Authority::generate();
        let proxies = proxies.iter().map(|range| range.parse().expect("a range")).collect();
        let config = Config { proxies, limits, ..Config::local("unused", (Ipv4Addr::LOCALHOST, 0).into()) };
        let metrics = Arc::new(Metrics::new());
        let served = Arc::<std::sync::Mutex<Vec<_>>>::default();
        let (gateway, addresses) = (Gateway::new(&authority, &config, metrics.clone()), served.clone());
        let gateway = gateway.expect("a host name");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(gateway.run(listener, stopped, move |mut admitted: Box<Admitted>| {
            addresses.lock().expect("not poisoned").push(admitted.address);
            async move {
                let _ = admitted.stream.write_all(admitted.device.as_str().as_bytes()).await;
                let _ = admitted.stream.flush().await;
                let _ = admitted.stream.read(&mut [0]).await;
            }
        }));
        Self { address, authority, metrics, served, stop, running }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the port is open")
    }

    /// Connects as a client would, and reads what the session says; `None` when turned away.
    async fn visit(&self, config: ClientConfig) -> Option<String> {
        self.visit_on(self.dial().await, config).await
    }

    async fn visit_on(&self, stream: TcpStream, config: ClientConfig) -> Option<String> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let mut said = [0; DeviceId::LENGTH];
        stream.read_exact(&mut said).await.ok()?;
        String::from_utf8(said.to_vec()).ok()
    }

    /// Whether a device of this house is served.
    async fn serves(&self) -> bool {
        let identity = self.authority.issue_device(DeviceId::random());
        self.visit(client(&identity, &self.authority)).await.as_deref() == Some(identity.device_id.as_str())
    }

    /// Whether a device is served on a connection.
    async fn serves_on(&self, stream: TcpStream) -> bool {
        let identity = self.authority.issue_device(DeviceId::random());
        self.visit_on(stream, client(&identity, &self.authority)).await.is_some()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.metrics.refused.with_label_values(&[reason]).get()
    }

    async fn close(self) {
        self.stop.send(()).expect("still running");
        timeout(Duration::from_secs(10), self.running)
            .await
            .expect("stops in time")
            .expect("without a panic");
    }
}

fn client(identity: &Identity, authority: &Authority) -> ClientConfig {
    client_speaking(&TLS13, identity, authority)
}

fn client_speaking(
    version: &'static SupportedProtocolVersion,
    identity: &Identity,
    authority: &Authority,
) -> ClientConfig {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
    let mut config = anonymous(version, authority)
        .with_client_auth_cert(vec![certificate], key)
        .expect("they belong together");
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

type Anonymous = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn anonymous(version: &'static SupportedProtocolVersion, authority: &Authority) -> Anonymous {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
    builder.expect("a version the provider knows").with_root_certificates(roots)
}

/// Reads until the other end closes; whether it did so within the time.
async fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let mut all = Vec::new();
    timeout(within, stream.read_to_end(&mut all)).await.is_ok()
}

#[tokio::test]
async fn a_device_is_known_by_the_name_in_its_certificate() {
    let house = TestGateway::open(Limits::default()).await;
    assert!(house.serves().await);
    house.close().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_turned_away() {
    let house = TestGateway::open(Limits::default()).await;
    let stranger = Authority::generate().issue_device(DeviceId::random());
    assert_eq!(house.visit(client(&stranger, &house.authority)).await, None);
    assert!(house.serves().await);
    house.close().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_turned_away() {
    let house = TestGateway::open(Limits::default()).await;
    let mut config = anonymous(&TLS13, &house.authority).with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    assert_eq!(house.visit(config).await, None);
    house.close().await;
}

#[tokio::test]
async fn tls_1_2_is_turned_away() {
    let house = TestGateway::open(Limits::default()).await;
    let identity = house.authority.issue_device(DeviceId::random());
    assert_eq!(house.visit(client_speaking(&TLS12, &identity, &house.authority)).await, None);
    assert!(house.serves().await);
    house.close().await;
}

#[tokio::test]
async fn another_protocol_or_none_is_turned_away() {
    let house = TestGateway::open(Limits::default()).await;
    let identity = house.authority.issue_device(DeviceId::random());
    for protocols in [vec![b"openvisor/2".to_vec()], vec![b"h2".to_vec()], vec![]] {
        let mut config = client(&identity, &house.authority);
        config.alpn_protocols = protocols;
        assert_eq!(house.visit(config).await, None);
    }
    house.close().await;
}

#[tokio::test]
async fn the_clouds_own_certificate_does_not_make_a_device() {
    let house = TestGateway::open(Limits::default()).await;
    // The authority vouches for the cloud's own certificate too, but only as a server.
    let server = house.authority.issue_server(&["localhost".to_owned()]).expect("a name");
    let builder = anonymous(&TLS13, &house.authority);
    let mut config = builder.with_client_auth_cert(server.chain, server.key).expect("they belong together");
    config.alpn_protocols = vec![ALPN.to_vec()];
    assert_eq!(house.visit(config).await, None);
    house.close().await;
}

#[tokio::test]
async fn a_certificate_of_the_authority_that_names_no_device_is_turned_away() {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
    let house = TestGateway::open(Limits::default()).await;
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name.push(DnType::CommonName, "Openvisor device authority");
    let issuer = Issuer::new(issuer, KeyPair::from_pem(&house.authority.key_pem()).expect("a key"));
    for (name, is_served) in [("kettle", false), (DeviceId::random().as_str(), true)] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = anonymous(&TLS13, &house.authority)
            .with_client_auth_cert(vec![certificate.der().clone()], key)
            .expect("they belong together");
        config.alpn_protocols = vec![ALPN.to_vec()];
        assert_eq!(house.visit(config).await.is_some(), is_served, "{name}");
    }
    house.close().await;
}

#[tokio::test]
async fn garbage_is_dropped_at_once_and_others_are_served() {
    let house = TestGateway::open(Limits::default()).await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"[..], &[0; 64], &[0xFF; 4096]] {
        let mut stream = house.dial().await;
        stream.write_all(garbage).await.expect("written");
        assert!(is_closed(&mut stream, Duration::from_secs(5)).await);
    }
    assert!(house.serves().await);
    house.close().await;
}

#[tokio::test]
async fn a_handshake_left_half_open_ends_by_itself() {
    let house =
        TestGateway::open(Limits { handshake_timeout: Duration::from_millis(200), ..Limits::default() })
            .await;
    let mut silent = house.dial().await;
    assert!(house.serves().await, "others are served meanwhile");
    assert!(is_closed(&mut silent, Duration::from_secs(5)).await);
    house.close().await;
}

/// Shows D174.
#[tokio::test]
async fn a_connection_that_says_nothing_is_dropped_long_before_a_slow_handshake() {
    let house =
        TestGateway::open(Limits { handshake_timeout: Duration::from_mins(1), ..Limits::default() }).await;
    let mut slow = house.dial().await;
    slow.write_all(&[0x16, 3, 1]).await.expect("written");
    let mut silent = house.dial().await;
    assert!(is_closed(&mut silent, Duration::from_secs(20)).await);
    assert!(!is_closed(&mut slow, Duration::from_millis(50)).await);
    house.close().await;
}

/// Shows D174: a source's own handshakes are bounded, and one that is unfinished for long makes room for the next.
#[tokio::test]
async fn half_open_handshakes_of_one_source_are_bounded_and_the_oldest_gives_way() {
    let limits = Limits { handshakes_per_source: 8, handshakes_a_second_per_source: 0, ..Limits::default() };
    let house = TestGateway::open(limits).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut slow = house.dial().await;
        slow.write_all(&[0x16, 3, 1]).await.expect("written");
        held.push(slow);
    }
    let mut extra = house.dial().await;
    assert!(is_closed(&mut extra, Duration::from_secs(20)).await, "no room while all of them are young");
    tokio::time::sleep(HANDSHAKE_GRACE).await;
    assert!(house.serves().await, "the same source");
    assert!(is_closed(&mut held[0], Duration::from_secs(20)).await, "the oldest");
    assert!(!is_closed(&mut held[7], Duration::from_millis(50)).await, "the youngest");
    house.close().await;
}

/// An address of this machine, of which there are 16 million.
fn source(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([127, 77, high, low], 0))
}

async fn dial_from(source: SocketAddr, to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(source).expect("an address of this machine");
    socket.connect(to).await.expect("the port is open")
}

/// Shows D174: slow handshakes from many sources, from some, and from two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_4000_slow_handshakes_a_device_of_another_address_is_served() {
    let house =
        TestGateway::open(Limits { handshake_timeout: Duration::from_mins(1), ..Limits::default() }).await;
    for sources in [4000, 100, 2] {
        let mut slow = Vec::new();
        for number in 0..4000 {
            let mut stream = dial_from(source(number % sources), house.address).await;
            let _ = stream.write_all(&[0x16, 3, 1, 2, 0]).await;
            slow.push(stream);
        }
        for attempt in 0..3 {
            let start = Instant::now();
            assert!(house.serves().await, "{sources} sources, attempt {attempt}");
            assert!(start.elapsed() < Duration::from_secs(2), "{:?} with {sources} sources", start.elapsed());
        }
    }
    house.close().await;
}

/// A ClientHello in records of one byte: what is kept of it is bounded, and the connection ends.
#[tokio::test]
async fn a_handshake_message_that_is_too_long_ends_the_connection() {
    let house =
        TestGateway::open(Limits { handshake_timeout: Duration::from_mins(1), ..Limits::default() }).await;
    let mut stream = house.dial().await;
    let mut hello = vec![1, 0, 0xff, 0];
    hello.resize(60_000, 0);
    let records: Vec<u8> = hello.iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
    let mut sent = 0;
    for piece in records.chunks(600) {
        if timeout(Duration::from_secs(20), stream.write_all(piece)).await.expect("taken or ended").is_err() {
            break;
        }
        sent += piece.len();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(sent < records.len(), "it was ended after {sent} bytes at most");
    assert!(house.serves().await);
    house.close().await;
}

/// Shows D122.
#[tokio::test]
async fn a_source_may_come_so_often_and_not_once_more() {
    let house = TestGateway::open(Limits { handshakes_a_second_per_source: 1, ..Limits::default() }).await;
    for _ in 1..crate::limits::HANDSHAKE_BURST_SECONDS {
        drop(house.dial().await);
    }
    let mut last = house.dial().await;
    assert!(!is_closed(&mut last, Duration::from_millis(100)).await, "the last of the burst is heard");
    let mut beyond = house.dial().await;
    assert!(is_closed(&mut beyond, Duration::from_secs(5)).await, "one more is not");
    house.close().await;
}

#[tokio::test]
async fn connections_of_one_source_are_bounded_and_a_place_is_given_back() {
    let house = TestGateway::open(Limits { connections_per_source: 1, ..Limits::default() }).await;
    let identity = house.authority.issue_device(DeviceId::random());
    let name = ServerName::try_from("localhost").expect("a name");
    let config = Arc::new(client(&identity, &house.authority));
    let first =
        TlsConnector::from(config).connect(name, house.dial().await).await.expect("the first is let in");
    assert!(!house.serves().await);
    drop(first);
    while !house.serves().await {
        tokio::task::yield_now().await;
    }
    house.close().await;
}

#[tokio::test]
async fn stopping_ends_within_its_bound_whatever_the_others_do() {
    let (drain_timeout, farewell_timeout) = (Duration::from_millis(50), Duration::from_millis(50));
    let limits = Limits { drain_timeout, farewell_timeout, ..Limits::default() };
    let house = TestGateway::open(limits).await;
    let identity = house.authority.issue_device(DeviceId::random());
    let name = ServerName::try_from("localhost").expect("a name");
    let config = Arc::new(client(&identity, &house.authority));
    let _deaf = TlsConnector::from(config).connect(name, house.dial().await).await.expect("let in");
    let _half = house.dial().await;
    house.close().await;
}

/// A device that reconnects with a ticket is still named: the session ticket carries who it is.
#[tokio::test]
async fn a_resumed_connection_is_the_same_device() {
    let house = TestGateway::open(Limits::default()).await;
    let identity = house.authority.issue_device(DeviceId::random());
    let connector = TlsConnector::from(Arc::new(client(&identity, &house.authority)));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = connector.connect(name, house.dial().await).await.expect("let in");
        let mut said = [0; DeviceId::LENGTH];
        stream.read_exact(&mut said).await.expect("the session speaks");
        assert_eq!(said, identity.device_id.as_str().as_bytes());
        kinds.push(stream.get_ref().1.handshake_kind().expect("done"));
    }
    assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
    house.close().await;
}

/// Most bytes of the task of a connection, without tokio's own part. Sizes differ between targets.
#[cfg(target_arch = "x86_64")]
const MAX_TASK: usize = 208;

#[cfg(target_arch = "x86_64")]
fn shared() -> Arc<crate::shared::Shared> {
    unreachable!("only the type of the task counts")
}

/// What a task keeps it keeps for each of very many idle devices.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn the_task_of_a_connection_keeps_nothing_of_the_handshake() {
    let config = Config::local("unused", (Ipv4Addr::LOCALHOST, 0).into());
    let gateway =
        Gateway::new(&Authority::generate(), &config, Arc::new(Metrics::new())).expect("a host name");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stream = TcpStream::connect(address).await.expect("the port is open");
    let reserved = gateway.reserve(address).expect("the first");
    let serve = |admitted| crate::session::serve(shared(), admitted);
    let task = Arc::new(gateway).connection(stream, address, reserved, serve);
    assert!(size_of_val(&task) <= MAX_TASK, "{}", size_of_val(&task));
}

/// A load balancer that passes TCP through, at an address of its own, and sends the address of each client.
struct Balancer {
    address: SocketAddr,
    running: JoinHandle<()>,
}

impl Balancer {
    async fn open(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let running = tokio::spawn(async move {
            while let Ok((mut client, from)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut server = dial_from(BALANCER, to).await;
                    let header = format!("PROXY TCP4 {} 127.0.0.1 {} 7883\r\n", from.ip(), from.port());
                    server.write_all(header.as_bytes()).await.expect("written");
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, running }
    }
}

const BALANCER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), 0);

/// Shows D356: limits and log have the address of the device, not that of the load balancer.
#[tokio::test]
async fn behind_a_load_balancer_each_device_counts_for_its_own_address() {
    let limits = Limits { connections_per_source: 1, ..Limits::default() };
    let house = TestGateway::open_behind(&["127.9.0.0/16"], limits).await;
    let balancer = Balancer::open(house.address).await;
    let identity = house.authority.issue_device(DeviceId::random());
    let config = Arc::new(client(&identity, &house.authority));
    let mut held = Vec::new();
    for number in [1, 2] {
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = dial_from(source(number), balancer.address).await;
        let from = stream.local_addr().expect("bound");
        let mut stream = TlsConnector::from(config.clone()).connect(name, stream).await.expect("let in");
        stream.read_exact(&mut [0; DeviceId::LENGTH]).await.expect("served");
        assert_eq!(house.served.lock().expect("not poisoned").last(), Some(&from));
        held.push(stream);
    }
    assert!(!house.serves_on(dial_from(source(2), balancer.address).await).await, "this source has one");
    assert_eq!(house.refused("connections_per_source"), 1);
    balancer.running.abort();
    house.close().await;
}

/// Shows D356.
#[tokio::test]
async fn a_header_is_required_of_load_balancers_and_not_believed_of_others() {
    let house = TestGateway::open_behind(&["127.9.0.0/16"], Limits::default()).await;
    assert!(house.serves_on(dial_from(source(1), house.address).await).await, "directly, without one");
    assert!(!house.serves_on(dial_from(BALANCER, house.address).await).await);
    assert_eq!(house.refused("proxy_header"), 1);
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 7883\r\n";
    let mut liar = dial_from(source(2), house.address).await;
    liar.write_all(header).await.expect("written");
    assert!(!house.serves_on(liar).await);
    assert_eq!(house.refused("handshake_failed"), 1);
    let mut twice = dial_from(BALANCER, house.address).await;
    twice.write_all(&[&header[..], &header[..]].concat()).await.expect("written");
    assert!(!house.serves_on(twice).await, "the second is the client's");
    let mut silent = dial_from(BALANCER, house.address).await;
    silent.write_all(b"PROXY TCP4 192").await.expect("written");
    assert!(is_closed(&mut silent, Duration::from_secs(20)).await);
    assert_eq!(house.refused("proxy_header_timeout"), 1);
    house.close().await;
}

/// Shows D356: a check that the port answers is no refusal, with a header or without.
#[tokio::test]
async fn a_health_check_of_the_load_balancer_is_counted_as_one() {
    let house = TestGateway::open_behind(&["127.9.0.0/16"], Limits::default()).await;
    drop(dial_from(BALANCER, house.address).await);
    let mut check = dial_from(BALANCER, house.address).await;
    check.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.expect("written");
    drop(check);
    let start = Instant::now();
    while house.metrics.proxy_checks.get() < 2 {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(house.refused("health_check") + house.refused("proxy_header"), 0);
    // A load balancer may also check by a handshake of its own.
    let mut local = dial_from(BALANCER, house.address).await;
    local.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await.expect("written");
    assert!(house.serves_on(local).await);
    assert_eq!(house.served.lock().expect("not poisoned")[0].ip(), BALANCER.ip());
    house.close().await;
}
