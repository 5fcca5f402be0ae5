//! HTTP exchanges for devices: one connection each, through the connector, so that the same addresses are closed as for
//! brokers (D62).
//!
//! No redirect is followed, because the application decides where its data goes (D60). Nothing is kept between
//! exchanges, and no more is read than the device can take. `budget.rs`: the limit of that. `head.rs`: malformed header
//! lines. `tap.rs`: the stream under both.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use relay::{HttpError, HttpOutcome, HttpRequest, HttpResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::timeout;
use url::{Position, Url};

use crate::connector::{Connector, Owner};
use crate::limits::{HTTP_BUFFER, HTTP_HEAD, HTTP_OVERHEAD, INTERIM_RESPONSES};

mod budget;
mod head;
mod tap;

use budget::Budget;
use head::Recording;
use tap::Tapped;

/// `User-Agent` of requests where the application sets none, because some servers refuse requests without one (D195).
const DEFAULT_USER_AGENT: &str = concat!("openvisor/", env!("CARGO_PKG_VERSION"));

/// Methods that need `Content-Length: 0` when they have no content (RFC 9110, 8.6): servers answer 411 otherwise, and
/// hyper omits it.
const METHODS_WITH_CONTENT: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Why there is no response.
enum ExchangeError {
    TooLarge,
    Failed(HttpError),
}

impl From<HttpError> for ExchangeError {
    fn from(failure: HttpError) -> Self {
        Self::Failed(failure)
    }
}

/// Sends a request and reads the response. Dropping the future closes the connection.
pub(crate) async fn exchange(connector: &Connector, owner: Owner, request: HttpRequest) -> HttpOutcome {
    let patience = Duration::from(request.timeout);
    let response = timeout(patience, send(connector, owner, request, patience)).await;
    match response.unwrap_or(Err(ExchangeError::Failed(HttpError::TimedOut))) {
        Ok(response) => HttpOutcome::Response(response),
        Err(ExchangeError::TooLarge) => HttpOutcome::TooLarge,
        Err(ExchangeError::Failed(failure)) => HttpOutcome::Failed(failure),
    }
}

async fn send(
    connector: &Connector,
    owner: Owner,
    request: HttpRequest,
    patience: Duration,
) -> Result<HttpResponse, ExchangeError> {
    let url = url(&request.url)?;
    let capacity = request.max_response_length as usize;
    let message = message(&url, request)?;
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(HttpError::InvalidUrl)?;
    let stream = connector.connect_https(owner, host, port, patience).await;
    let stream = stream.map_err(HttpError::Connection)?;
    converse(stream, message, capacity).await
}

/// Sends a request on an open connection and reads the response.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut message: Request<Full<Bytes>>,
    capacity: usize,
) -> Result<HttpResponse, ExchangeError> {
    let interim = Interim::limit(&mut message);
    let budget = Budget::new(HTTP_HEAD + HTTP_OVERHEAD * (capacity + HTTP_HEAD) + HTTP_BUFFER);
    let stream = Tapped::new(stream, budget.clone());
    let recording = Recording::new(capacity + HTTP_HEAD);
    let stream = Tapped::new(stream, recording.clone());
    let connecting = settings(capacity).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connecting.map_err(|error| exchange_error(&error))?;
    let mut answer = pin!(async {
        let response =
            sender.send_request(message).await.map_err(|error| request_error(&error, &recording))?;
        read(response, capacity, &recording).await
    });
    // Both run in this one future, so that dropping it leaves nothing behind.
    let outcome = tokio::select! {
        // The limit of interim responses first: a server that sends them without end always has another one ready.
        biased;
        () = interim.exceeded() => return Err(ExchangeError::TooLarge),
        answer = &mut answer => answer,
        // The connection has ended; the response received before, or the error, is still available.
        _ = connection => answer.await,
    };
    outcome.map_err(|error| if budget.is_spent() { ExchangeError::TooLarge } else { error })
}

/// Counts interim responses (1xx), of which a server may send any number before the response (RFC 9110, 15.2).
struct Interim(Arc<Notify>);

