//! Certificates of every kind brokers really have, made by the `openssl` program: OpenSSL's own verdict beside ours,
//! and real handshakes with mosquitto.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use relay::{ConnectError, CredentialsError, TlsOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::chain;
use crate::connector::{Connector, Target, Trust};
use crate::destinations::Destinations;
use crate::limits::Limits;

/// Certificates of version 1, which newer versions of OpenSSL no longer make, valid for a hundred years.
const VERSION_1: [(&str, &str); 5] = [
    ("v1ca.pem", include_str!("tests/version1/ca.pem")),
    ("v1.pem", include_str!("tests/version1/server.pem")),
    ("v1.key", include_str!("tests/version1/server.key")),
    ("v1client.pem", include_str!("tests/version1/client.pem")),
    ("v1client.key", include_str!("tests/version1/client.key")),
];

const RSA: &str = "RSA -pkeyopt rsa_keygen_bits:2048";
const RSA_1024: &str = "RSA -pkeyopt rsa_keygen_bits:1024";
const PSS: &str = "RSA-PSS -pkeyopt rsa_keygen_bits:2048";
const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "EC -pkeyopt ec_paramgen_curve:P-384";
const P521: &str = "EC -pkeyopt ec_paramgen_curve:P-521";
const ED25519: &str = "ED25519";

const HOST: &str = "subjectAltName=DNS:localhost";
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE";

/// A folder of keys and certificates.
struct Pki(TempDir);

impl Pki {
    fn new() -> Self {
        let pki = Self(tempfile::tempdir().expect("a folder"));
        for (name, pem) in VERSION_1 {
            std::fs::write(pki.path(name), pem).expect("written");
        }
        pki
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Runs `openssl`; whether it succeeded.
    fn openssl(&self, arguments: &str) -> bool {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        let output = command.output().expect("openssl is needed for this test: Debian package openssl");
        output.status.success()
    }

    fn must(&self, arguments: &str) {
        assert!(self.openssl(arguments), "openssl {arguments}");
    }

    fn extensions(&self, name: &str, extensions: &str) {
        std::fs::write(self.path(&format!("{name}.ext")), extensions.replace('|', "\n")).expect("written");
    }

    /// A key `NAME.key`, PKCS#8.
    fn key(&self, name: &str, kind: &str) {
        self.must(&format!("genpkey -algorithm {kind} -out {name}.key"));
    }

    /// A certificate `NAME.pem` signed by its own key. `options` are of `openssl x509`, such as the hash.
    fn self_signed(&self, name: &str, kind: &str, subject: &str, extensions: &str, options: &str) {
        self.key(name, kind);
        self.extensions(name, extensions);
        self.must(&format!("req -new -key {name}.key -subj /CN={subject} -out {name}.csr"));
        self.must(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days 30 -extfile {name}.ext {options} -out {name}.pem"
        ));
    }

    /// A certificate `NAME.pem` signed by `AUTHORITY.key`.
    fn signed(&self, name: &str, by: &str, kind: &str, subject: &str, extensions: &str, options: &str) {
        self.key(name, kind);
        self.extensions(name, extensions);
        self.must(&format!("req -new -key {name}.key -subj /CN={subject} -out {name}.csr"));
        self.must(&format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 30 -extfile {name}.ext \
             {options} -out {name}.pem"
        ));
    }

    /// An authority and a certificate for `localhost` of these kinds, whose signatures are made with these options.
    fn pair(&self, name: &str, kinds: (&str, &str), options: &str) {
        self.self_signed(&format!("{name}-ca"), kinds.0, "authority", AUTHORITY, options);
        self.signed(name, &format!("{name}-ca"), kinds.1, "localhost", HOST, options);
    }

    fn certificates(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let found = CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).expect("readable");
        found.collect::<Result<_, _>>().expect("PEM")
    }

    fn der(&self, name: &str) -> Vec<Vec<u8>> {
        self.certificates(name).iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn key_der(&self, name: &str) -> Vec<u8> {
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        key.secret_der().to_vec()
    }

    /// Our verdict on a certificate that is sent with others, by the word of an authority.
    fn judge(&self, name: &str, sent: &[&str], authority: &str, host: &str) -> Result<(), ConnectError> {
        let host = ServerName::try_from(host.to_owned()).expect("a name");
        let server = self.certificates(name).swap_remove(0);
        let sent: Vec<_> = sent.iter().flat_map(|name| self.certificates(name)).collect();
        chain::verify(&server, &sent, &self.certificates(authority), &host, UnixTime::now())
    }

    /// OpenSSL's.
    fn openssl_judges(&self, name: &str, sent: &[&str], authority: &str, host: &str) -> bool {
        let untrusted: Vec<_> = sent.iter().map(|name| format!("-untrusted {name}.pem")).collect();
        let untrusted = untrusted.join(" ");
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        let option = if is_address { "verify_ip" } else { "verify_hostname" };
        self.openssl(&format!(
            "verify -auth_level 2 -purpose sslserver -{option} {host} -CAfile {authority}.pem {untrusted} {name}.pem"
        ))
    }
}

