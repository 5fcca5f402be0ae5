//! TLS handshakes between a cloud's client and a server of a test, in memory and at a given time. What the client
//! accepts is decided by the code that decides it on a network.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use relay::{ConnectError, ConnectionEnd, TlsOptions};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::trust::{Tls, Trust, provider};
use super::{bare_host, failure};

/// Most flights of a handshake; TLS 1.2 has four.
const MAX_FLIGHTS: usize = 16;

/// The server.
#[derive(Clone)]
pub struct RehearsalServer {
    config: Arc<ServerConfig>,
}

/// How a handshake ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// Both ends have accepted each other.
    Accepted,
    /// The connection could not be opened.
    Failed(ConnectError),
    /// It was opened, and then ended by the server: in TLS 1.3 it verifies the client's certificate last.
    Ended(ConnectionEnd),
}

/// Time as the test has it.
#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

impl RehearsalServer {
    /// A server with the certificate, those above it, and the key in these PEM files. With `client_authorities`, the
    /// authorities in that PEM file have to have signed a client's certificate.
    ///
    /// # Errors
    /// One of the files cannot be used, in one line.
    pub fn from_files(chain: &Path, key: &Path, client_authorities: Option<&Path>) -> Result<Self, String> {
        let own = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3");
        let builder = match client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| unusable(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(path, error))?)
            }
        };
        let config = builder.with_single_cert(own, key).map_err(|error| unusable(chain, error))?;
        Ok(Self { config: Arc::new(config) })
    }

    /// Connects to `host` with the TLS an application asks for, `now` after 1970.
    pub fn connect(&self, trust: &Trust, host: &str, tls: &TlsOptions, now: Duration) -> Rehearsed {
        let connected = trust.config(tls).and_then(|tls| {
            let name = ServerName::try_from(bare_host(host).to_owned())
                .map_err(|_| ConnectError::Certificate("the host's name cannot stand in one".to_owned()))?;
            Ok((tls, name))
        });
        match connected {
            Ok((tls, name)) => self.shake_hands(&tls, name, At(UnixTime::since_unix_epoch(now))),
            Err(error) => Rehearsed::Failed(error),
        }
    }

    fn shake_hands(&self, tls: &Tls, name: ServerName<'static>, now: At) -> Rehearsed {
        let now: Arc<dyn TimeProvider> = Arc::new(now);
        let mut client = (*tls.config).clone();
        client.time_provider = now.clone();
        let mut server = (*self.config).clone();
        server.time_provider = now;
        let client = ClientConnection::new(Arc::new(client), name);
        let (Ok(mut client), Ok(mut server)) = (client, ServerConnection::new(Arc::new(server))) else {
            return Rehearsed::Failed(ConnectError::Tls("no cipher suite in common".to_owned()));
        };
        for _ in 0..MAX_FLIGHTS {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).expect("a vector takes all");
            }
            // What the server objects to is in the alert that it sends.
            let _ = receive(&bytes, |from| server.read_tls(from)).map(|()| server.process_new_packets());
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).expect("a vector takes all");
            }
            let was_handshaking = client.is_handshaking();
            let received = receive(&answer, |from| client.read_tls(from)).and_then(|()| {
                client
                    .process_new_packets()
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            });
            match received {
                Err(error) if was_handshaking => {
                    return Rehearsed::Failed(failure::handshake_failure(&error, &tls.certificate));
                }
                Err(error) => return Rehearsed::Ended(failure::connection_end(&error)),
                Ok(_) if !client.wants_write() && answer.is_empty() => break,
                Ok(_) => {}
            }
        }
        if client.is_handshaking() { Rehearsed::Failed(ConnectError::TlsClosed) } else { Rehearsed::Accepted }
    }
}

/// Passes `bytes` on, all of them.
fn receive(mut bytes: &[u8], mut read: impl FnMut(&mut dyn Read) -> io::Result<usize>) -> io::Result<()> {
    while !bytes.is_empty() {
        if read(&mut bytes)? == 0 {
            break;
        }
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    super::read_authorities(path).map_err(|error| error.to_string())
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{} cannot be used: {error}", path.display())
}
