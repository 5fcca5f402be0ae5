use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use relay::{ConnectionEnd, Credential, CredentialsError, TlsOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::*;

/// An authority brokers and their clients get certificates from.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

/// A certificate and its key, DER.
struct Signed {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).expect("a certificate").der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    fn sign(&self, host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        adjust(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").der().to_vec();
        Signed { certificate, key: key.serialize_der() }
    }
}

const OLD: &[&SupportedProtocolVersion] = &[&TLS12];

/// How a broker of the tests behaves.
struct Broker {
    signed: Signed,
    versions: &'static [&'static SupportedProtocolVersion],
    clients: Option<Vec<u8>>,
}

impl Broker {
    fn with(signed: Signed) -> Self {
        Self { signed, versions: ALL_VERSIONS, clients: None }
    }

    /// Serves one connection after another: `hello` back for every byte.
    async fn serve(self) -> u16 {
        let key = PrivateKeyDer::try_from(self.signed.key).expect("a key");
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(self.versions);
        let builder = builder.expect("versions");
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots(&authority), provider())
                    .build()
                    .expect("a verifier"),
            ),
        };
        let config = builder.with_single_cert(vec![self.signed.certificate.into()], key).expect("they match");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
                if let Ok(mut stream) = acceptor.accept(tcp).await {
                    let _ = stream.read(&mut [0]).await;
                    let _ = stream.write_all(b"hello").await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        port
    }
}

fn connector() -> Connector {
    connector_with(Destinations::with_loopback(), &Limits::default())
}

fn connector_with(destinations: Destinations, limits: &Limits) -> Connector {
    Connector::new(destinations, Vec::new(), Trust::new(&[]).expect("no more authorities"), limits)
}

fn target(host: &str, port: u16, tls: impl Into<Option<TlsOptions>>) -> Target {
    Target { host: host.to_owned(), port, tls: tls.into() }
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions { authorities: vec![authority.der.clone()], ..TlsOptions::default() }
}

fn roots(authority: &[u8]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.to_vec().into()).expect("a certificate");
    Arc::new(roots)
}

/// Connects and exchanges a few bytes.
async fn exchange(target: Target) -> Result<Vec<u8>, ConnectError> {
    let mut stream = connector().connect(target).await?;
    let mut answer = Vec::new();
    let _ = stream.write_all(b"?").await;
    let _ = stream.flush().await;
    stream.read_to_end(&mut answer).await.map_err(|error| match connection_end(&error) {
        ConnectionEnd::Failed(cause) => cause,
        ConnectionEnd::Closed => ConnectError::Socket,
    })?;
    Ok(answer)
}

async fn failure(target: Target) -> ConnectError {
    connector().connect(target).await.err().expect("no connection")
}

/// Shows M46, D42.
#[tokio::test]
async fn without_tls_the_bytes_go_plain() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a byte");
        stream.write_all(b"plain").await.expect("written");
        byte
    });
    assert_eq!(exchange(target("127.0.0.1", port, None)).await, Ok(b"plain".to_vec()));
    assert_eq!(served.await.expect("served"), *b"?");
}

/// Shows M47, M49.
#[tokio::test]
async fn a_broker_is_reached_by_name_and_by_address_when_its_certificate_says_so() {
    let authority = Authority::new();
    let named = Broker::with(authority.sign("localhost", |_| ())).serve().await;
    assert_eq!(exchange(target("localhost", named, trusting(&authority))).await, Ok(b"hello".to_vec()));
    let other_name = ConnectError::CertificateName { names: vec!["localhost".to_owned()] };
    assert_eq!(failure(target("127.0.0.1", named, trusting(&authority))).await, other_name);
    let addressed = Broker::with(authority.sign("127.0.0.1", |_| ())).serve().await;
    assert_eq!(exchange(target("127.0.0.1", addressed, trusting(&authority))).await, Ok(b"hello".to_vec()));
}

#[tokio::test]
async fn a_broker_that_knows_only_tls_1_2_is_reached() {
    let authority = Authority::new();
    let mut broker = Broker::with(authority.sign("localhost", |_| ()));
    broker.versions = OLD;
    let port = broker.serve().await;
    assert_eq!(exchange(target("localhost", port, trusting(&authority))).await, Ok(b"hello".to_vec()));
}

