//! Serving the API on a socket: HTTP/1.1, with or without TLS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
pub use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower::ServiceExt as _;

use crate::limits::{CONNECTIONS, HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, WRITE_TIMEOUT};
use crate::write_limit::WriteLimit;

/// Pause after a connection could not be accepted, because the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not PEM, or lacks what it should have.
    #[error("not PEM with a certificate chain and a private key: {0}")]
    Pem(#[from] tokio_rustls::rustls::pki_types::pem::Error),
    /// They do not belong together, or are of a kind that is not supported.
    #[error("{0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// TLS with a certificate chain and its key, both PEM.
pub fn tls_config_from_pem(certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>()?;
    tls_config(chain, PrivateKeyDer::from_pem_slice(key)?)
}

/// TLS with a certificate chain and its key. HTTP/1.1 is the only protocol offered.
pub fn tls_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Serves the routes until `stop` is sent or dropped, then lets requests in flight end within `patience`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    stop: oneshot::Receiver<()>,
    patience: Duration,
) {
    let (tls, slots) = (tls.map(TlsAcceptor::from), Arc::new(Semaphore::new(CONNECTIONS)));
    let graceful = Arc::new(GracefulShutdown::new());
    let accept = async {
        loop {
            let slot = slots.clone().acquire_owned().await.expect("never closed");
            match listener.accept().await {
                Ok((stream, address)) => {
                    let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        let _slot = slot;
                        if let Err(error) = connection(stream, address, tls, router, watcher).await {
                            tracing::debug!(name: "api_connection_failed", %address, %error, "an API connection failed");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(name: "api_accept_failed", %error, "cannot accept API connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stop => {}
    }
    drop(listener);
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = timeout(patience, graceful.shutdown()).await;
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = WriteLimit::new(stream, WRITE_TIMEOUT);
    match tls {
        None => requests(stream, address, router, watcher).await,
        Some(tls) => {
            let stream = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
            requests(stream, address, router, watcher).await
        }
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> io::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(served).await.map_err(io::Error::other)
}
