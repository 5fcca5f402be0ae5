//! TLS to brokers as applications ask for it: authorities, chains, keys, names.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use abi::Status;
use abi::channel::ChannelType;
use abi::mqtt::{
    MqttConnectRequest, MqttRequestState, OwnTlsCertificateChain, TlsCertificateChain, TlsCredentials,
};
use cloud::Scope;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

use crate::broker::{Authority, Broker, Signed};
use crate::device::{App, Site};
use crate::mqtt::sign_in;
use crate::network::fetch_config;
use kernel_testport::TestDevice;

/// What an application gives for TLS, all DER.
#[derive(Default)]
struct Credentials {
    authorities: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Credentials {
    fn trusting(authority: &Authority) -> Self {
        Self { authorities: vec![authority.der()], ..Self::default() }
    }

    fn with_client(self, signed: &Signed) -> Self {
        Self { chain: vec![signed.der.clone()], key: signed.key.clone(), ..self }
    }

    fn put(&self, device: &mut TestDevice) -> u32 {
        let cacert = chain(device, &self.authorities);
        let clientcert =
            OwnTlsCertificateChain { chain: chain(device, &self.chain), key: device.flash_string(&self.key) };
        device.alloc_bytes(&TlsCredentials { cacert, clientcert }.to_bytes())
    }
}

fn chain(device: &mut TestDevice, certificates: &[Vec<u8>]) -> TlsCertificateChain {
    let array: Vec<u8> =
        certificates.iter().flat_map(|certificate| device.flash_string(certificate).to_bytes()).collect();
    TlsCertificateChain { num_certs: certificates.len() as u32, certs: device.alloc_bytes(&array) }
}

/// The state of a connect to `host` with these credentials, on a channel of its own.
fn state_of(app: &mut App, host: &str, port: u16, credentials: &Credentials) -> MqttRequestState {
    let channel = app.open_channel(ChannelType::Mqtt, 8192);
    let device = &mut app.live.device;
    let (host, tls_credentials) = (device.flash_string(host.as_bytes()), credentials.put(device));
    let request = MqttConnectRequest { host, tls_credentials, ..app.connect_params("sealed", port) };
    let (state, _) = app.connect(channel, &request);
    if state == MqttRequestState::RequestCompleted {
        assert_eq!(app.publish(channel, 1, "sealed", "letter", 0, false).0, 0);
    }
    app.close_channel(channel);
    state
}

const COMPLETED: MqttRequestState = MqttRequestState::RequestCompleted;
const UNKNOWN: MqttRequestState = MqttRequestState::UnknownCa;

/// A broker behind this certificate that accepts every connection, and nothing else.
fn accepting(site: &Site, chain: &[&Signed]) -> u16 {
    accepting_by_name(site, chain).0
}

/// The same; also by which names it was called (SNI).
fn accepting_by_name(site: &Site, chain: &[&Signed]) -> (u16, Receiver<Option<String>>) {
    let certificates = chain.iter().map(|signed| signed.der.clone().into()).collect();
    let key = PrivateKeyDer::try_from(chain[0].key.clone()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .expect("they match");
    let listener = site.runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, names) = channel();
    site.runtime.spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let _ = sender.send(stream.get_ref().1.server_name().map(str::to_owned));
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&[0x20, 3, 0, 0, 0]).await;
            let _ = stream.flush().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (port, names)
}

/// Shows M29, M47.
#[test]
fn tls_names_the_broker_by_its_host_name_and_not_by_an_address() {
    let site = Site::open();
    let authority = Authority::new("authority");
    let own = authority.sign(&["localhost", "127.0.0.1"]);
    let (port, names) = accepting_by_name(&site, &[&own]);
    let mut app = App::online(&site);
    for (host, name) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        assert_eq!(state_of(&mut app, host, port, &Credentials::trusting(&authority)), COMPLETED);
        assert_eq!(names.recv().expect("a call").as_deref(), name);
    }
}

