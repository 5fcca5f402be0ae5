//! What the end-to-end tests have around the product: a real broker, outside witnesses, the sample application.

use std::path::{Path, PathBuf};

use super::{Process, Stage, free_port, wait_for_port};

/// The sample application's image.
pub const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.elf");
/// The same as raw bytes.
pub const SAMPLE_BIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/samples/mqtt/mqtt.bin");
/// Where the tests have it publish.
pub const READINGS: &str = "test/readings";
/// Where the tests send it commands.
pub const COMMANDS: &str = "test/commands";

/// mosquitto on a loopback port.
pub struct Mosquitto {
    /// The port, the same after a restart.
    pub port: u16,
    process: Process,
}

impl Mosquitto {
    /// Starts it on a free port.
    pub fn start(stage: &Stage) -> Self {
        Self::start_at(stage, free_port())
    }

    /// Starts it on a port that is free.
    pub fn start_at(stage: &Stage, port: u16) -> Self {
        let process = stage.tool("mosquitto", ["-v", "-p", &port.to_string()]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Starts one that lets in a single user. `folder` is for its files.
    pub fn with_password(stage: &Stage, folder: &Path, user: &str, password: &str) -> Self {
        let (users, settings) = (folder.join("users"), folder.join("mosquitto.conf"));
        let made = stage.tool("mosquitto_passwd", ["-b", "-c", text(&users), user, password]);
        assert_eq!(made.code(), 0, "{}", made.err.text());
        let port = free_port();
        // As root it would become another user, who may not read a test's folder.
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\nuser root\n",
            text(&users)
        );
        std::fs::write(&settings, lines).unwrap();
        let process = stage.tool("mosquitto", ["-v", "-c", text(&settings)]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Starts one that speaks TLS only. Its authority's certificate is `ca.hex` in `folder`, as the sample takes it.
    pub fn with_tls(stage: &Stage, folder: &Path) -> Self {
        make_certificates(folder);
        let (port, settings) = (free_port(), folder.join("mosquitto.conf"));
        let folder = text(folder);
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {folder}/server.pem\n\
             keyfile {folder}/server.key\nuser root\n"
        );
        std::fs::write(&settings, lines).unwrap();
        let process = stage.tool("mosquitto", ["-v", "-c", text(&settings)]);
        wait_for_port(port);
        Self { port, process }
    }

    /// Ends it at once; answers its port.
    pub fn kill(self) -> u16 {
        self.process.kill();
        self.port
    }

    /// A subscriber that writes `topic payload` lines.
    pub fn witness(&self, stage: &Stage, topic: &str) -> Process {
        let port = self.port.to_string();
        let id = format!("witness-{}", free_port());
        let process = stage.tool("mosquitto_sub", ["-p", &port, "-i", &id, "-t", topic, "-v", "-q", "1"]);
        self.process.err.expect(&format!("Sending SUBACK to {id}"));
        process
    }

    /// Publishes one message from outside.
    pub fn publish(&self, stage: &Stage, topic: &str, text: &str) {
        let port = self.port.to_string();
        let process = stage.tool("mosquitto_pub", ["-p", &port, "-t", topic, "-m", text, "-q", "1"]);
        assert_eq!(process.code(), 0, "{}", process.err.text());
    }

    /// What it says of itself, one line for each packet.
    pub fn log(&self) -> &super::Lines {
        &self.process.err
    }

    /// The settings with which the sample finds it.
    pub fn settings(&self) -> Vec<String> {
        let settings = [
            "broker-host=127.0.0.1".to_owned(),
            format!("broker-port={}", self.port),
            format!("publish-topic={READINGS}"),
            format!("command-topic={COMMANDS}"),
        ];
        settings.into_iter().flat_map(|setting| ["--config".to_owned(), setting]).collect()
    }
}

/// A cloud of its own process, on a data folder and a fixed port.
pub struct CloudProcess {
    /// `127.0.0.1:port`, the same after a restart.
    pub address: String,
    /// Its process.
    pub process: Process,
}

impl CloudProcess {
    /// Starts it at `address`, which may have port 0, and waits until it listens.
    pub fn start(stage: &Stage, data: &Path, address: &str) -> Self {
        let process = stage.openvisor(["cloud", "--data", text(data), "--listen", address]);
        let line = process.out.expect("listening on ");
        let address = line.rsplit(' ').next().unwrap().to_owned();
        Self { address, process }
    }
}

/// Makes a device in the cloud's data folder; answers the device's folder.
pub fn provision(stage: &Stage, cloud: &Path, parent: &Path, name: &str, settings: &[String]) -> PathBuf {
    let folder = parent.join(name);
    let words = ["provision", "--data", text(cloud), "--out", text(&folder)].map(str::to_owned);
    let process = stage.openvisor(words.iter().chain(settings));
    assert_eq!(process.code(), 0, "{}", process.err.text());
    folder
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `server.pem` and `server.key` for 127.0.0.1 and `broker.example`, and their authority: `ca.pem`, and `ca.hex`, DER in
/// hexadecimal.
fn make_certificates(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    let hexadecimal: Vec<String> = certificate.der().iter().map(|byte| format!("{byte:02x}")).collect();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned(), "broker.example".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    std::fs::write(folder.join("ca.hex"), hexadecimal.concat()).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}
