//! A broker of the test's own: mosquitto on a free loopback port, ended with the test, and its command line clients as
//! witnesses.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running broker.
pub(crate) struct Mosquitto {
    child: Child,
    pub port: u16,
    directory: TempDir,
}

/// Files of a TLS listener.
pub(crate) struct Tls {
    /// The broker's certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// The authority of the clients' certificates, PEM, if they must have one.
    pub clients: Option<String>,
}

impl Mosquitto {
    /// Starts a broker that takes everyone.
    pub(crate) fn start() -> Self {
        Self::launch("allow_anonymous true\n", None)
    }

    /// Starts a broker behind TLS.
    pub(crate) fn start_tls(tls: &Tls) -> Self {
        Self::launch("allow_anonymous true\n", Some(tls))
    }

    fn launch(settings: &str, tls: Option<&Tls>) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        // Another program may take the port between the look and the start, so a few are tried.
        for _ in 0..5 {
            let port = free_port();
            let config = directory.path().join("mosquitto.conf");
            let text = configuration(port, settings, tls, directory.path());
            std::fs::write(&config, text).expect("written");
            let mut child = Command::new("mosquitto")
                .arg("-c")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("mosquitto is needed for this test: Debian packages mosquitto and mosquitto-clients");
            if is_up(&mut child, port) {
                return Self { child, port, directory };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("mosquitto does not start; see {}", directory.path().display());
    }

    /// A `mosquitto_sub` that prints `topic payload` for `count` messages and ends. Gives it once it is subscribed.
    pub(crate) async fn subscriber(&self, filter: &str, count: u32) -> Child {
        let child = Command::new("mosquitto_sub")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-v", "-W", "20"])
            .args(["-C", &count.to_string(), "-t", filter])
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto_sub is needed for this test: Debian package mosquitto-clients");
        // It says nothing when subscribed; a retained marker would change what is tested, so a moment has to do.
        tokio::time::sleep(Duration::from_millis(500)).await;
        child
    }

    /// Publishes one message with QoS 1 and waits until the broker has it.
    pub(crate) async fn publish(&self, topic: &str, payload: &str) {
        let mut command = Command::new("mosquitto_pub");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-q",
            "1",
            "-t",
            topic,
            "-m",
            payload,
        ]);
        let status = beside(move || command.status()).await;
        let status = status.expect("mosquitto_pub is needed for this test: Debian package mosquitto-clients");
        assert!(status.success());
    }

    /// Ends the broker now.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a witness printed once it has ended.
pub(crate) async fn heard(child: Child) -> String {
    let output = beside(move || child.wait_with_output().expect("ended")).await;
    String::from_utf8(output.stdout).expect("text")
}

/// Waits on a thread of its own, because the cloud under test runs on this one.
async fn beside<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(wait).await.expect("no panic")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

fn configuration(port: u16, settings: &str, tls: Option<&Tls>, directory: &Path) -> String {
    let mut text = format!("listener {port} 127.0.0.1\npersistence false\n{settings}");
    if let Some(tls) = tls {
        let mut file = |name: &str, content: &str, option: &str| {
            let path = directory.join(name);
            std::fs::write(&path, content).expect("written");
            writeln!(text, "{option} {}", path.display()).expect("writing to a string");
        };
        file("certificate.pem", &tls.certificate, "certfile");
        file("key.pem", &tls.key, "keyfile");
        if let Some(clients) = &tls.clients {
            file("clients.pem", clients, "cafile");
            text += "require_certificate true\n";
        }
    }
    text
}

fn is_up(child: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait().expect("asked").is_some() {
            return false;
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
