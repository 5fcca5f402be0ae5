//! Health and metrics for the operator, on a port of their own: the devices' port never serves them.
//!
//! `GET /healthz`: the process answers. `GET /readyz`: devices are accepted, the store can be written, every background
//! task runs. `GET /metrics`: Prometheus' text format. There is no TLS and no password: anyone who can reach the port
//! can read the numbers, which name no device.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::{
    ACCEPT_PAUSE, MONITOR_CONNECTIONS, MONITOR_CONNECTIONS_PER_SOURCE, MONITOR_REQUEST_TIMEOUT,
    MONITOR_TIMEOUT, READY_TIMEOUT, REFUSAL_REPORT_INTERVAL,
};
use crate::log_intake::Intake;
use crate::memory_limit::MemoryPool;
use crate::metrics::{Levels, Metrics};
use crate::registry::Registry;
use crate::slots::{Slot, Slots};
use crate::sources::SourceQuota;
use crate::store::Store;
use crate::supervisor::Supervisor;
use crate::throttle::Throttle;

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4";

/// The parts of a cloud that health and metrics are read from.
pub(crate) struct Monitor {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) connections: SourceQuota,
    pub(crate) handshakes: Slots,
    pub(crate) log_intake: Weak<Intake>,
    pub(crate) memory: Arc<MemoryPool>,
    pub(crate) store: Weak<Store>,
    pub(crate) tasks: Arc<Supervisor>,
    /// Whether devices are accepted.
    pub(crate) accepting: AtomicBool,
}

type Answer = Response<Full<Bytes>>;

/// Answers requests until it is dropped. The time and the number of clients are bounded, and idle ones are evicted for
/// new ones, so that a health check is answered however many connections there are.
pub(crate) async fn run(listener: TcpListener, monitor: Arc<Monitor>) {
    let slots = Slots::new(MONITOR_CONNECTIONS, MONITOR_CONNECTIONS_PER_SOURCE, Duration::ZERO);
    let failures = Throttle::new(REFUSAL_REPORT_INTERVAL);
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Without a grace period there is always one.
                let Some(slot) = slots.try_acquire(address.ip(), Instant::now()) else { continue };
                tokio::spawn(serve_in(slot, stream, monitor.clone()));
            }
            Err(error) => {
                if let Some(others) = failures.admit(Instant::now()) {
                    tracing::error!(name: "monitor_accept_failed", %error, others, "cannot accept a connection to the monitoring port");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_in(mut slot: Slot, stream: TcpStream, monitor: Arc<Monitor>) {
    tokio::select! {
        _ = timeout(MONITOR_TIMEOUT, serve(stream, monitor)) => {}
        () = slot.evicted() => {}
    }
}

async fn serve(stream: TcpStream, monitor: Arc<Monitor>) {
    let service = service_fn(|request: Request<Incoming>| {
        let monitor = monitor.clone();
        async move { Ok::<_, Infallible>(monitor.answer(request.method(), request.uri().path()).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(MONITOR_REQUEST_TIMEOUT);
    // A malformed request, or a client that disconnects, is the client's problem only.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
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
            "/metrics" => with(StatusCode::OK, TEXT_FORMAT, self.metrics.text(&self.levels()).into()),
            _ => plain(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n"),
        }
    }

    async fn readiness(&self) -> Answer {
        if !self.accepting.load(Ordering::Relaxed) {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        // Before the store: a cloud without its writer or its revocations is not ready, whatever the store says (D166).
        if let Some(task) = self.tasks.down() {
            return unready(format!("the background task `{task}` has panicked\n"));
        }
        match self.check_store().await {
            Ok(()) => plain(StatusCode::OK, "ready\n"),
            Err(why) => unready(format!("{why}\n")),
        }
    }

    /// Whether the store can be written; if not, the cause, which names no device.
    async fn check_store(&self) -> Result<(), String> {
        let Some(store) = self.store.upgrade() else { return Err("stopping".to_owned()) };
        match timeout(READY_TIMEOUT, store.check()).await {
            Ok(checked) => checked.map_err(|error| error.to_string()),
            Err(_) => Err("the store did not complete a write in time".to_owned()),
        }
    }

    fn levels(&self) -> Levels {
        let intake = self.log_intake.upgrade();
        let devices = self.registry.count();
        Levels {
            devices,
            connections: self.connections.in_use(),
            handshakes: self.handshakes.in_use(),
            log_queue: intake.map_or(0, |intake| intake.lines()),
            log_queue_capacity: devices * crate::limits::LOG_BACKLOG,
            memory: self.memory.in_use(),
        }
    }
}

fn unready(text: String) -> Answer {
    with(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text.into())
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    with(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn with(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    answer.body(Full::new(body)).expect("status and header are in order")
}