/// Shows M20.
#[tokio::test]
async fn an_authority_not_named_is_unknown() {
    let authority = Authority::new();
    let port = Broker::with(authority.sign("localhost", |_| ())).serve().await;
    let other = trusting(&Authority::new());
    assert_eq!(failure(target("localhost", port, other)).await, ConnectError::UnknownCa);
}

/// Shows M20, D42.
#[tokio::test]
async fn without_a_list_the_mozilla_roots_decide() {
    let port = Broker::with(Authority::new().sign("localhost", |_| ())).serve().await;
    let tls = Some(TlsOptions::default());
    assert_eq!(failure(target("localhost", port, tls)).await, ConnectError::UnknownCa);
}

/// Shows M21.
#[tokio::test]
async fn an_expired_certificate_has_its_own_cause() {
    let authority = Authority::new();
    let signed = authority.sign("localhost", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let port = Broker::with(signed).serve().await;
    assert_eq!(
        failure(target("localhost", port, trusting(&authority))).await,
        ConnectError::CertificateExpired
    );
}

/// Shows M21.
#[tokio::test]
async fn a_certificate_for_another_host_or_of_the_future_has_its_own_cause() {
    let authority = Authority::new();
    let other = Broker::with(authority.sign("other.example", |_| ())).serve().await;
    let other_name = ConnectError::CertificateName { names: vec!["other.example".to_owned()] };
    assert_eq!(failure(target("localhost", other, trusting(&authority))).await, other_name);
    let signed = authority.sign("localhost", |params| params.not_before = date_time_ymd(3000, 1, 1));
    let future = Broker::with(signed).serve().await;
    let future = failure(target("localhost", future, trusting(&authority))).await;
    assert_eq!(future, ConnectError::CertificateNotYetValid);
}

/// Shows M43, M47, M50.
#[tokio::test]
async fn a_broker_that_asks_for_a_certificate_gets_the_applications() {
    let authority = Authority::new();
    let clients = Authority::new();
    let mut broker = Broker::with(authority.sign("localhost", |_| ()));
    broker.clients = Some(clients.der.clone());
    let port = broker.serve().await;
    let client = clients.sign("client", |_| ());
    let tls = TlsOptions {
        authorities: vec![authority.der.clone()],
        chain: vec![client.certificate],
        key: client.key,
    };
    assert_eq!(exchange(target("localhost", port, Some(tls))).await, Ok(b"hello".to_vec()));
    let refused = exchange(target("localhost", port, trusting(&authority))).await;
    assert_eq!(refused, Err(ConnectError::ClientCertificateRequired));
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_refused_before_anything_is_sent() {
    use Credential::{Authority as Ca, Certificate, Key};
    use CredentialsError::{Malformed, Mismatch, Pem};
    let authority = Authority::new();
    let (one, other) = (authority.sign("client", |_| ()), authority.sign("client", |_| ()));
    let with = |authorities: Vec<Vec<u8>>, chain: Vec<Vec<u8>>, key: &[u8]| {
        // Port 1 of an address that is never dialled.
        target("192.0.2.1", 1, Some(TlsOptions { authorities, chain, key: key.to_vec() }))
    };
    let pem = b"\n-----BEGIN SOMETHING-----\n".to_vec();
    let certificate = || vec![one.certificate.clone()];
    for (target, expected) in [
        (with(vec![b"no certificate".to_vec()], vec![], b""), Malformed(Ca)),
        (with(vec![authority.der.clone(), pem.clone()], vec![], b""), Pem(Ca)),
        (with(vec![authority.der.clone()], certificate(), b"no key"), Malformed(Key)),
        (with(vec![authority.der.clone()], certificate(), &pem), Pem(Key)),
        (with(vec![authority.der.clone()], certificate(), &other.key), Mismatch),
        (with(vec![], vec![b"no certificate".to_vec()], &one.key), Malformed(Certificate)),
        (with(vec![], vec![one.certificate.clone(), pem.clone()], &one.key), Pem(Certificate)),
    ] {
        assert_eq!(failure(target).await, ConnectError::InvalidCredentials(expected));
    }
}

/// Shows M19.
#[tokio::test]
async fn a_name_without_an_address_is_not_resolved() {
    for host in ["broker.invalid", "", "two words", "nul\0l", "[::1", "häuser.invalid"] {
        assert_eq!(failure(target(host, 1883, None)).await, ConnectError::NameNotResolved, "{host:?}");
    }
}

/// Shows M21.
#[tokio::test]
async fn a_closed_port_or_a_plain_broker_is_a_socket_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    assert_eq!(failure(target("127.0.0.1", port, None)).await, ConnectError::Refused);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.write_all(b"\x20\x02\x00\x00 this is not TLS").await;
    });
    assert_eq!(failure(target("127.0.0.1", port, Some(TlsOptions::default()))).await, ConnectError::NotTls);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let closed_address = closed.local_addr().expect("bound");
    drop(closed);
    let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let open_address = open.local_addr().expect("bound");
    let stream =
        dial(&[closed_address, open_address], Duration::from_secs(10)).await.expect("the second answers");
    assert_eq!(stream.peer_addr().expect("connected"), open_address);
    assert_eq!(dial(&[], Duration::from_secs(10)).await.err(), Some(ConnectError::NameNotResolved));
}

