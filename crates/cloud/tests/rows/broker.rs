//! mosquitto with every kind of listener, and its log.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::MAX_WAIT;

/// The only user of [`Broker::password`], and the password.
pub(crate) const USER: (&str, &str) = ("sensor", "hunter2");
/// Prefix of the client ids that [`Broker::count_log`] uses.
const MARK: &str = "marks-";
/// A topic that the access list of [`Broker::password`] forbids.
pub(crate) const FORBIDDEN: &str = "forbidden/topic";

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Signed {
    pub der: Vec<u8>,
    pub pem: String,
    /// PKCS#8, DER.
    pub key: Vec<u8>,
    pub key_pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
        Self { issuer: issuer.expect("a certificate") }
    }

    /// An intermediate authority signed by this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).expect("a certificate");
        Self { issuer }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names and addresses, with a key made for it.
    pub(crate) fn sign(&self, hosts: &[&str]) -> Signed {
        self.sign_key(hosts, &KeyPair::generate().expect("a key"), |_| ())
    }

    pub(crate) fn sign_key(
        &self,
        hosts: &[&str],
        key: &KeyPair,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let names: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        adjust(&mut params);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Signed {
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        }
    }
}

/// A running broker.
pub(crate) struct Broker {
    child: Child,
    /// Accepts every client.
    pub open: u16,
    /// Accepts [`USER`] only.
    pub password: u16,
    /// TLS; accepts every client.
    pub tls: u16,
    /// TLS; accepts clients with a certificate of [`Broker::clients`].
    pub mutual: u16,
    /// The authority of the broker's certificate, which is for `localhost` and `127.0.0.1`.
    pub servers: Authority,
    /// The authority of accepted client certificates.
    pub clients: Authority,
    log: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        // Another program may take a port between the look and the start, so a few are tried.
        for _ in 0..5 {
            let ports = free_ports();
            write_settings(folder.path(), ports, &servers, &clients);
            let mut child = launch(folder.path());
            let log = follow(&mut child);
            if ports.iter().all(|port| is_up(&mut child, *port)) {
                let [open, password, tls, mutual] = ports;
                return Self { child, open, password, tls, mutual, servers, clients, log, folder };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("mosquitto does not start; see {}", folder.path().display());
    }

    /// Waits until its log contains `text`; returns the line.
    pub(crate) fn expect_log(&self, text: &str) -> String {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            let log = self.log.lock().expect("the lock is not poisoned");
            if let Some(line) = log.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "the broker does not say {text:?}:\n{}", log.join("\n"));
            drop(log);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many lines of its log contain `text` by now. A client of this function marks the end.
    pub(crate) fn count_log(&self, text: &str) -> usize {
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        let mark = format!("{MARK}{}", MARKS.fetch_add(1, Ordering::Relaxed));
        self.publish("mark", "now", &["-i", &mark]);
        self.expect_log(&format!("Received DISCONNECT from {mark}"));
        let log = self.log.lock().expect("the lock is not poisoned");
        log.iter().filter(|line| line.contains(text) && !line.contains(MARK)).count()
    }

    /// Publishes from outside.
    pub(crate) fn publish(&self, topic: &str, payload: &str, more: &[&str]) {
        let port = self.open.to_string();
        let status = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", payload])
            .args(more)
            .status();
        let status = status.expect("mosquitto_pub is needed: Debian package mosquitto-clients");
        assert!(status.success());
    }

    /// The retained message of a topic, if there is one.
    pub(crate) fn retained(&self, topic: &str) -> Option<String> {
        let port = self.open.to_string();
        let output = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &port, "-t", topic, "-C", "1", "-W", "15", "--retained-only"])
            .output();
        let output = output.expect("mosquitto_sub is needed: Debian package mosquitto-clients");
        let text = String::from_utf8(output.stdout).expect("text");
        (!text.is_empty()).then(|| text.trim_end().to_owned())
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- mosquitto, in {}", self.folder.path().display());
            self.log.lock().expect("the lock is not poisoned").iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

fn write_settings(folder: &Path, ports: [u16; 4], servers: &Authority, clients: &Authority) {
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    let own = servers.sign(&["localhost", "127.0.0.1"]);
    file("certificate.pem", &own.pem);
    file("key.pem", &own.key_pem);
    file("clients.pem", &clients.pem());
    let users = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(folder.join("users"))
        .args([USER.0, USER.1])
        .status()
        .expect("mosquitto_passwd is needed: Debian package mosquitto");
    assert!(users.success());
    let folder = folder.display();
    let [open, password, tls, mutual] = ports;
    let keys = format!("certfile {folder}/certificate.pem\nkeyfile {folder}/key.pem\n");
    // As root it would become another user, who may not read a test's folder.
    let text = format!(
        "user root\npersistence false\nper_listener_settings true\n\
         listener {open} 127.0.0.1\nallow_anonymous true\n\
         listener {password} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/users\n\
         acl_file {folder}/user-access\n\
         listener {tls} 127.0.0.1\nallow_anonymous true\n{keys}\
         listener {mutual} 127.0.0.1\nallow_anonymous false\n{keys}cafile {folder}/clients.pem\n\
         require_certificate true\nuse_identity_as_username true\n"
    );
    file("user-access", &format!("user {}\ntopic readwrite #\ntopic deny forbidden/#\n", USER.0));
    file("mosquitto.conf", &text);
}

fn launch(folder: &Path) -> Child {
    Command::new("mosquitto")
        .args(["-v", "-c"])
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mosquitto is needed for this test: Debian packages mosquitto and mosquitto-clients")
}

fn follow(child: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::<Mutex<Vec<String>>>::default();
    let (lines, shared) = (BufReader::new(child.stderr.take().expect("piped")).lines(), log.clone());
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            shared.lock().expect("the lock is not poisoned").push(line);
        }
    });
    log
}

fn is_up(child: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait().expect("the process can be queried").is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}
