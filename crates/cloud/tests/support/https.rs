//! HTTPS servers of the tests' own: one written here, and openssl's, which none of us wrote.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloud::{CertificateDer, Resolve, read_authorities};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

/// The name under which devices know the servers.
pub(crate) const HOST: &str = "server.example";

/// A server that answers each request as a function of its path says, one request a connection.
pub(crate) struct Https {
    pub address: SocketAddr,
    pub authority: CertificateDer<'static>,
    open: Arc<AtomicUsize>,
}

impl Https {
    /// `answer` gives the bytes for a path; none leaves the asker waiting.
    pub(crate) async fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (acceptor, authority) = acceptor();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, answer) = (open.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, counted, answer) = (acceptor.clone(), counted.clone(), answer.clone());
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serve(acceptor, tcp, &*answer).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, authority, open }
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until this many connections are open.
    pub(crate) async fn until_open(&self, count: usize) {
        let deadline = Instant::now() + super::MAX_WAIT;
        while self.open() != count {
            assert!(Instant::now() < deadline, "{} connections instead of {count}", self.open());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Where `https://server.example/` is.
pub(crate) fn resolve(to: SocketAddr) -> Vec<Resolve> {
    vec![format!("{HOST}:443={to}").parse().expect("a resolve")]
}

fn acceptor() -> (TlsAcceptor, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they match");
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

async fn serve(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    answer: &(impl Fn(&str) -> Option<Vec<u8>> + Sync),
) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = acceptor.accept(tcp).await?;
    let mut asked = Vec::new();
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let asked = String::from_utf8_lossy(&asked);
    if let Some(bytes) = answer(asked.split(' ').nth(1).unwrap_or_default()) {
        stream.write_all(&bytes).await?;
        stream.flush().await?;
    }
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

/// `openssl s_server -WWW`: the files of a folder over HTTP/1.0, with a certificate openssl made.
pub(crate) struct OpenSsl {
    child: Child,
    pub address: SocketAddr,
    directory: TempDir,
}

impl OpenSsl {
    /// Starts it; `None`, and said why, where there is no openssl.
    pub(crate) async fn start(file: &str, content: &[u8]) -> Option<Self> {
        if let Err(error) = Command::new("openssl").arg("version").output() {
            eprintln!("NOT SHOWN: an HTTPS server none of us wrote, because openssl cannot be run: {error}");
            return None;
        }
        let directory = tempfile::tempdir().expect("a folder");
        std::fs::write(directory.path().join(file), content).expect("written");
        make_certificate(directory.path());
        // Another program may take the port between the look and the start, so a few are tried.
        for _ in 0..5 {
            let address = free_address();
            let mut child = launch(directory.path(), address);
            if is_up(&mut child, address).await {
                return Some(Self { child, address, directory });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("openssl s_server does not start; see {}", directory.keep().display());
    }

    /// Its certificate as a file, as an operator would name it.
    pub(crate) fn authorities(&self) -> Vec<CertificateDer<'static>> {
        read_authorities(&certificate(self.directory.path())).expect("openssl's certificate")
    }
}

async fn is_up(child: &mut Child, address: SocketAddr) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait().expect("asked").is_some() {
            return false;
        }
        if TcpStream::connect(address).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(directory: &Path) -> PathBuf {
    directory.join("certificate.pem")
}

/// As people make one in a hurry: signed by itself, and marked as an authority's.
fn make_certificate(directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
        .args([
            "-addext",
            &format!("subjectAltName=DNS:{HOST}"),
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ])
        .current_dir(directory)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn launch(directory: &Path, address: SocketAddr) -> Child {
    Command::new("openssl")
        .args(["s_server", "-WWW", "-quiet", "-accept", &address.to_string()])
        .args(["-cert", "certificate.pem", "-key", "key.pem"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound")
}
