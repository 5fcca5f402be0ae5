//! HTTP exchanges.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use sansio::Duration;

use super::{ConnectError, Omitted};

/// Names an HTTP exchange of one relay. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

/// An HTTP request, checked as far as that is possible without the network.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// One of the seven methods the link carries.
    pub method: &'static str,
    /// It begins with `https:`; nothing else of it has been checked.
    pub url: String,
    /// At most 32 names and values, none of a connection, well-formed, in the application's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// From now to the last byte of the response.
    pub timeout: Duration,
    /// The largest [`HttpResponse::length`] the application can receive; nothing beyond need be read.
    pub max_response_length: u32,
}

impl HttpRequest {
    /// Bytes of traffic in it.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.url.len() + headers + self.body.len()
    }
}

impl fmt::Debug for HttpRequest {
    /// Omits the URL, the values of headers and the body: they may contain tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, headers, body, timeout, max_response_length } = self;
        f.debug_struct("HttpRequest")
            .field("method", method)
            .field("url", &Omitted(url.len()))
            .field("headers", &HeaderNames(headers))
            .field("body", &Omitted(body.len()))
            .field("timeout", timeout)
            .field("max_response_length", max_response_length)
            .finish()
    }
}

/// Headers without their values.
struct HeaderNames<'a>(&'a [(String, Vec<u8>)]);

impl fmt::Debug for HeaderNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The result of an HTTP exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpOutcome {
    /// The server answered.
    Response(HttpResponse),
    /// The server's answer has more headers or bytes than the application can receive.
    TooLarge,
    /// There is no answer.
    Failed(HttpError),
}

/// A server's answer, whatever its status.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 to 999.
    pub status: u16,
    /// Names and values in the server's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Names of header lines that were left out because they are malformed (D194), at most a few.
    pub ignored: Vec<String>,
    /// The body without any transfer coding.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Bytes it counts for [`HttpRequest::max_response_length`]: each header as `name: value`, and the body.
    pub fn length(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + ": ".len() + value.len());
        headers.sum::<usize>() + self.body.len()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, ignored, body } = self;
        f.debug_struct("HttpResponse")
            .field("status", status)
            .field("headers", &HeaderNames(headers))
            .field("ignored", ignored)
            .field("body", &Omitted(body.len()))
            .finish()
    }
}

/// Why an HTTP request has no answer, or one the application cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The URL is malformed, names no host, or contains credentials.
    InvalidUrl,
    /// The connection to the server could not be established.
    Connection(ConnectError),
    /// The response was not complete in time.
    TimedOut,
    /// The connection ended before the response was complete.
    Broken,
    /// What the server sent is not HTTP: what is wrong with it.
    NotHttp(String),
    /// The response does not fit.
    TooLarge,
}

impl HttpError {
    /// The label of a metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::InvalidUrl => "invalid_url",
            Self::Connection(cause) => cause.label(),
            Self::TimedOut => "response_timed_out",
            Self::Broken => "broken",
            Self::NotHttp(_) => "not_http",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection(cause) => return cause.fmt(f),
            Self::NotHttp(what) => return write!(f, "what the server sent is not HTTP: {what}"),
            Self::InvalidUrl => "the URL cannot be used",
            Self::TimedOut => "the response did not arrive in time",
            Self::Broken => "the connection ended before the response was complete",
            Self::TooLarge => "the response does not fit the receive buffer",
        })
    }
}
