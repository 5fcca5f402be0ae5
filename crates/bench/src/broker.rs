//! The broker of the measurements: a mosquitto process on loopback ports, with its own configuration.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::Error;

/// Debian's path, which is not in every user's PATH.
const DEBIAN_PATH: &str = "/usr/sbin/mosquitto";
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running mosquitto; ends when dropped.
pub(crate) struct Broker {
    process: Child,
    /// Its configuration, certificate and log.
    folder: TempDir,
    /// The address for plain TCP.
    pub plain: SocketAddr,
    /// The address for TLS, with a certificate for 127.0.0.1.
    pub tls: SocketAddr,
    /// The authority that signed its certificate, in DER.
    pub authority: Vec<u8>,
}

impl Broker {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Result<Self, Error> {
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

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_listening(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        while TcpStream::connect(self.plain).is_err() || TcpStream::connect(self.tls).is_err() {
            if let Some(status) = self.process.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("mosquitto ended with {status}: {}", log.trim_end()).into());
            }
            if start.elapsed() > TIMEOUT {
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
    if Path::new(DEBIAN_PATH).exists() { DEBIAN_PATH } else { "mosquitto" }
}

/// With TCP_NODELAY, since Nagle's algorithm would otherwise dominate the measurement.
fn write_config(folder: &Path, plain: SocketAddr, tls: SocketAddr) -> Result<PathBuf, Error> {
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
fn write_certificate(folder: &Path) -> Result<Vec<u8>, Error> {
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

fn free_address() -> Result<SocketAddr, Error> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
