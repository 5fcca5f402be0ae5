//! The words for HTTP exchanges.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::ConnectFailure;

/// Names an HTTP exchange of one relay. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

/// An HTTP request that may be carried, as far as it can be judged without the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// One of the seven.
    pub method: &'static str,
    /// It begins with `https:`; nothing else is known of it.
    pub url: String,
    /// At most 32 names and values, none of a connection, well-formed, in the application's order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// Milliseconds from now to the last byte of the response.
    pub timeout_ms: u32,
    /// Bytes the response may have ([`HttpResponse::length`]); nothing beyond need be read.
    pub room: u32,
}

impl HttpRequest {
    /// Bytes of traffic it carries.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.url.len() + headers + self.body.len()
    }
}

/// What became of an HTTP exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpOutcome {
    /// The server answered.
    Response(HttpResponse),
    /// The server's answer has more headers or bytes than there is room for.
    TooLarge,
    /// There is no answer.
    Failed(HttpFailure),
}

/// A server's answer, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Bytes it takes of [`HttpRequest::room`]: each header as `name: value`, and the body.
    pub fn length(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + ": ".len() + value.len());
        headers.sum::<usize>() + self.body.len()
    }
}

/// Why an HTTP request has no answer, or one the application cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFailure {
    /// The URL is none, or names no host, or carries credentials.
    InvalidUrl,
    /// There was no connection to the server.
    Connection(ConnectFailure),
    /// The answer was not there when the time was over.
    TimedOut,
    /// The connection ended before the answer did.
    Broken,
    /// What came is not HTTP: what is wrong with it.
    NotHttp(String),
    /// The response does not fit.
    TooLarge,
}

impl HttpFailure {
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

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection(cause) => return cause.fmt(f),
            Self::NotHttp(what) => return write!(f, "what the server sent is not HTTP: {what}"),
            Self::InvalidUrl => "the URL cannot be used",
            Self::TimedOut => "the response did not come in time",
            Self::Broken => "the connection ended before the response was complete",
            Self::TooLarge => "the response does not fit the receive buffer",
        })
    }
}
