//! HTTP exchanges for devices: one connection each, over the connector, so that every address is judged as a broker's is (D62).
//!
//! No redirect is followed (D60), nothing is kept between exchanges, and no byte is read beyond what the device has room for.
//! `head.rs`: which header lines of a response are malformed.

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

use budget::{Budget, Budgeted};
use head::{Recorded, Recording};

/// What a request says of its sender where the application does not: some servers refuse a request without (D195).
const AGENT: &str = concat!("openvisor/", env!("CARGO_PKG_VERSION"));

/// Methods that say so when they have no content (RFC 9110 section 8.6); servers answer 411 otherwise. hyper leaves it out.
const EXPECT_CONTENT: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Why there is no response to give.
enum Stop {
    TooLarge,
    Failed(HttpError),
}

impl From<HttpError> for Stop {
    fn from(failure: HttpError) -> Self {
        Self::Failed(failure)
    }
}

/// Carries a request. Dropped before it is done it ends the connection.
pub(crate) async fn exchange(connector: &Connector, owner: Owner, request: HttpRequest) -> HttpOutcome {
    let patience = Duration::from(request.timeout);
    let carried = timeout(patience, carry(connector, owner, request, patience)).await;
    match carried.unwrap_or(Err(Stop::Failed(HttpError::TimedOut))) {
        Ok(response) => HttpOutcome::Response(response),
        Err(Stop::TooLarge) => HttpOutcome::TooLarge,
        Err(Stop::Failed(failure)) => HttpOutcome::Failed(failure),
    }
}

async fn carry(
    connector: &Connector,
    owner: Owner,
    request: HttpRequest,
    patience: Duration,
) -> Result<HttpResponse, Stop> {
    let url = url(&request.url)?;
    let room = request.max_response_length as usize;
    let message = message(&url, request)?;
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(HttpError::InvalidUrl)?;
    let stream = connector.connect_https(owner, host, port, patience).await;
    let stream = stream.map_err(HttpError::Connection)?;
    converse(stream, message, room).await
}

/// Sends a request on a connection that has been made and reads the response.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut message: Request<Full<Bytes>>,
    room: usize,
) -> Result<HttpResponse, Stop> {
    let interim = Interim::limit(&mut message);
    let budget = Budget::new(HTTP_HEAD + HTTP_OVERHEAD * (room + HTTP_HEAD) + HTTP_BUFFER);
    let stream = Budgeted::new(stream, budget.clone());
    let recording = Recording::new(room + HTTP_HEAD);
    let stream = Recorded::new(stream, recording.clone());
    let connecting = settings(room).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connecting.map_err(|error| stop(&error))?;
    let mut answer = pin!(async {
        let response = sender.send_request(message).await.map_err(|error| malformed(&error, &recording))?;
        read(response, room, &recording).await
    });
    // Both in this one future, so that dropping it leaves nothing behind.
    let outcome = tokio::select! {
        biased;
        () = interim.exceeded() => return Err(Stop::TooLarge),
        answer = &mut answer => answer,
        // The connection has ended; what came before, or why there is nothing, is still to be had.
        _ = connection => answer.await,
    };
    outcome.map_err(|stop| if budget.is_spent() { Stop::TooLarge } else { stop })
}

/// Counts interim responses (1xx), which come before the response and of which there may be any number (RFC 9110 section 15.2).
struct Interim(Arc<Notify>);

impl Interim {
    /// Counts those to this request.
    fn limit(message: &mut Request<Full<Bytes>>) -> Self {
        let exceeded = Arc::new(Notify::new());
        let (told, count) = (exceeded.clone(), AtomicUsize::new(0));
        hyper::ext::on_informational(message, move |_| {
            if count.fetch_add(1, Ordering::Relaxed) >= INTERIM_RESPONSES {
                told.notify_one();
            }
        });
        Self(exceeded)
    }

    /// Ready when there were more than [`INTERIM_RESPONSES`].
    async fn exceeded(&self) {
        self.0.notified().await;
    }
}

/// Sends a plain GET on a connection and reads the response, for a fuzz target.
pub(crate) async fn get(stream: impl AsyncRead + AsyncWrite + Unpin, room: usize) -> Option<HttpResponse> {
    converse(stream, Request::new(Full::default()), room).await.ok()
}

/// The URL, if it names a host. Credentials in it are refused: applications have a header for them, and URLs are shown.
fn url(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|_| HttpError::InvalidUrl)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if is_plain && url.has_host() { Ok(url) } else { Err(HttpError::InvalidUrl) }
}

/// The request as it goes out. The relay has judged all of it but the URL.
fn message(url: &Url, request: HttpRequest) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut message = Request::builder()
        .method(request.method)
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(CONNECTION, "close");
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(USER_AGENT.as_str())) {
        message = message.header(USER_AGENT, AGENT);
    }
    if request.body.is_empty() && EXPECT_CONTENT.contains(&request.method) {
        message = message.header(CONTENT_LENGTH, 0);
    }
    for (name, value) in request.headers {
        message = message.header(name, value);
    }
    message.body(Full::new(request.body.into())).map_err(|_| HttpError::InvalidUrl)
}

/// A client that reads no more of a head than a response with `room` bytes can have. A header line that is malformed costs no more
/// than itself (D194): folded lines are joined, a blank before the colon is passed over, and what cannot be read is left out.
fn settings(room: usize) -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .title_case_headers(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(usize::from(link::limits::RESPONSE_HEADERS))
        .max_header_size(room + HTTP_HEAD)
        .max_buf_size(HTTP_BUFFER.max(room + HTTP_HEAD));
    settings
}

/// Reads a response as long as it fits.
async fn read(
    response: Response<Incoming>,
    room: usize,
    recording: &Recording,
) -> Result<HttpResponse, Stop> {
    let (head, mut body) = response.into_parts();
    let headers = head.headers.iter();
    let headers =
        headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let ignored = recording.malformed_headers();
    let mut response = HttpResponse { status: head.status.as_u16(), headers, ignored, body: Vec::new() };
    let mut left = room.checked_sub(response.length()).ok_or(Stop::TooLarge)?;
    if body.size_hint().lower() > left as u64 {
        return Err(Stop::TooLarge);
    }
    while let Some(frame) = body.frame().await {
        // Trailers have no place in what the application reads.
        let Ok(data) = frame.map_err(|error| stop(&error))?.into_data() else { continue };
        left = left.checked_sub(data.len()).ok_or(Stop::TooLarge)?;
        response.body.extend_from_slice(&data);
    }
    Ok(response)
}

/// Why there is no head; of one that cannot be read at all, with the header lines that are at fault.
fn malformed(error: &hyper::Error, recording: &Recording) -> Stop {
    match stop(error) {
        Stop::Failed(HttpError::NotHttp(what)) => {
            let names = recording.malformed_headers();
            let at = if names.is_empty() { String::new() } else { format!(", at {}", names.join(", ")) };
            Stop::Failed(HttpError::NotHttp(what + &at))
        }
        other => other,
    }
}

fn stop(error: &hyper::Error) -> Stop {
    if error.is_parse_too_large() {
        Stop::TooLarge
    } else if error.is_parse() {
        Stop::Failed(HttpError::NotHttp(error.to_string()))
    } else {
        Stop::Failed(HttpError::Broken)
    }
}

#[cfg(test)]
mod tests;
