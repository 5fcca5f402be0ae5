//! The system calls of HTTP channels.

use abi::Status;
use abi::http::{HttpHeader, HttpRequest, HttpResponseData};
use abi::strings::SizedString;
use link::bytes::Writer;
use link::kind::to_cloud;
use link::varint;

use super::Stage;
use crate::channel::Channels;
use crate::limits::MAX_REQUEST_HEADERS;
use crate::memory::{Memory, MemoryFault, OutParam, Phase as _, Span, read_struct};
use crate::outbox::{Body, Sink, encode_string, length_of};
use crate::port::Port;

/// A request with its structures copied. Its strings stay in the application's memory until they are encoded.
struct Request {
    method: Span,
    url: Span,
    headers: [Span; MAX_REQUEST_HEADERS],
    header_count: usize,
    has_too_many_headers: bool,
    body: Span,
    timeout_ms: u32,
}

impl Request {
    fn read(memory: &dyn Memory, request: &HttpRequest) -> Result<Self, MemoryFault> {
        let array = Span::array(request.headers, request.num_headers, HttpHeader::SIZE as u32)?;
        let has_too_many_headers = request.num_headers as usize > MAX_REQUEST_HEADERS;
        // None is read then: which status it becomes depends on checks that come first.
        let header_count = if has_too_many_headers { 0 } else { request.num_headers as usize };
        let mut headers = [Span::default(); MAX_REQUEST_HEADERS];
        for (index, span) in (0..).zip(&mut headers[..header_count]) {
            let header: HttpHeader = read_struct(memory, array.at(index * HttpHeader::SIZE as u32))?;
            *span = Span::readable(header.data, header.length)?;
        }
        let string = |string: SizedString| Span::readable(string.data, string.length);
        Ok(Self {
            method: string(request.method)?,
            url: string(request.url)?,
            headers,
            header_count,
            has_too_many_headers,
            body: string(request.body)?,
            timeout_ms: request.timeout_ms,
        })
    }
}

impl Body for Request {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        encode_string(sink, self.method)?;
        encode_string(sink, self.url)?;
        let mut fields = [0; varint::MAX_32 + 1];
        let mut writer = Writer::new(&mut fields);
        writer.varint32(self.timeout_ms);
        writer.u8(self.header_count as u8);
        let length = writer.written();
        sink.bytes(&fields[..length])?;
        self.headers[..self.header_count].iter().try_for_each(|header| encode_string(sink, *header))?;
        sink.span(self.body)
    }
}

/// `mvSendHttpRequest`. A channel sends one request in its life, so a request that is longer than the whole ring can
/// never be sent; that is said before anything else.
pub(crate) fn send(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let request: HttpRequest = read_struct(port.memory, request).early()?;
    let request = Request::read(port.memory, &request).late()?;
    let (core, http) = channels.http(handle)?;
    // Against the whole ring, not its free part: waiting for room would never help.
    if length_of(&request) > u64::from(core.outbox.size()) {
        return Err(Status::InvalidBufferSize);
    }
    if request.has_too_many_headers {
        return Err(Status::TooManyElements);
    }
    core.require_connected()?;
    if http.stage != Stage::Idle {
        return Err(Status::RequestAlreadySent);
    }
    core.outbox.put(port.memory, to_cloud::HTTP_REQUEST, &request)?;
    http.stage = Stage::InFlight;
    Ok(())
}

/// `mvReadHttpResponseData`.
pub(crate) fn read_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let (core, http) = channels.http(handle)?;
    let response = http.response(core)?;
    let data = HttpResponseData {
        result: u32::from(response.result.code()),
        status_code: response.status,
        num_headers: u32::from(response.header_count),
        body_length: response.body_length,
    };
    to.write(port.memory, data.to_bytes()).early()
}

/// `mvReadHttpResponseHeader`: as much of the line as fits, without its length.
pub(crate) fn read_header(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    index: u32,
    to: u32,
    size: u32,
) -> Result<(), Status> {
    let to = Span::writable(to, size).early()?;
    let (core, http) = channels.http(handle)?;
    let response = http.successful_response(core)?;
    let index = index as usize;
    let length = *response.headers().get(index).ok_or(Status::IndexInvalid)?;
    core.inbox.ring().copy_out(port.memory, response.header_length(index), to, length.min(size)).early()
}

/// `mvReadHttpResponseBody`: as much of the body from `offset` on as there is and fits.
pub(crate) fn read_body(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    offset: u32,
    to: u32,
    size: u32,
) -> Result<(), Status> {
    let to = Span::writable(to, size).early()?;
    let (core, http) = channels.http(handle)?;
    let response = http.successful_response(core)?;
    // An offset at the end is allowed and reads nothing; one beyond it is an error.
    let left = response.body_length.checked_sub(offset).ok_or(Status::OffsetInvalid)?;
    let from = response.header_length(response.headers().len()) + offset;
    core.inbox.ring().copy_out(port.memory, from, to, left.min(size)).early()
}