/// A broker that takes the connection and says nothing must not hold the device for ever.
#[tokio::test]
async fn a_silent_broker_runs_out_of_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let limits = Limits { connect_timeout: Duration::from_millis(50), ..Limits::default() };
    let connector = connector_with(Destinations::with_loopback(), &limits);
    let tls = Some(TlsOptions::default());
    let failed = connector.connect(target("127.0.0.1", port, tls)).await.err();
    assert_eq!(failed, Some(ConnectError::TlsTimedOut));
}

/// Shows D62.
#[tokio::test]
async fn a_destination_that_is_not_open_is_not_dialled_by_name_or_address() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let connector = connector_with(Destinations::public(), &Limits::default());
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1"] {
        let failed = connector.connect(target(host, port, None)).await.err();
        assert_eq!(failed, Some(ConnectError::NotAllowed), "{host}");
    }
    // Spellings of C's `inet_aton` are names, which do not exist.
    let limits = Limits { resolve_timeout: Duration::from_millis(200), ..Limits::default() };
    let connector = connector_with(Destinations::public(), &limits);
    for host in ["127.1", "0", "2130706433", "0x7f000001", "fe80::1%lo"] {
        let failed = connector.connect(target(host, port, None)).await.err();
        let is_unknown =
            matches!(failed, Some(ConnectError::NameNotResolved | ConnectError::ResolveTimedOut));
        assert!(is_unknown, "{host}: {failed:?}");
    }
    assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err(), "no connection was made");
}

/// A certificate signed by its own key, for `localhost`; `is_ca` as `openssl req -x509` marks it.
fn self_signed(is_ca: IsCa, adjust: impl FnOnce(&mut CertificateParams)) -> Signed {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.is_ca = is_ca;
    adjust(&mut params);
    let certificate = params.self_signed(&key).expect("a certificate").der().to_vec();
    Signed { certificate, key: key.serialize_der() }
}

fn named(authority: &[u8]) -> TlsOptions {
    TlsOptions { authorities: vec![authority.to_vec()], ..TlsOptions::default() }
}

/// Shows M47.
#[tokio::test]
async fn a_broker_may_show_the_very_certificate_that_is_named_as_its_authority() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(rcgen::BasicConstraints::Unconstrained)] {
        for versions in [ALL_VERSIONS, OLD] {
            let signed = self_signed(is_ca, |_| ());
            let authority = signed.certificate.clone();
            let port = Broker { signed, versions, clients: None }.serve().await;
            let answer = exchange(target("localhost", port, named(&authority))).await;
            assert_eq!(answer, Ok(b"hello".to_vec()), "{is_ca:?}");
            // As good as named by the application, if the operator names it.
            let trust = Trust::new(&[authority.into()]).expect("an authority");
            let connector =
                Connector::new(Destinations::with_loopback(), Vec::new(), trust, &Limits::default());
            assert!(connector.connect(target("localhost", port, TlsOptions::default())).await.is_ok());
            assert!(
                connector
                    .connect_https(Owner::default(), "localhost", port, Duration::from_secs(10))
                    .await
                    .is_ok()
            );
        }
    }
}