impl Interim {
    /// Counts the interim responses to this request.
    fn limit(message: &mut Request<Full<Bytes>>) -> Self {
        let exceeded = Arc::new(Notify::new());
        let (notify, count) = (exceeded.clone(), AtomicUsize::new(0));
        hyper::ext::on_informational(message, move |_| {
            if count.fetch_add(1, Ordering::Relaxed) >= INTERIM_RESPONSES {
                notify.notify_one();
            }
        });
        Self(exceeded)
    }

    /// Completes when there were more than [`INTERIM_RESPONSES`].
    async fn exceeded(&self) {
        self.0.notified().await;
    }
}

/// Sends a plain GET on a connection and reads the response, for a fuzz target.
pub(crate) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    capacity: usize,
) -> Option<HttpResponse> {
    converse(stream, Request::new(Full::default()), capacity).await.ok()
}

/// Parses a URL with a host. Credentials in it are refused: there is a header for them, and URLs appear in logs and
/// events.
fn url(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|_| HttpError::InvalidUrl)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if is_plain && url.has_host() { Ok(url) } else { Err(HttpError::InvalidUrl) }
}

/// The request as it is sent. The relay has validated all of it except the URL.
fn message(url: &Url, request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut message = Request::builder()
        .method(request.method)
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(CONNECTION, "close");
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT.as_str())) {
        message = message.header(USER_AGENT, DEFAULT_USER_AGENT);
    }
    if request.body.is_empty() && METHODS_WITH_CONTENT.contains(&request.method) {
        message = message.header(CONTENT_LENGTH, 0);
    }
    for (name, value) in request.headers {
        message = message.header(name, value);
    }
    message.body(Full::new(request.body.into())).map_err(|_| HttpError::InvalidUrl)
}

/// A client that reads no more of a head than a response of `capacity` bytes can have. A malformed header line does not
/// fail the response (D194), because servers with such lines exist and other clients accept them: folded lines are
/// joined, a blank before the colon is ignored, and lines that cannot be parsed are omitted.
fn settings(capacity: usize) -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .title_case_headers(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(usize::from(link::limits::RESPONSE_HEADERS))
        .max_header_size(capacity + HTTP_HEAD)
        .max_buf_size(HTTP_BUFFER.max(capacity + HTTP_HEAD));
    settings
}

/// Reads a response, as long as it fits into `capacity` bytes.
async fn read(
    response: Response<Incoming>,
    capacity: usize,
    recording: &Recording,
) -> Result<HttpResponse, ExchangeError> {
    let (head, mut body) = response.into_parts();
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let ignored = recording.malformed_headers();
    let mut response = HttpResponse { status: head.status.as_u16(), headers, ignored, body: Vec::new() };
    let mut left = capacity.checked_sub(response.length()).ok_or(ExchangeError::TooLarge)?;
    // A length that cannot fit is known before the body is read.
    if body.size_hint().lower() > left as u64 {
        return Err(ExchangeError::TooLarge);
    }
    while let Some(frame) = body.frame().await {
        // The application's interface has no trailers.
        let Ok(data) = frame.map_err(|error| exchange_error(&error))?.into_data() else { continue };
        left = left.checked_sub(data.len()).ok_or(ExchangeError::TooLarge)?;
        response.body.extend_from_slice(&data);
    }
    Ok(response)
}

/// The error of a request; for a response that cannot be parsed, with its malformed header lines.
fn request_error(error: &hyper::Error, recording: &Recording) -> ExchangeError {
    match exchange_error(error) {
        ExchangeError::Failed(HttpError::NotHttp(what)) => {
            let names = recording.malformed_headers();
            let at = if names.is_empty() { String::new() } else { format!(", at {}", names.join(", ")) };
            ExchangeError::Failed(HttpError::NotHttp(what + &at))
        }
        other => other,
    }
}

fn exchange_error(error: &hyper::Error) -> ExchangeError {
    if error.is_parse_too_large() {
        ExchangeError::TooLarge
    } else if error.is_parse() {
        ExchangeError::Failed(HttpError::NotHttp(error.to_string()))
    } else {
        ExchangeError::Failed(HttpError::Broken)
    }
}

#[cfg(test)]
mod tests;
