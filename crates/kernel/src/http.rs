//! One HTTP exchange: the request goes out once, the response stays readable until the channel is closed.
//!
//! Whether the method, the scheme, the headers and the time-out may be used is the cloud's to say, as the result of an
//! accepted request (D60).

use abi::Status;
use abi::http::{HttpHeader, HttpRequest, HttpResponseData};
use abi::strings::SizedString;
use link::bytes::Writer;
use link::http::{HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};
use link::{Fragment, Violation, varint, violation};

use crate::Kernel;
use crate::channel::Base;
use crate::limits::{MAX_REQUEST_HEADERS, MAX_RESPONSE_HEADERS};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{self, Body, Sink, length_of};
use crate::port::Port;

/// The state of one HTTP channel.
pub(crate) struct Http {
    stage: Stage,
    result: HttpResult,
    status: u32,
    /// Bytes of each header line; the lines are in the receive ring one behind the other, and then the body.
    headers: [u32; MAX_RESPONSE_HEADERS],
    count: u8,
    /// Bytes of the body.
    body: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unasked,
    InFlight,
    /// The head of the response has come, the rest is coming.
    Coming,
    Complete,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Unasked,
            result: HttpResult::Ok,
            status: 0,
            headers: [0; MAX_RESPONSE_HEADERS],
            count: 0,
            body: 0,
        }
    }

    /// Whether the response is there, so that the end of the channel is no news.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Takes a fragment of the response; whether the response became whole by it.
    pub(crate) fn item(
        &mut self,
        base: &mut Base,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
        stored: &mut dyn FnMut(u32) -> Result<(), Violation>,
    ) -> Result<bool, Violation> {
        if fragment.kind != to_device::HTTP_RESPONSE {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let (head, bytes) = base.inbox.head(fragment, ResponseHead::decode)?;
        if let Some(head) = head {
            self.take_head(&head)?;
        }
        stored(bytes.len() as u32)?;
        base.inbox.store(memory, bytes)?;
        if !fragment.last {
            return Ok(false);
        }
        let headers = self.before(self.headers().len());
        self.body = base.inbox.finish().checked_sub(headers).ok_or(violation::BODY_TOO_SHORT)?;
        self.stage = Stage::Complete;
        Ok(true)
    }

    fn take_head(&mut self, head: &ResponseHead) -> Result<(), Violation> {
        if self.stage != Stage::InFlight {
            return Err(violation::UNASKED_ANSWER);
        }
        let lengths = head.header_lengths();
        self.headers[..lengths.len()].copy_from_slice(lengths);
        (self.stage, self.result, self.status) = (Stage::Coming, head.result, head.status);
        self.count = lengths.len() as u8;
        Ok(())
    }

    fn headers(&self) -> &[u32] {
        &self.headers[..usize::from(self.count)]
    }

    /// Bytes of the header lines before the one at `index`. What is more than a ring saturates.
    fn before(&self, index: usize) -> u32 {
        self.headers()[..index].iter().fold(0, |sum, length| u32::saturating_add(sum, *length))
    }

    /// Reads need the whole response.
    fn complete(&self, base: &Base) -> Result<(), Status> {
        if self.is_complete() { Ok(()) } else { Err(base.nothing()) }
    }

    /// Reads of headers and body need a response that succeeded, too (D61).
    fn successful(&self, base: &Base) -> Result<(), Status> {
        self.complete(base)?;
        if self.result == HttpResult::Ok { Ok(()) } else { Err(Status::RequestUnsuccessful) }
    }
}

/// A request with its structures copied; its strings stay where they are until they are sent on.
struct Request {
    method: Span,
    url: Span,
    headers: [Span; MAX_REQUEST_HEADERS],
    count: usize,
    has_too_many_headers: bool,
    body: Span,
    timeout: u32,
}

impl Request {
    fn read(memory: &dyn Memory, request: &HttpRequest) -> Result<Self, MemoryFault> {
        let array = Span::array(request.headers, request.num_headers, HttpHeader::SIZE as u32)?;
        let has_too_many_headers = request.num_headers as usize > MAX_REQUEST_HEADERS;
        let count = if has_too_many_headers { 0 } else { request.num_headers as usize };
        let mut headers = [Span::default(); MAX_REQUEST_HEADERS];
        for (index, place) in (0..).zip(&mut headers[..count]) {
            let header: HttpHeader = structure(memory, array.at(index * HttpHeader::SIZE as u32))?;
            *place = Span::readable(header.data, header.length)?;
        }
        let string = |string: SizedString| Span::readable(string.data, string.length);
        Ok(Self {
            method: string(request.method)?,
            url: string(request.url)?,
            headers,
            count,
            has_too_many_headers,
            body: string(request.body)?,
            timeout: request.timeout_ms,
        })
    }
}

impl Body for Request {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        outbox::string(sink, self.method)?;
        outbox::string(sink, self.url)?;
        let mut fields = [0; varint::MAX_32 + 1];
        let mut writer = Writer::new(&mut fields);
        writer.varint32(self.timeout);
        writer.u8(self.count as u8);
        let length = writer.written();
        sink.bytes(&fields[..length])?;
        self.headers[..self.count].iter().try_for_each(|header| outbox::string(sink, *header))?;
        sink.span(self.body)
    }
}

impl Kernel {
    /// `mvSendHttpRequest`. A channel has one request in its life, so its size is held against the whole ring.
    pub(crate) fn send_http_request(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let request: HttpRequest = structure(port.memory, request).early()?;
        let request = Request::read(port.memory, &request).late()?;
        let (base, http) = self.channels.http(handle)?;
        if length_of(&request) > u64::from(base.outbox.size()) {
            return Err(Status::InvalidBufferSize);
        }
        if request.has_too_many_headers {
            return Err(Status::TooManyElements);
        }
        base.connected()?;
        if http.stage != Stage::Unasked {
            return Err(Status::RequestAlreadySent);
        }
        base.outbox.put(port.memory, to_cloud::HTTP_REQUEST, &request)?;
        http.stage = Stage::InFlight;
        Ok(())
    }

    /// `mvReadHttpResponseData`.
    pub(crate) fn read_http_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, http) = self.channels.http(handle)?;
        http.complete(base)?;
        let response = HttpResponseData {
            result: u32::from(http.result.code()),
            status_code: http.status,
            num_headers: u32::from(http.count),
            body_length: http.body,
        };
        to.put(port.memory, response.to_bytes()).early()
    }

    /// `mvReadHttpResponseHeader`: as much of the line as fits, without its length.
    pub(crate) fn read_http_header(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        index: u32,
        to: u32,
        size: u32,
    ) -> Result<(), Status> {
        let to = Span::writable(to, size).early()?;
        let (base, http) = self.channels.http(handle)?;
        http.successful(base)?;
        let index = index as usize;
        let length = *http.headers().get(index).ok_or(Status::IndexInvalid)?;
        base.inbox.ring().copy_out(port.memory, http.before(index), to, length.min(size)).early()
    }

    /// `mvReadHttpResponseBody`: as much of the body from `offset` on as is there and fits.
    pub(crate) fn read_http_body(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        offset: u32,
        to: u32,
        size: u32,
    ) -> Result<(), Status> {
        let to = Span::writable(to, size).early()?;
        let (base, http) = self.channels.http(handle)?;
        http.successful(base)?;
        let left = http.body.checked_sub(offset).ok_or(Status::OffsetInvalid)?;
        let from = http.before(http.headers().len()) + offset;
        base.inbox.ring().copy_out(port.memory, from, to, left.min(size)).early()
    }
}
