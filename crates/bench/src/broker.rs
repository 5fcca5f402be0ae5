//! The broker everything is measured against: a mosquitto of our own, on loopback ports, with its own configuration.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::Failure;

/// Where Debian puts it, which is not on everybody's path.
const USUAL_PLACE: &str = "/usr/sbin/mosquitto";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running mosquitto; ends when dropped.
pub(crate) struct Broker {
    process: Child,
    /// Configuration, certificate and log, for as long as it runs.
    folder: TempDir,
    /// Where it speaks plain TCP.
    pub plain: SocketAddr,
    /// Where it speaks TLS, as 127.0.0.1.
    pub tls: SocketAddr,
    /// The authority that signed its certificate, in DER.
    pub authority: Vec<u8>,
}

impl Broker {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let authority = write_certificate(folder.path())?;
        let (plain, tls) = (free_address()?, free_address()?);
        let config = write_config(folder.path(), plain, tls)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let process = Command::new(program())
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("mosquitto: {error}; on Debian: apt-get install mosquitto"))?;
        let mut broker = Self { process, folder, plain, tls, authority };
        broker.wait_until_listening()?;
        Ok(broker)
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_listening(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        while TcpStream::connect(self.plain).is_err() || TcpStream::connect(self.tls).is_err() {
            if let Some(status) = self.process.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("mosquitto ended with {status}: {}", log.trim_end()).into());
            }
            if start.elapsed() > PATIENCE {
                return Err("mosquitto does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> &'static str {
    if Path::new(USUAL_PLACE).exists() { USUAL_PLACE } else { "mosquitto" }
}

/// Without a delay for small packets, as on any broker for machines: otherwise the delay is what is measured.
fn write_config(folder: &Path, plain: SocketAddr, tls: SocketAddr) -> Result<PathBuf, Failure> {
    let mut text = String::from("allow_anonymous true\npersistence false\nset_tcp_nodelay true\nuser root\n");
    text.push_str("log_dest stderr\nlog_type error\n");
    writeln!(text, "listener {} {}", plain.port(), plain.ip())?;
    writeln!(text, "listener {} {}", tls.port(), tls.ip())?;
    writeln!(text, "certfile {}", folder.join("broker.pem").display())?;
    writeln!(text, "keyfile {}", folder.join("broker.key").display())?;
    let path = folder.join("mosquitto.conf");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Writes a certificate for 127.0.0.1 and its key, and returns the authority's certificate.
fn write_certificate(folder: &Path) -> Result<Vec<u8>, Failure> {
    let authority_key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key)?;
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()])?.signed_by(&key, &issuer)?;
    std::fs::write(folder.join("broker.pem"), certificate.pem())?;
    std::fs::write(folder.join("broker.key"), key.serialize_pem())?;
    Ok(authority.der().to_vec())
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
