//! The environment of the end-to-end tests: a real broker and its clients, a cloud, the sample applications.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::{Process, Processes, free_port, wait_for_port};

/// An image with names and lines, which faults in the end.
pub(crate) const DEBUGGED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/tests/apps/debugged/debugged.elf");
/// The sample application's image.
pub(crate) const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.elf");
/// The same as raw bytes.
pub(crate) const SAMPLE_BIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.bin");
/// The sample application that fetches `https://example.com/`.
pub(crate) const HTTP_SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/http/http.elf");
/// The sample application that fetches settings of both scopes from both stores.
pub(crate) const CONFIG_SAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/config/config.elf");
/// The topic on which the sample publishes.
pub(crate) const READINGS: &str = "test/readings";
/// The topic of commands to the sample.
pub(crate) const COMMANDS: &str = "test/commands";

/// mosquitto on a loopback port.
pub(crate) struct Mosquitto {
    /// The port, the same after a restart.
    pub port: u16,
    process: Process,
}

impl Mosquitto {
    /// Starts it on a free port.
    pub(crate) fn start(processes: &Processes) -> Self {
        Self::start_at(processes, free_port())
    }

    /// Starts it on a port that is free.
    pub(crate) fn start_at(processes: &Processes, port: u16) -> Self {
        let process = processes.tool("mosquitto", ["-v", "-p", &port.to_string()]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Starts it with a password file for one user. `folder` is for its files.
    pub(crate) fn with_password(processes: &Processes, folder: &Path, user: &str, password: &str) -> Self {
        let (users, settings) = (folder.join("users"), folder.join("mosquitto.conf"));
        let made = processes.tool("mosquitto_passwd", ["-b", "-c", text(&users), user, password]);
        assert_eq!(made.code(), 0, "{}", made.err.text());
        let port = free_port();
        // As root it would become another user, who may not read a test's folder.
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\nuser root\n",
            text(&users)
        );
        std::fs::write(&settings, lines).unwrap();
        let process = processes.tool("mosquitto", ["-v", "-c", text(&settings)]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Starts it with TLS only. Its authority's certificate is `ca.hex` in `folder`, as the sample expects it.
    pub(crate) fn with_tls(processes: &Processes, folder: &Path) -> Self {
        make_certificates(folder);
        let (port, settings) = (free_port(), folder.join("mosquitto.conf"));
        let folder = text(folder);
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {folder}/server.pem\n\
             keyfile {folder}/server.key\nuser root\n"
        );
        std::fs::write(&settings, lines).unwrap();
        let process = processes.tool("mosquitto", ["-v", "-c", text(&settings)]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Kills it and returns its port.
    pub(crate) fn kill(self) -> u16 {
        self.process.kill();
        self.port
    }

    /// Starts a subscriber that prints lines `topic payload`.
    pub(crate) fn subscriber(&self, processes: &Processes, topic: &str) -> Process {
        let port = self.port.to_string();
        let id = format!("subscriber-{}", free_port());
        let process = processes.tool("mosquitto_sub", ["-p", &port, "-i", &id, "-t", topic, "-v", "-q", "1"]);
        self.process.err.expect(&format!("Sending SUBACK to {id}"));
        process
    }

    /// Publishes one message.
    pub(crate) fn publish(&self, processes: &Processes, topic: &str, text: &str) {
        let port = self.port.to_string();
        let process = processes.tool("mosquitto_pub", ["-p", &port, "-t", topic, "-m", text, "-q", "1"]);
        assert_eq!(process.code(), 0, "{}", process.err.text());
    }

    /// Its log, one line per packet.
    pub(crate) fn log(&self) -> &super::Lines {
        &self.process.err
    }

    /// The settings with which the sample connects to it.
    pub(crate) fn settings(&self) -> Vec<String> {
        let settings = [
            "broker-host=127.0.0.1".to_owned(),
            format!("broker-port={}", self.port),
            format!("publish-topic={READINGS}"),
            format!("command-topic={COMMANDS}"),
        ];
        settings.into_iter().flat_map(|setting| ["--config".to_owned(), setting]).collect()
    }
}

/// A cloud in a separate process, on a data folder and a fixed port.
pub(crate) struct CloudProcess {
    /// `127.0.0.1:port`, the same after a restart.
    pub address: String,
    /// Its process.
    pub process: Process,
}

impl CloudProcess {
    /// Starts it at `address`, which may have port 0, and waits until it listens.
    pub(crate) fn start(processes: &Processes, data: &Path, address: &str) -> Self {
        let process =
            processes.openvisor(["cloud", "--data", text(data), "--listen", address, "--allow-loopback"]);
        let line = process.out.expect("listening on ");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { address, process }
    }
}

/// Provisions a device in the cloud's data folder; returns the device's folder.
pub(crate) fn provision(
    processes: &Processes,
    cloud: &Path,
    parent: &Path,
    name: &str,
    settings: &[String],
) -> PathBuf {
    let folder = parent.join(name);
    let words = ["provision", "--data", text(cloud), "--out", text(&folder)].map(str::to_owned);
    let process = processes.openvisor(words.iter().chain(settings));
    assert_eq!(process.code(), 0, "{}", process.err.text());
    folder
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Serves HTTPS for `example.com` on a loopback port, as long as the process lives: every request is answered with
/// `hello`. Its authority is `ca.pem` in `folder`.
pub(crate) fn https_server(folder: &Path) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    make_certificates(folder);
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let (config, listener) = (std::sync::Arc::new(config), TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            // A client that does not believe the certificate is gone by now.
            if stream.read(&mut [0; 4096]).is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

/// `server.pem` and `server.key` for 127.0.0.1, `broker.example` and `example.com`, and their authority: `ca.pem`, and
/// `ca.hex`, DER in hexadecimal.
pub(crate) fn make_certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let hexadecimal: Vec<String> = certificate.der().iter().map(|byte| format!("{byte:02x}")).collect();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "broker.example", "example.com"].map(str::to_owned);
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.hex"), hexadecimal.concat()).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}