/// A certificate, what is sent beside it, the authority, the host.
type Case<'a> = (&'a str, &'a [&'a str], &'a str, &'a str);

/// Shows M47, M49, D191.
#[test]
fn what_openssl_accepts_is_accepted() {
    let pki = Pki::new();
    pki.pair("rsa", (RSA, RSA), "-sha256");
    pki.pair("p521", (P521, P521), "-sha512");
    pki.pair("p521-sha256", (P521, P256), "-sha256");
    pki.pair("p256-sha512", (P256, P384), "-sha512");
    pki.pair("p256-sha384", (P256, P256), "-sha384");
    pki.pair("p384-sha512", (P384, P256), "-sha512");
    pki.pair("p384-sha256", (P384, P256), "-sha256");
    pki.pair("p256-sha224", (P256, P256), "-sha224");
    pki.pair("rsa-sha512", (RSA, P256), "-sha512");
    pki.pair("pss", (PSS, PSS), "-sha256");
    pki.pair("pss-sha512", (PSS, P256), "-sha512");
    pki.pair("rsa-pss-padding", (RSA, P256), "-sha256 -sigopt rsa_padding_mode:pss");
    pki.pair("rsa-pss-salt", (RSA, P256), "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1");
    pki.pair("ed25519", (ED25519, ED25519), "");
    pki.signed("cn", "rsa-ca", P256, "localhost", "basicConstraints=CA:FALSE", "");
    pki.signed("cn-other-san", "rsa-ca", P256, "localhost", "subjectAltName=email:a@example.com", "");
    pki.signed("ip", "rsa-ca", P256, "x", "subjectAltName=IP:127.0.0.1", "");
    pki.signed("star", "rsa-ca", P256, "x", "subjectAltName=DNS:*.example.com", "");
    pki.self_signed("own-ca", P256, "localhost", AUTHORITY, "");
    pki.self_signed("own", P256, "localhost", &format!("basicConstraints=CA:FALSE|{HOST}"), "");
    pki.signed("middle", "rsa-ca", P256, "middle", "basicConstraints=CA:TRUE,pathlen:0", "");
    pki.signed("below", "middle", P256, "localhost", HOST, "");
    pki.signed(
        "constrained",
        "rsa-ca",
        P256,
        "c",
        &format!("{AUTHORITY}|nameConstraints=critical,permitted;DNS:localhost"),
        "",
    );
    pki.signed("below-constrained", "constrained", P256, "localhost", HOST, "");
    let cases: [Case<'_>; 25] = [
        ("rsa", &[], "rsa-ca", "localhost"),
        ("v1", &[], "v1ca", "localhost"),
        ("p521", &[], "p521-ca", "localhost"),
        ("p521-sha256", &[], "p521-sha256-ca", "localhost"),
        ("p256-sha512", &[], "p256-sha512-ca", "localhost"),
        ("p256-sha384", &[], "p256-sha384-ca", "localhost"),
        ("p384-sha512", &[], "p384-sha512-ca", "localhost"),
        ("p384-sha256", &[], "p384-sha256-ca", "localhost"),
        ("p256-sha224", &[], "p256-sha224-ca", "localhost"),
        ("rsa-sha512", &[], "rsa-sha512-ca", "localhost"),
        ("pss", &[], "pss-ca", "localhost"),
        ("pss-sha512", &[], "pss-sha512-ca", "localhost"),
        ("rsa-pss-padding", &[], "rsa-pss-padding-ca", "localhost"),
        ("rsa-pss-salt", &[], "rsa-pss-salt-ca", "localhost"),
        ("ed25519", &[], "ed25519-ca", "localhost"),
        ("cn", &[], "rsa-ca", "localhost"),
        ("cn-other-san", &[], "rsa-ca", "LOCALHOST"),
        ("ip", &[], "rsa-ca", "127.0.0.1"),
        ("star", &[], "rsa-ca", "broker.example.com"),
        ("own-ca", &[], "own-ca", "localhost"),
        ("own", &[], "own", "localhost"),
        ("below", &["middle"], "rsa-ca", "localhost"),
        ("below", &["rsa-ca", "below", "middle"], "rsa-ca", "localhost"),
        ("below-constrained", &["constrained"], "rsa-ca", "localhost"),
        ("rsa", &["middle", "rsa-ca"], "rsa-ca", "localhost"),
    ];
    for (name, sent, authority, host) in cases {
        assert!(pki.openssl_judges(name, sent, authority, host), "OpenSSL refuses {name}");
        assert_eq!(pki.judge(name, sent, authority, host), Ok(()), "{name}");
    }
    // More than OpenSSL: an authority in the middle may be given, as the strict rules too allow, and an address as a
    // common name.
    assert_eq!(pki.judge("below", &[], "middle", "localhost"), Ok(()));
    pki.signed("ip-cn", "rsa-ca", P256, "127.0.0.1", "basicConstraints=CA:FALSE", "");
    assert_eq!(pki.judge("ip-cn", &[], "rsa-ca", "127.0.0.1"), Ok(()));
    pki.self_signed("bare-ca", P256, "bare", "subjectKeyIdentifier=hash", "");
    pki.signed("bare", "bare-ca", P256, "localhost", HOST, "");
    assert_eq!(pki.judge("bare", &[], "bare-ca", "localhost"), Ok(()));
}

