//! HTTP exchanges: a request is judged here (D60), carried by whoever owns the sockets, and its response put into an item.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use link::Violation;
use link::http::{HttpRequest as Asked, HttpResult, ResponseHead};
use link::kind::to_device;
use sansio::Duration;

use crate::channel::Context;
use crate::limits::{HTTP_HEADERS, HTTP_TIMEOUT_MILLIS};
use crate::outbox::Item;
use crate::protocol::{ExchangeId, HttpError, HttpOutcome, HttpRequest, HttpResponse, Notice, Output};
use crate::text;

/// The methods that are carried. Their names are case-sensitive (RFC 9110 section 9.1).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// Headers the application may not send (D60): those of one connection only (RFC 9110 section 7.6.1), of a proxy, and those
/// the cloud writes from the URL and the body.
const FORBIDDEN: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A channel for one exchange. That there is only one request the link sees to.
#[derive(Debug, Default)]
pub(crate) struct HttpChannel {
    /// The exchange that is under way.
    waiting: Option<ExchangeId>,
}

impl HttpChannel {
    /// Takes a request: hands it out to be carried, or answers why it is not.
    pub(crate) fn item(&mut self, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
        let asked = Asked::decode(body)?;
        match judge(&asked, room(cx.ring)) {
            Ok(request) => self.begin(request, cx),
            Err(refused) => {
                let channel = cx.number;
                cx.notice(|| Notice::RequestRefused {
                    channel,
                    request: "HTTP request",
                    reason: refused.why(),
                });
                answer(refused.result(), cx);
            }
        }
        Ok(())
    }

    fn begin(&mut self, request: HttpRequest, cx: &mut Context<'_>) {
        let exchange = cx.new_exchange();
        self.waiting = Some(exchange);
        let (channel, method) = (cx.number, request.method);
        cx.notice(|| Notice::HttpRequested { channel, method, url: request.url.clone() });
        cx.outputs.push_back(Output::HttpRequest { exchange, request });
    }

    /// Whether this channel waits for that exchange.
    pub(crate) fn waits_for(&self, exchange: ExchangeId) -> bool {
        self.waiting == Some(exchange)
    }

    /// Answers the request with what became of it.
    pub(crate) fn came(&mut self, outcome: HttpOutcome, cx: &mut Context<'_>) {
        self.waiting = None;
        let response = match outcome {
            HttpOutcome::Response(response) => item(&response, room(cx.ring)).map(|item| (response, item)),
            HttpOutcome::TooLarge => None,
            HttpOutcome::Failed(failure) => return failed(failure, cx),
        };
        let channel = cx.number;
        let Some((HttpResponse { status, body, ignored, .. }, item)) = response else {
            cx.notice(|| Notice::HttpFailed { channel, error: HttpError::TooLarge });
            return answer(HttpResult::ResponseTooLarge, cx);
        };
        if !ignored.is_empty() {
            cx.notice(|| Notice::HttpHeadersIgnored { channel, names: ignored });
        }
        cx.notice(|| Notice::HttpAnswered { channel, status, length: body.len() });
        cx.outbox.push(item);
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(exchange) = self.waiting.take() {
            cx.outputs.push_back(Output::CancelHttp { exchange });
        }
    }
}

/// Bytes of headers and body a response may have: what the ring takes, and what one item of the link does.
fn room(ring: u32) -> u32 {
    ring.min(link::MAX_ITEM - ResponseHead::MAX as u32)
}

fn failed(failure: HttpError, cx: &mut Context<'_>) {
    let channel = cx.number;
    cx.notice(|| Notice::HttpFailed { channel, error: failure });
    answer(HttpResult::RequestFailed, cx);
}

/// Queues an answer without a response: status 0, no headers, no body.
fn answer(result: HttpResult, cx: &mut Context<'_>) {
    cx.outbox.push(Item::answer(to_device::HTTP_RESPONSE, &[result.code(), 0, 0]));
}