/// Shows M20, M21, M47.
#[tokio::test]
async fn such_a_certificate_has_to_be_the_same_and_its_name_and_time_count() {
    let ca = || IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let signed = self_signed(ca(), |_| ());
    let authority = signed.certificate.clone();
    let port = Broker::with(signed).serve().await;
    let wrong_name = failure(target("127.0.0.1", port, named(&authority))).await;
    assert_eq!(wrong_name, ConnectError::CertificateName { names: vec!["localhost".to_owned()] });
    let other = self_signed(ca(), |_| ());
    let refused = failure(target("localhost", port, named(&other.certificate))).await;
    assert_eq!(refused, ConnectError::UnknownCa);
    let expired = self_signed(ca(), |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let authority = expired.certificate.clone();
    let port = Broker::with(expired).serve().await;
    assert_eq!(failure(target("localhost", port, named(&authority))).await, ConnectError::CertificateExpired);
}

/// Shows D62.
#[tokio::test]
async fn what_the_operator_points_elsewhere_is_reached_there_under_its_own_name() {
    let authority = Authority::new();
    let port = Broker::with(authority.sign("broker.example", |_| ())).serve().await;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let resolve = vec![Resolve { host: "Broker.example".to_owned(), port: 8883, to }];
    let trust = Trust::new(&[]).expect("no more authorities");
    // Loopback is not open otherwise.
    let connector = Connector::new(Destinations::public(), resolve, trust, &Limits::default());
    assert!(connector.connect(target("broker.example", 8883, trusting(&authority))).await.is_ok());
    let other_port = connector.connect(target("localhost", port, None)).await.err();
    assert_eq!(other_port, Some(ConnectError::NotAllowed));
}

#[test]
fn authorities_are_read_from_a_pem_file_or_the_cause_is_reported() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("authorities.pem");
    let der = Authority::new().der;
    let missing = read_authorities(&path).expect_err("no file").to_string();
    assert!(missing.contains("authorities.pem cannot be read"), "{missing}");
    std::fs::write(&path, "no certificate here\n").expect("written");
    assert!(matches!(read_authorities(&path), Err(AuthoritiesError::None(_))));
    let key = KeyPair::generate().expect("a key");
    let pem = CertificateParams::default().self_signed(&key).expect("a certificate").pem();
    std::fs::write(&path, format!("comment\n{pem}\n{}\n{pem}", key.serialize_pem())).expect("written");
    assert_eq!(read_authorities(&path).expect("two").len(), 2);
    assert!(Trust::new(&[der.into()]).is_ok());
    assert!(matches!(Trust::new(&[b"none".to_vec().into()]), Err(AuthoritiesError::Unusable(_))));
}

/// Shows D62, D184: this machine's own public address is refused, by address and by name, unless the operator allows
/// it.
#[tokio::test]
async fn this_machines_own_address_is_refused_unless_allowed() {
    let read = || Ok(vec!["93.184.216.77".parse().expect("a range")]);
    let own = || Interfaces::with_source(Arc::new(read), Duration::ZERO);
    let with = |destinations| {
        let limits = Limits { connect_timeout: Duration::from_millis(1), ..Limits::default() };
        Connector { interfaces: own(), ..connector_with(destinations, &limits) }
    };
    let refused = |error| matches!(error, Some(ConnectError::NotAllowed));
    let public = with(Destinations::public());
    for host in ["93.184.216.77", "::ffff:93.184.216.77", "[64:ff9b::5db8:d84d]"] {
        assert!(refused(public.connect(target(host, 9, None)).await.err()), "{host}");
    }
    let allowed = with(Destinations::public().allow("93.184.216.77".parse().expect("a range")));
    assert!(!refused(allowed.connect(target("93.184.216.77", 9, None)).await.err()));
}

/// Shows D184: what cannot be judged is not connected to.
#[tokio::test]
async fn without_knowing_its_own_addresses_the_cloud_connects_to_nothing() {
    let read = || Err(io::Error::other("no permission"));
    let interfaces = Interfaces::with_source(Arc::new(read), Duration::ZERO);
    let connector = Connector { interfaces, ..connector() };
    let error = connector.connect(target("127.0.0.1", 9, None)).await.err();
    assert_eq!(error, Some(ConnectError::NotAllowed));
}

/// Shows D181: name servers may be given, and their answers are judged like any (D62).
#[tokio::test]
async fn answers_of_a_given_name_server_are_judged() {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let server = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            // `a.test`, A or AAAA: 127.0.0.1, or nothing.
            let is_v4 = query[21] == 1;
            let question = &query[12..24];
            let mut answer =
                [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0], question].concat();
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
            }
            assert!(length > 24);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let limits = Limits::default();
    let asking =
        |destinations| connector_with(destinations, &limits).with_name_servers(vec![server], &limits);
    let error = asking(Destinations::public()).connect(target("a.test", port, None)).await.err();
    assert_eq!(error, Some(ConnectError::NotAllowed));
    assert!(asking(Destinations::with_loopback()).connect(target("a.test", port, None)).await.is_ok());
}
