//! Responses that do not end: server-sent events, from a task of their own to one reader (D379).
//!
//! The task reads from the store and hands events over through a short queue. It waits for the reader, so that a slow
//! one costs no memory, but not forever.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::limits::{
    STREAM_HEARTBEAT, STREAM_QUEUE, STREAM_RETRY, STREAM_STALL, STREAMS, STREAMS_PER_CALLER,
};

/// How many streams there may be, and how patient they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams of one API key or auth token at a time.
    pub per_caller: usize,
    /// Streams at a time.
    pub total: usize,
    /// How long a reader may take nothing before its stream ends.
    pub stall: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { per_caller: STREAMS_PER_CALLER, total: STREAMS, stall: STREAM_STALL }
    }
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    /// The API key was revoked, or the auth token replaced.
    Revoked,
    /// The API key has expired.
    Expired,
    /// The reader took nothing for too long; it can continue by the last id.
    Slow,
    /// The cloud stops.
    ShuttingDown,
    /// The device was deleted.
    DeviceDeleted,
    /// The store cannot be read now; the reader can continue by the last id.
    Unavailable,
}

/// The data of the event `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StreamEnd)]
pub(crate) struct EndBody {
    reason: EndReason,
}

/// All streams there are.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    limits: StreamLimits,
    running: Arc<Running>,
    stopping: watch::Sender<bool>,
}

/// Number of streams of each caller.
#[derive(Debug, Default)]
struct Running(Mutex<HashMap<String, usize>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place among the bounded number. Its task and its response each have a part: both hold memory.
#[derive(Debug)]
struct Slot {
    running: Arc<Running>,
    name: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        if let Some(count) = running.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.name);
            }
        }
    }
}

impl Streams {
    pub(crate) fn new(limits: StreamLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Ends all streams, and those that begin later.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// A new stream: where its task puts events, and the response with them.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn open(&self, caller: &Caller) -> Result<(Outlet, Response), ApiError> {
        let slot = Arc::new(self.slot(&caller.actor.name)?);
        let (events, queue) = mpsc::channel(STREAM_QUEUE);
        let end = Arc::default();
        // The reader learns at once that the stream has begun, and when to reconnect if it breaks.
        let _ = events.try_send(Event::default().retry(STREAM_RETRY).comment("openvisor"));
        let outlet = Outlet {
            events,
            end: Arc::clone(&end),
            stopping: self.stopping.subscribe(),
            stall: self.limits.stall,
            _slot: Arc::clone(&slot),
        };
        let inlet = Inlet { queue, end, is_done: false, _slot: slot };
        let mut response =
            Sse::new(inlet).keep_alive(KeepAlive::new().interval(STREAM_HEARTBEAT)).into_response();
        // Proxies such as nginx would otherwise collect events until a buffer is full.
        let name = HeaderName::from_static("x-accel-buffering");
        response.headers_mut().insert(name, HeaderValue::from_static("no"));
        Ok((outlet, response))
    }

    fn slot(&self, name: &str) -> Result<Slot, ApiError> {
        let mut running = self.running.lock();
        let own = running.get(name).copied().unwrap_or(0);
        if own >= self.limits.per_caller || running.values().sum::<usize>() >= self.limits.total {
            let message = "There are too many streams; end others or try again later";
            return Err(ApiError::too_many(message, STREAM_RETRY.as_secs()));
        }
        running.insert(name.to_owned(), own + 1);
        Ok(Slot { running: Arc::clone(&self.running), name: name.to_owned() })
    }
}

/// Where the task of a stream puts its events.
#[derive(Debug)]
pub(crate) struct Outlet {
    events: mpsc::Sender<Event>,
    end: Arc<OnceLock<EndReason>>,
    stopping: watch::Receiver<bool>,
    stall: Duration,
    _slot: Arc<Slot>,
}

impl Outlet {
    /// Hands an event over once there is room.
    ///
    /// # Errors
    /// The reader took nothing for too long.
    pub(crate) async fn send(&self, event: Event) -> Result<(), EndReason> {
        match timeout(self.stall, self.events.send(event)).await {
            Err(_) => Err(EndReason::Slow),
            // The reader is gone, which ends the task: see `run`.
            Ok(Err(_)) => std::future::pending().await,
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Runs the task of a stream until it ends, the reader is gone or the cloud stops. What is queued when it ends is
    /// not sent: a revoked key reads nothing more, and other readers continue by the last id.
    pub(crate) async fn run(self, task: impl AsyncFnOnce(&Self) -> EndReason) {
        let mut stopping = self.stopping.clone();
        let reason = tokio::select! {
            reason = task(&self) => reason,
            _ = stopping.wait_for(|stops| *stops) => EndReason::ShuttingDown,
            () = self.events.closed() => return,
        };
        let _ = self.end.set(reason);
    }
}

/// The reader's side of a stream.
struct Inlet {
    queue: mpsc::Receiver<Event>,
    end: Arc<OnceLock<EndReason>>,
    is_done: bool,
    _slot: Arc<Slot>,
}

impl Inlet {
    fn end(&mut self) -> Option<Result<Event, Infallible>> {
        let reason = *self.end.get()?;
        self.is_done = true;
        Some(Ok(json_event("end", &EndBody { reason })))
    }
}

impl Stream for Inlet {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        if let Some(end) = self.end() {
            return Poll::Ready(Some(end));
        }
        let next = ready!(self.queue.poll_recv(context)).map(Ok);
        Poll::Ready(next.or_else(|| self.end()))
    }
}

/// An event with JSON as its data, which is one line whatever texts it has. Beyond what JSON demands, the control
/// characters U+007F to U+009F are escaped: some terminals obey them, and people look at streams with `curl`.
pub(crate) fn json_event(name: &str, body: &impl Serialize) -> Event {
    use std::fmt::Write as _;
    let json = serde_json::to_string(body).expect("bodies are JSON");
    let mut data = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(data, "\\u{:04x}", u32::from(character));
            }
            _ => data.push(character),
        }
    }
    Event::default().event(name).data(data)
}
