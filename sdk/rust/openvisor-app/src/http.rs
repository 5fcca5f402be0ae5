//! HTTP: a channel makes one request and has its response.

use core::marker::PhantomData;

use openvisor_sys as sys;
use openvisor_sys::{
    MV_CHANNELTYPE_HTTP, MvHttpHeader, MvHttpRequest, MvHttpResponseData, MvHttpResult, MvSizedString,
};

use crate::{Buffers, Centre, Channel, Network, Result};

/// One exchange: a channel, a request, and its response. Closed on drop.
pub struct Exchange(Channel);

/// A request. [`Request::get`] has what most need.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'a str,
    /// The address, from `https://`.
    pub url: &'a str,
    /// Its headers.
    pub headers: &'a [Header<'a>],
    /// Its body.
    pub body: &'a [u8],
    /// How long to wait, in milliseconds: 5000 to 10000.
    pub timeout_ms: u32,
}

/// Lengths only: URL, headers and body may each hold a token.
impl core::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url_length", &self.url.len())
            .field("headers", &self.headers.len())
            .field("body_length", &self.body.len())
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

impl<'a> Request<'a> {
    /// A GET without headers.
    pub const fn get(url: &'a str) -> Self {
        Self { method: "GET", url, headers: &[], body: &[], timeout_ms: 10_000 }
    }

    /// A POST without headers.
    pub const fn post(url: &'a str, body: &'a [u8]) -> Self {
        Self { method: "POST", url, headers: &[], body, timeout_ms: 10_000 }
    }
}

/// A header line, `Name: value`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Header<'a> {
    header: MvHttpHeader,
    line: PhantomData<&'a str>,
}

impl<'a> Header<'a> {
    /// The header with this line.
    pub const fn new(line: &'a str) -> Self {
        Self { header: MvHttpHeader { length: line.len() as u32, data: line.as_ptr() }, line: PhantomData }
    }
}

impl Exchange {
    /// Opens a channel for one exchange.
    pub fn open<const RECEIVE: usize, const SEND: usize>(
        network: &Network,
        centre: &'static Centre,
        buffers: &'static Buffers<RECEIVE, SEND>,
    ) -> Result<Self> {
        Channel::open(MV_CHANNELTYPE_HTTP, network, centre, buffers).map(Self)
    }

    /// The channel: whether it is lost, and waiting for it.
    pub fn channel(&self) -> &Channel {
        &self.0
    }

    /// Makes the request.
    pub fn send(&self, request: &Request<'_>) -> Result<()> {
        let request = MvHttpRequest {
            method: MvSizedString::new(request.method.as_bytes()),
            url: MvSizedString::new(request.url.as_bytes()),
            num_headers: request.headers.len() as u32,
            headers: request.headers.as_ptr().cast(),
            body: MvSizedString::new(request.body),
            timeout_ms: request.timeout_ms,
        };
        // SAFETY: everything the request points to outlives the call; `Header` has the layout of what it holds.
        unsafe { sys::mvSendHttpRequest(self.0.handle(), &raw const request) }.ok()
    }

    /// The response, once the channel is readable: its result, status, and how much there is of the rest.
    pub fn response(&self) -> Result<MvHttpResponseData> {
        let mut data =
            MvHttpResponseData { result: MvHttpResult(0), status_code: 0, num_headers: 0, body_length: 0 };
        // SAFETY: writes the response.
        unsafe { sys::mvReadHttpResponseData(self.0.handle(), &raw mut data) }.ok()?;
        Ok(data)
    }

    /// Reads a header line into the buffer, which is filled up with zeros, and gives the line.
    pub fn header<'b>(&self, index: u32, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
        let (data, size) = (buffer.as_mut_ptr(), buffer.len() as u32);
        buffer.fill(0);
        // SAFETY: writes to the buffer.
        unsafe { sys::mvReadHttpResponseHeader(self.0.handle(), index, data, size) }.ok()?;
        let length = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
        Ok(buffer.get(..length).unwrap_or_default())
    }

    /// Reads the body from an offset on, as much as the buffer holds; [`Exchange::response`] has its length.
    pub fn body(&self, offset: u32, buffer: &mut [u8]) -> Result<()> {
        let (data, size) = (buffer.as_mut_ptr(), buffer.len() as u32);
        // SAFETY: writes to the buffer.
        unsafe { sys::mvReadHttpResponseBody(self.0.handle(), offset, data, size) }.ok()
    }
}
