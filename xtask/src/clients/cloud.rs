//! The cloud that the clients use: `openvisor cloud` on a folder with devices, an application and a token.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::Value;

use crate::process::capture;
use crate::workspace::{cargo, root};

const BUILD_LIMIT: Duration = Duration::from_mins(20);
const COMMAND_LIMIT: Duration = Duration::from_mins(1);
/// Devices there are: three pages of two.
const DEVICES: usize = 5;
/// The name of the certificate.
const HOST: &str = "microvisor.twilio.com";
const IMAGE: &str = "sdk/samples/logging/logging.elf";

/// A running cloud. It is ended when this value is dropped.
pub(super) struct Cloud {
    child: Child,
    /// `http://127.0.0.1:PORT` or `https://…`.
    pub(super) url: String,
}

/// What clients present.
pub(super) struct Credentials {
    pub(super) sid: String,
    pub(super) token: String,
}

/// Files of a test authority and a certificate it issued for the original's host name.
pub(super) struct Tls {
    pub(super) authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// Builds the program.
pub(super) fn build() -> Result<(), String> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--workspace", "--bin", "openvisor"]);
    succeed(&mut command, BUILD_LIMIT).map(drop)
}

/// Creates the devices `d1` and so on.
pub(super) fn provision(data: &Path, folder: &Path) -> Result<(), String> {
    for number in 1..=DEVICES {
        let mut command = openvisor();
        command.args(["provision", "--name", &format!("d{number}"), "--data"]).arg(data);
        succeed(command.arg("--out").arg(folder.join(format!("d{number}"))), COMMAND_LIMIT)?;
    }
    Ok(())
}

/// A new auth token of the oldest account.
pub(super) fn credentials(data: &Path) -> Result<Credentials, String> {
    let mut command = openvisor();
    let output = succeed(command.args(["accounts", "token", "--json", "--data"]).arg(data), COMMAND_LIMIT)?;
    let made: Value =
        serde_json::from_str(&output).map_err(|error| format!("accounts token: {error}: {output}"))?;
    let text =
        |name: &str| made[name].as_str().map(str::to_owned).ok_or(format!("accounts token: no {name}"));
    Ok(Credentials { sid: text("account_sid")?, token: text("auth_token")? })
}

/// A bundle that differs from those of other numbers.
pub(super) fn bundle(number: usize, folder: &Path) -> Result<Vec<u8>, String> {
    let file = folder.join(format!("app-{number}.zip"));
    let mut command = openvisor();
    command.args(["bundle", "create"]).arg(root().join(IMAGE)).arg(&file);
    succeed(command.args(["--restart-min", &(number + 1).to_string()]), COMMAND_LIMIT)?;
    std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))
}

impl Cloud {
    /// Starts a cloud, with TLS if there is a certificate.
    pub(super) fn start(data: &Path, tls: Option<&Tls>) -> Result<Self, String> {
        let mut command = openvisor();
        command
            .args(["cloud", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--json", "--data"])
            .arg(data);
        if let Some(Tls { certificate, key, .. }) = tls {
            command.arg("--api-cert").arg(certificate).arg("--api-key").arg(key);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("openvisor cloud: {error}"))?;
        let stdout = child.stdout.take().ok_or("the cloud has no standard output")?;
        let mut cloud = Self { child, url: String::new() };
        let (sender, urls) = mpsc::channel();
        // Reads to the end, so that the cloud never waits for a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some("api_listening"), Some(url)) = (event["event"].as_str(), event["url"].as_str()) {
                    let _ = sender.send(url.trim_end_matches("/v1").to_owned());
                }
            }
        });
        cloud.url = urls
            .recv_timeout(COMMAND_LIMIT)
            .map_err(|_| "openvisor cloud does not report its API's address".to_owned())?;
        Ok(cloud)
    }

    /// Where the API listens.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        let (_, address) = self.url.split_once("://").ok_or("no scheme")?;
        address.parse().map_err(|error| format!("{address}: {error}"))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + COMMAND_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tls {
    /// Makes the authority and the certificate.
    pub(super) fn write(folder: &Path) -> Result<Self, String> {
        let fault = |error: rcgen::Error| format!("certificate: {error}");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(fault)?;
        let authority = params.self_signed(&key).map_err(fault)?;
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).map_err(fault)?;
        params.distinguished_name.push(DnType::CommonName, HOST);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(fault)?;
        let certificate = params.signed_by(&key, &issuer).map_err(fault)?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok::<_, String>(path)
        };
        Ok(Self {
            authority: write("authority.pem", authority.pem())?,
            certificate: write("certificate.pem", certificate.pem())?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }
}

/// The program, without settings of this user's environment.
fn openvisor() -> Command {
    let mut command = Command::new(root().join("target/debug/openvisor"));
    command.env_remove("OPENVISOR_DATA").env_remove("OPENVISOR_STORE");
    command
}

fn succeed(command: &mut Command, limit: Duration) -> Result<String, String> {
    let ended = capture(command, limit)?;
    if ended.success {
        return Ok(ended.output);
    }
    Err(format!("{}: {}\n{}", command.get_program().display(), ended.how, ended.output))
}
