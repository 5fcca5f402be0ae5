//! Health and metrics on a port of their own, for whoever runs the cloud: never on the port of the devices.
//!
//! `GET /healthz`: the process answers. `GET /readyz`: devices are let in and the store can be asked. `GET /metrics`: Prometheus'
//! text format. There is no TLS and no password here; who may reach the port may read the numbers, which name no device.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::limits::{ACCEPT_PAUSE, MONITOR_CONNECTIONS, MONITOR_PATIENCE, READY_PATIENCE};
use crate::metrics::{Metrics, Now};
use crate::registry::Registry;
use crate::sources::Quota;
use crate::store::Store;

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4";

/// What can be asked about a cloud.
pub(crate) struct Monitor {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) connections: Quota,
    pub(crate) handshakes: Quota,
    pub(crate) log_intake: std::sync::Weak<crate::log_intake::Queue>,
    pub(crate) memory: Arc<crate::memory::Pool>,
    pub(crate) store: Weak<Store>,
    /// Whether devices are let in.
    pub(crate) accepting: AtomicBool,
}

type Answer = Response<Full<Bytes>>;

/// Answers until it is dropped. A peer has a bounded time, and there are only so many of them.
pub(crate) async fn run(listener: TcpListener, monitor: Arc<Monitor>) {
    let places = Arc::new(Semaphore::new(MONITOR_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let monitor = monitor.clone();
                tokio::spawn(async move {
                    let _ = timeout(MONITOR_PATIENCE, serve(stream, monitor)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "no connection for metrics can be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, monitor: Arc<Monitor>) {
    let service = service_fn(|request: Request<Incoming>| {
        let monitor = monitor.clone();
        async move { Ok::<_, Infallible>(monitor.answer(request.method(), request.uri().path()).await) }
    });
    // A request that is no HTTP, or an asker that goes away, concerns nobody else.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Monitor {
    async fn answer(&self, method: &Method, path: &str) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            answer.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a header"));
            return answer;
        }
        match path {
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => with(StatusCode::OK, TEXT_FORMAT, self.metrics.text(&self.now()).into()),
            _ => plain(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n"),
        }
    }

    async fn readiness(&self) -> Answer {
        if !self.accepting.load(Ordering::Relaxed) {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        if self.can_ask_store().await {
            plain(StatusCode::OK, "ready\n")
        } else {
            plain(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be asked\n")
        }
    }

    async fn can_ask_store(&self) -> bool {
        let Some(store) = self.store.upgrade() else { return false };
        matches!(timeout(READY_PATIENCE, store.check()).await, Ok(Ok(())))
    }

    fn now(&self) -> Now {
        let queue = self.log_intake.upgrade();
        let devices = self.registry.count();
        Now {
            devices,
            connections: self.connections.held(),
            handshakes: self.handshakes.held(),
            log_queue: queue.map_or(0, |queue| queue.lines()),
            log_queue_room: devices * crate::limits::LOG_BACKLOG,
            memory: self.memory.held(),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    with(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn with(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    answer.body(Full::new(body)).expect("status and header are in order")
}