/// A response as an item; `None` when it has too many headers or more bytes than `room`.
fn item(response: &HttpResponse, room: u32) -> Option<Item> {
    if response.length() > room as usize {
        return None;
    }
    let lines: Vec<Vec<u8>> = response.headers.iter().map(|(name, value)| line(name, value)).collect();
    let lengths: Vec<u32> = lines.iter().map(|line| line.len() as u32).collect();
    let head = ResponseHead::new(HttpResult::Ok, u32::from(response.status), &lengths)?;
    let mut bytes = [0; ResponseHead::MAX];
    let length = head.encode(&mut bytes);
    let lines = lines.iter().map(Vec::as_slice);
    let content: Vec<&[u8]> = lines.chain([response.body.as_slice()]).collect();
    Some(Item::with_content(to_device::HTTP_RESPONSE, &bytes[..length], &content))
}

/// `name: value` (D60).
fn line(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", value].concat()
}

/// Why a request is not carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    Scheme,
    Method,
    Headers,
    Timeout,
    /// The URL is no text.
    Url,
}

impl Unfit {
    fn result(self) -> HttpResult {
        match self {
            Self::Scheme => HttpResult::UnsupportedScheme,
            Self::Method => HttpResult::UnsupportedMethod,
            Self::Headers => HttpResult::InvalidHeaders,
            Self::Timeout => HttpResult::InvalidTimeout,
            Self::Url => HttpResult::RequestFailed,
        }
    }

    fn why(self) -> String {
        match self {
            Self::Scheme => "the URL's scheme is not https".into(),
            Self::Method => "the method is not carried".into(),
            Self::Headers => "a header is malformed or may not be sent".into(),
            Self::Timeout => "the timeout is not allowed".into(),
            Self::Url => HttpError::InvalidUrl.to_string(),
        }
    }
}

/// What is to be carried, if all of it may be. The first fault decides, in the order of the results' numbers.
fn judge(asked: &Asked<'_>, room: u32) -> Result<HttpRequest, Unfit> {
    if !is_https(asked.url) {
        return Err(Unfit::Scheme);
    }
    let method = METHODS.into_iter().find(|method| method.as_bytes() == asked.method).ok_or(Unfit::Method)?;
    let headers: Option<Vec<_>> = asked.headers.iter().map(header).collect();
    let headers = headers.filter(|headers| headers.len() <= HTTP_HEADERS).ok_or(Unfit::Headers)?;
    if !HTTP_TIMEOUT_MILLIS.contains(&asked.timeout) {
        return Err(Unfit::Timeout);
    }
    // What parses URLs would drop line breaks and tabs without a word.
    let url = core::str::from_utf8(asked.url).ok().filter(|_| !text::has_control_characters(asked.url));
    let url = url.ok_or(Unfit::Url)?.into();
    Ok(HttpRequest {
        method,
        url,
        headers,
        body: asked.body.to_vec(),
        timeout: Duration::from_millis(asked.timeout.into()),
        max_response_length: room,
    })
}

/// Schemes are not case-sensitive (RFC 3986 section 3.1).
fn is_https(url: &[u8]) -> bool {
    url.split(|&byte| byte == b':').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
        && url.len() > b"https".len()
}

/// Name and value of a header line; `None` when it is malformed (RFC 9110 section 5) or may not be sent.
fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], trimmed(&line[colon + 1..]));
    let sound = !name.is_empty() && name.iter().copied().all(is_token) && is_field(value);
    let name = core::str::from_utf8(name).ok().filter(|_| sound)?;
    let forbidden = FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden));
    (!forbidden).then(|| (name.into(), value.to_vec()))
}

/// A field value without the blanks around it; a line break is no blank.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A byte of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a field value may be sent: visible characters, blanks and tabs between them, and what is beyond ASCII (RFC 9110
/// section 5.5) but for the control characters there, which some servers take for line ends (D185).
fn is_field(value: &[u8]) -> bool {
    value.split(|&byte| byte == b'\t').all(|part| !text::has_control_characters(part))
}