/// Shows M20, M46, M47, M48, M49, D42.
#[test]
fn a_broker_is_believed_by_the_authorities_the_application_names_and_by_no_others() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let other = Authority::new("somebody else");
    let good = Credentials::trusting(&broker.servers);
    let both = Credentials { authorities: vec![other.der(), broker.servers.der()], ..Credentials::default() };
    assert_eq!(state_of(&mut app, "localhost", broker.tls, &good), COMPLETED, "by name");
    assert_eq!(state_of(&mut app, "127.0.0.1", broker.tls, &good), COMPLETED, "by address");
    assert_eq!(state_of(&mut app, "localhost", broker.tls, &both), COMPLETED, "one of two");
    assert_eq!(state_of(&mut app, "localhost", broker.tls, &Credentials::trusting(&other)), UNKNOWN);
    assert_eq!(
        state_of(&mut app, "localhost", broker.tls, &Credentials::default()),
        UNKNOWN,
        "the Mozilla roots"
    );
    assert_eq!(broker.count_log("New client connected"), 3);
    // TLS to a broker without, and the reverse, are no connection.
    assert_eq!(state_of(&mut app, "localhost", broker.open, &good), MqttRequestState::SocketError);
}

/// Shows M20, M21, M49, D42.
#[test]
fn a_bad_certificate_is_reported_with_what_is_wrong_with_it() {
    let site = Site::open();
    let authority = Authority::new("authority");
    let mut app = App::online(&site);
    let good = Credentials::trusting(&authority);
    let key = || KeyPair::generate().expect("a key");
    let expired = authority.sign_key(&["localhost"], &key(), |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let port = accepting(&site, &[&expired]);
    assert_eq!(state_of(&mut app, "localhost", port, &good), MqttRequestState::CertificateExpired);
    let future = authority.sign_key(&["localhost"], &key(), |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
    });
    let port = accepting(&site, &[&future]);
    assert_eq!(state_of(&mut app, "localhost", port, &good), MqttRequestState::SocketError);
    let elsewhere = authority.sign(&["broker.example"]);
    let port = accepting(&site, &[&elsewhere]);
    assert_eq!(state_of(&mut app, "localhost", port, &good), MqttRequestState::SocketError);
    let named = authority.sign(&["localhost"]);
    let port = accepting(&site, &[&named]);
    assert_eq!(
        state_of(&mut app, "127.0.0.1", port, &good),
        MqttRequestState::SocketError,
        "no address in it"
    );
    assert_eq!(state_of(&mut app, "localhost", port, &good), COMPLETED);
}

/// Shows M47, M48, M49.
#[test]
fn a_chain_is_followed_to_the_authority_that_is_named() {
    let site = Site::open();
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let leaf = between.sign(&["localhost"]);
    let link = Signed { der: between.der(), pem: String::new(), key: Vec::new(), key_pem: String::new() };
    let mut app = App::online(&site);
    let trusting = Credentials::trusting(&root);
    let port = accepting(&site, &[&leaf, &link]);
    assert_eq!(state_of(&mut app, "localhost", port, &trusting), COMPLETED);
    let port = accepting(&site, &[&leaf]);
    assert_eq!(state_of(&mut app, "localhost", port, &trusting), UNKNOWN, "a link is missing");
    assert_eq!(state_of(&mut app, "localhost", port, &Credentials::trusting(&between)), COMPLETED);
}

/// Keys of every kind brokers are opened with, PKCS#8; openssl makes the RSA one.
fn keys() -> Vec<(&'static str, KeyPair)> {
    let curve = |algorithm| KeyPair::generate_for(algorithm).expect("a key");
    let output = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl is needed for this test");
    let rsa = String::from_utf8(output.stdout).expect("PEM");
    vec![
        ("P-256", curve(&PKCS_ECDSA_P256_SHA256)),
        ("P-384", curve(&PKCS_ECDSA_P384_SHA384)),
        ("RSA", KeyPair::from_pem(&rsa).expect("a key")),
    ]
}