/// Shows M20, M21, D190, D191.
#[test]
fn what_openssl_refuses_is_refused_for_its_reason() {
    let pki = Pki::new();
    pki.self_signed("ca", P256, "authority", AUTHORITY, "");
    pki.self_signed("same-name", P256, "authority", AUTHORITY, "");
    pki.signed("good", "ca", P256, "localhost", HOST, "");
    pki.signed("other", "ca", P256, "localhost", "subjectAltName=DNS:other.example,DNS:second.example", "");
    pki.signed("star", "ca", P256, "x", "subjectAltName=DNS:*.example.com", "");
    pki.signed("client", "ca", P256, "localhost", &format!("{HOST}|extendedKeyUsage=clientAuth"), "");
    pki.signed("critical", "ca", P256, "localhost", &format!("{HOST}|1.2.3.4=critical,DER:0500"), "");
    pki.signed("sha1", "ca", P256, "localhost", HOST, "-sha1");
    pki.signed("weak", "ca", RSA_1024, "localhost", HOST, "");
    pki.signed("leaf", "ca", P256, "leaf", "basicConstraints=CA:FALSE", "");
    pki.signed("below-leaf", "leaf", P256, "localhost", HOST, "");
    pki.signed("unmarked", "ca", P256, "unmarked", "keyUsage=critical,keyCertSign", "");
    pki.signed("below-unmarked", "unmarked", P256, "localhost", HOST, "");
    pki.signed("v3usage", "ca", P256, "u", &format!("{AUTHORITY}|keyUsage=digitalSignature"), "");
    pki.signed("below-usage", "v3usage", P256, "localhost", HOST, "");
    pki.signed("short", "ca", P256, "short", "basicConstraints=CA:TRUE,pathlen:0", "");
    pki.signed("second", "short", P256, "second", AUTHORITY, "");
    pki.signed("below-second", "second", P256, "localhost", HOST, "");
    pki.signed(
        "constrained",
        "ca",
        P256,
        "c",
        &format!("{AUTHORITY}|nameConstraints=permitted;DNS:example.com"),
        "",
    );
    pki.signed("below-constrained", "constrained", P256, "localhost", HOST, "");
    let named = |names: &[&str]| ConnectError::CertificateName {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let cases: [(Case<'_>, ConnectError); 16] = [
        (("good", &[], "same-name", "localhost"), ConnectError::UnknownCa),
        (("good", &[], "v1ca", "localhost"), ConnectError::UnknownCa),
        (("below-second", &["second"], "ca", "localhost"), ConnectError::UnknownCa),
        (("other", &[], "ca", "localhost"), named(&["other.example", "second.example"])),
        (("good", &[], "ca", "127.0.0.1"), named(&["localhost"])),
        (("star", &[], "ca", "a.b.example.com"), named(&["*.example.com"])),
        (("client", &[], "ca", "localhost"), certificate("it is not for TLS servers")),
        (
            ("critical", &[], "ca", "localhost"),
            certificate("its critical extension 1.2.3.4 is not understood"),
        ),
        (("sha1", &[], "ca", "localhost"), algorithm("a signature with SHA-1")),
        (("weak", &[], "ca", "localhost"), algorithm("an RSA key of 1024 bits, less than 2048")),
        (("below-leaf", &["leaf"], "ca", "localhost"), certificate("its issuer is no authority")),
        (
            ("below-unmarked", &["unmarked"], "ca", "localhost"),
            certificate("its issuer is not marked as an authority"),
        ),
        (
            ("below-usage", &["v3usage"], "ca", "localhost"),
            certificate("the key of its issuer is not for signing certificates"),
        ),
        (
            ("below-second", &["second", "short"], "ca", "localhost"),
            certificate("its chain is longer than an authority allows"),
        ),
        (
            ("below-constrained", &["constrained"], "ca", "localhost"),
            certificate("the name constraints of its authority do not allow its names"),
        ),
        (("v1", &[], "ca", "localhost"), ConnectError::UnknownCa),
    ];
    for ((name, sent, authority, host), cause) in cases {
        assert!(!pki.openssl_judges(name, sent, authority, host), "OpenSSL accepts {name}");
        assert_eq!(pki.judge(name, sent, authority, host), Err(cause), "{name}");
    }
}

fn certificate(why: &str) -> ConnectError {
    ConnectError::Certificate(why.to_owned())
}

fn algorithm(what: &str) -> ConnectError {
    ConnectError::CertificateAlgorithm(what.to_owned())
}

/// A server that sends many certificates of the same name does not keep the cloud busy.
#[test]
fn the_search_for_a_chain_is_bounded() {
    let pki = Pki::new();
    pki.self_signed("ca", P256, "authority", AUTHORITY, "");
    pki.signed("good", "ca", P256, "localhost", HOST, "");
    let mut sent = Vec::new();
    for number in 0..60 {
        let name = format!("same-{}", number % 3);
        if number < 3 {
            pki.self_signed(&name, P256, "authority", AUTHORITY, "");
        }
        sent.extend(pki.certificates(&name));
    }
    let server = pki.certificates("good").swap_remove(0);
    let host = ServerName::try_from("localhost").expect("a name");
    let authority = pki.certificates("same-0");
    let judged = chain::verify(&server, &sent, &authority, &host, UnixTime::now());
    assert_eq!(judged, Err(certificate("its chain is too long")));
    assert_eq!(
        chain::verify(b"none", &sent, &authority, &host, UnixTime::now()).map_err(|it| it.label()),
        Err("certificate")
    );
}

/// A mosquitto with a TLS listener for each certificate, ended when dropped.
struct Mosquitto(Child);

impl Mosquitto {
    /// The listeners are given as lines of its configuration; `NAME` is that of certificate and key.
    fn start(pki: &Pki, listeners: &[(&str, u16, &str)]) -> Self {
        let mut text =
            "user root\nper_listener_settings false\nallow_anonymous true\nlog_dest none\n".to_owned();
        for (name, port, options) in listeners {
            let path = |ending: &str| pki.path(&format!("{name}.{ending}")).display().to_string();
            let (certificate, key) = (path("pem"), path("key"));
            writeln!(text, "listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n{options}")
                .expect("writing to a string");
        }
        let config = pki.path("mosquitto.conf");
        std::fs::write(&config, text).expect("written");
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is needed for this test: Debian package mosquitto");
        let broker = Self(child);
        let up = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        for (name, port, _) in listeners {
            (0..500)
                .find(|_| {
                    std::thread::sleep(Duration::from_millis(20));
                    up(*port)
                })
                .unwrap_or_else(|| panic!("mosquitto does not start with {name}"));
        }
        broker
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port()
}

/// Connects with these credentials and asks to be let in with MQTT; the first bytes of the answer.
async fn connack(port: u16, tls: TlsOptions) -> Result<[u8; 4], ConnectError> {
    let trust = Trust::new(&[]).expect("no more authorities");
    let connector = Connector::new(Destinations::with_loopback(), Vec::new(), trust, &Limits::default());
    let target = Target { host: "localhost".to_owned(), port, tls: Some(tls) };
    let mut stream = connector.connect(target).await?;
    let mut answer = [0; 4];
    let _ = stream.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a").await;
    let _ = stream.flush().await;
    match stream.read_exact(&mut answer).await {
        Ok(_) => Ok(answer),
        Err(error) => match crate::connector::connection_end(&error) {
            relay::ConnectionEnd::Failed(cause) => Err(cause),
            relay::ConnectionEnd::Closed => Err(ConnectError::MqttClosed),
        },
    }
}

const ACCEPTED: Result<[u8; 4], ConnectError> = Ok([0x20, 2, 0, 0]);

/// Shows M47, D191: real handshakes, which prove that the server has the key of its certificate.
#[tokio::test]
async fn brokers_with_such_certificates_are_reached_as_mosquitto_pub_reaches_them() {
    let pki = Pki::new();
    pki.pair("rsa", (RSA, RSA), "-sha256");
    pki.pair("p521", (P521, P521), "-sha512");
    pki.pair("p384", (P384, P384), "-sha512");
    pki.pair("pss", (PSS, PSS), "-sha256");
    pki.pair("ed25519", (ED25519, ED25519), "");
    pki.signed("cn", "rsa-ca", P256, "localhost", "basicConstraints=CA:FALSE", "");
    pki.self_signed("own", P256, "localhost", AUTHORITY, "");
    pki.self_signed("stranger", P256, "stranger", AUTHORITY, "");
    let brokers = [
        ("rsa", "rsa-ca"),
        ("v1", "v1ca"),
        ("p521", "p521-ca"),
        ("p384", "p384-ca"),
        ("pss", "pss-ca"),
        ("ed25519", "ed25519-ca"),
        ("cn", "rsa-ca"),
        ("own", "own"),
    ]
    .map(|(name, authority)| (name, authority, free_port()));
    let _broker = Mosquitto::start(&pki, &brokers.map(|(name, _, port)| (name, port, "")));
    for (name, authority, port) in brokers {
        let cafile = pki.path(&format!("{authority}.pem"));
        assert!(mosquitto_pub(port, &cafile), "mosquitto_pub refuses {name}");
        let tls = TlsOptions { authorities: pki.der(authority), ..TlsOptions::default() };
        assert_eq!(connack(port, tls).await, ACCEPTED, "{name}");
        let other = TlsOptions { authorities: pki.der("stranger"), ..TlsOptions::default() };
        assert_eq!(connack(port, other).await, Err(ConnectError::UnknownCa), "{name}");
    }
}

fn mosquitto_pub(port: u16, cafile: &Path) -> bool {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port.to_string(), "-t", "t", "-m", "m", "--cafile"]).arg(cafile);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("mosquitto_pub is needed for this test: Debian package mosquitto-clients").success()
}

/// Shows M43, M50, D190, D191: the application's certificate is presented as it is.
#[tokio::test]
async fn a_client_certificate_of_any_kind_is_presented() {
    let pki = Pki::new();
    pki.pair("rsa", (RSA, RSA), "-sha256");
    for (name, kind) in [("c-p521", P521), ("c-pss", PSS), ("c-rsa", RSA), ("c-ed25519", ED25519)] {
        pki.signed(name, "rsa-ca", kind, "client", "basicConstraints=CA:FALSE", "");
    }
    pki.self_signed("stranger", P256, "stranger", AUTHORITY, "");
    let both = ["rsa-ca.pem", "v1ca.pem"].map(|name| std::fs::read_to_string(pki.path(name)).expect("text"));
    std::fs::write(pki.path("clients.pem"), both.concat()).expect("written");
    let port = free_port();
    let clients = pki.path("clients.pem");
    let options = format!("require_certificate true\ncafile {}", clients.display());
    let _broker = Mosquitto::start(&pki, &[("rsa", port, &options)]);
    let with = |name: Option<&str>| TlsOptions {
        authorities: pki.der("rsa-ca"),
        chain: name.map(|name| pki.der(name)).unwrap_or_default(),
        key: name.map(|name| pki.key_der(name)).unwrap_or_default(),
    };
    for name in ["v1client", "c-p521", "c-pss", "c-rsa", "c-ed25519"] {
        assert_eq!(connack(port, with(Some(name))).await, ACCEPTED, "{name}");
    }
    assert_eq!(connack(port, with(None)).await, Err(ConnectError::ClientCertificateRequired));
    let refused = connack(port, with(Some("stranger"))).await;
    assert_eq!(refused, Err(ConnectError::ClientCertificateRefused("unknown_ca")));
    let other = TlsOptions { key: pki.key_der("c-rsa"), ..with(Some("c-p521")) };
    assert_eq!(connack(port, other).await, Err(ConnectError::InvalidCredentials(CredentialsError::Mismatch)));
}
