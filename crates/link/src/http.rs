//! One HTTP exchange (link.md §5).

use crate::bytes::{Reader, Strings, Writer, decode_head};
use crate::limits::{MAX_ITEM, RESPONSE_HEADERS};
use crate::violation::{self, Violation};

/// How an exchange ended; the codes are the public header's. Faults of the request are among them, because the kernel
/// accepts a request and the cloud judges it (D60).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpResult {
    /// There is a response.
    Ok,
    /// Not `https`.
    UnsupportedScheme,
    /// Not a method that is relayed.
    UnsupportedMethod,
    /// A header that an application may not set.
    InvalidHeaders,
    /// A timeout outside the allowed range.
    InvalidTimeout,
    /// There was no response.
    RequestFailed,
    /// The response does not fit the ring, or has too many headers.
    ResponseTooLarge,
}

impl HttpResult {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::UnsupportedScheme => 1,
            Self::UnsupportedMethod => 2,
            Self::InvalidHeaders => 3,
            Self::InvalidTimeout => 4,
            Self::RequestFailed => 5,
            Self::ResponseTooLarge => 6,
        }
    }

    /// The result with this code.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        match code {
            0 => Ok(Self::Ok),
            1 => Ok(Self::UnsupportedScheme),
            2 => Ok(Self::UnsupportedMethod),
            3 => Ok(Self::InvalidHeaders),
            4 => Ok(Self::InvalidTimeout),
            5 => Ok(Self::RequestFailed),
            6 => Ok(Self::ResponseTooLarge),
            _ => Err(violation::VALUE_OUT_OF_RANGE),
        }
    }
}

/// A whole `HTTP_REQUEST`, as the cloud reads it. The device writes the same fields one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// The method's name.
    pub method: &'a [u8],
    /// The whole URL.
    pub url: &'a [u8],
    /// Milliseconds.
    pub timeout: u32,
    /// Header lines, `name: value`.
    pub headers: Strings<'a>,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> HttpRequest<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let method = reader.str()?;
        let url = reader.str()?;
        let timeout = reader.varint32()?;
        let count = reader.u8()?;
        let headers = Strings::decode(&mut reader, count)?;
        Ok(Self { method, url, timeout, headers, body: reader.rest() })
    }
}

/// What precedes the headers and the body of an `HTTP_RESPONSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// How the exchange ended.
    pub result: HttpResult,
    /// The response's status, 0 without a response.
    pub status: u32,
    lengths: [u32; RESPONSE_HEADERS as usize],
    count: u8,
}

impl ResponseHead {
    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 5 + 1 + 3 * RESPONSE_HEADERS as usize;

    /// A head for headers of these lengths, which follow it joined, and then the body. `None` for more than 64 headers.
    pub fn new(result: HttpResult, status: u32, lengths: &[u32]) -> Option<Self> {
        let mut array = [0; RESPONSE_HEADERS as usize];
        array.get_mut(..lengths.len())?.copy_from_slice(lengths);
        let all_fit = lengths.iter().all(|&length| length <= MAX_ITEM);
        all_fit.then_some(Self { result, status, lengths: array, count: lengths.len() as u8 })
    }

    /// Bytes of each header line.
    pub fn header_lengths(&self) -> &[u32] {
        &self.lengths[..usize::from(self.count)]
    }

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.result.code());
        writer.varint32(self.status);
        writer.u8(self.count);
        for &length in self.header_lengths() {
            writer.varint32(length);
        }
        writer.written()
    }

    /// Reads a head: it and the bytes it took, or `None` when `bytes` ends inside it.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        decode_head(bytes, |reader| {
            let result = HttpResult::from_code(reader.u8()?)?;
            let status = reader.varint32()?;
            let count = reader.u8()?;
            if count > RESPONSE_HEADERS {
                return Err(violation::WRONG_COUNT);
            }
            let mut lengths = [0; RESPONSE_HEADERS as usize];
            for length in &mut lengths[..usize::from(count)] {
                *length = item_length(reader)?;
            }
            Ok(Self { result, status, lengths, count })
        })
    }
}

/// Reads a length in a list. None exceeds an item, so that it takes at most three bytes.
pub(crate) fn item_length(reader: &mut Reader<'_>) -> Result<u32, Violation> {
    let length = reader.varint32()?;
    if length <= MAX_ITEM { Ok(length) } else { Err(violation::VALUE_OUT_OF_RANGE) }
}