/// Shows M47, M49.
#[test]
fn a_broker_may_have_a_key_of_any_kind() {
    let site = Site::open();
    let authority = Authority::new("authority");
    let mut app = App::online(&site);
    for (kind, key) in keys() {
        let own = authority.sign_key(&["localhost"], &key, |_| ());
        let port = accepting(&site, &[&own]);
        assert_eq!(
            state_of(&mut app, "localhost", port, &Credentials::trusting(&authority)),
            COMPLETED,
            "{kind}"
        );
    }
}

/// Shows M43, M47, M48, M50, D43.
#[test]
fn a_broker_that_requests_a_client_certificate_gets_the_applications() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let trusting = || Credentials::trusting(&broker.servers);
    for (kind, key) in keys() {
        let client = broker.clients.sign_key(&[], &key, |params| {
            params.distinguished_name.push(rcgen::DnType::CommonName, format!("client with {kind}"));
        });
        let state = state_of(&mut app, "localhost", broker.mutual, &trusting().with_client(&client));
        assert_eq!(state, COMPLETED, "{kind}");
        broker.expect_log(&format!("u'client with {kind}'"));
    }
    let between = broker.clients.intermediate("between");
    let client = between.sign(&[]);
    let whole =
        Credentials { chain: vec![client.der.clone(), between.der()], key: client.key.clone(), ..trusting() };
    assert_eq!(state_of(&mut app, "localhost", broker.mutual, &whole), COMPLETED, "with the link between");
    let let_in = broker.count_log("New client connected");
    for credentials in [
        trusting(),
        trusting().with_client(&Authority::new("somebody else").sign(&[])),
        trusting().with_client(&client),
    ] {
        assert_ne!(state_of(&mut app, "localhost", broker.mutual, &credentials), COMPLETED);
    }
    assert_eq!(broker.count_log("New client connected"), let_in);
    not_both(&mut app, &broker, &trusting().with_client(&client));
}

/// A key and a password together are refused at once; garbage instead of DER is answered.
fn not_both(app: &mut App, broker: &Broker, credentials: &Credentials) {
    let channel = app.open_channel(ChannelType::Mqtt, 8192);
    let tls_credentials = credentials.put(&mut app.live.device);
    let mut request = MqttConnectRequest { tls_credentials, ..app.connect_params("both", broker.mutual) };
    sign_in(app, &mut request, ("me", "secret"));
    assert_eq!(app.live.device.request_connect(channel, &request), Status::InvalidAuthentication);
    app.close_channel(channel);
    for garbage in [
        Credentials { authorities: vec![b"no certificate".to_vec()], ..Credentials::default() },
        Credentials {
            chain: vec![b"no certificate".to_vec()],
            key: b"no key".to_vec(),
            ..Credentials::default()
        },
    ] {
        assert_eq!(state_of(app, "localhost", broker.mutual, &garbage), MqttRequestState::InvalidParameters);
    }
}

/// Shows M51, D63.
#[test]
fn a_certificate_travels_through_the_store_as_text_and_is_der_again_on_the_device() {
    let site = Site::open();
    let broker = Broker::start();
    let mut app = App::online(&site);
    let text: Vec<String> = broker.servers.der().iter().map(|byte| format!("{byte:02x}")).collect();
    let device = Scope::Device(app.live.device_id());
    let stored = site.runtime.block_on(site.cloud().store().set_config(device, "broker-ca", &text.concat()));
    stored.expect("text is taken");
    let channel = app.open_channel(ChannelType::ConfigFetch, 4096);
    let text = String::from_utf8(fetch_config(&mut app, channel, b"broker-ca")).expect("text");
    let der = text.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(digits, 16).expect("hexadecimal")
    });
    let trusting = Credentials { authorities: vec![der.collect()], ..Credentials::default() };
    assert_eq!(state_of(&mut app, "localhost", broker.tls, &trusting), COMPLETED);
}
