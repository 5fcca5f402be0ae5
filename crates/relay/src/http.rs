//! An HTTP exchange: its request is checked here, sent by the driver, and its response put into an item.

mod request_check;

use alloc::vec::Vec;

use link::channel::ChannelType;
use link::http::{self as frame, HttpResult, ResponseHead};
use link::kind::{to_cloud, to_device};
use link::{Violation, violation};

use crate::context::Context;
use crate::handler::Handler;
use crate::outbox::Item;
use crate::protocol::{ExchangeId, HttpError, HttpOutcome, HttpRequest, HttpResponse, Notice, Output};

/// A channel for one exchange. The link allows one request a channel.
#[derive(Default)]
pub(crate) struct HttpChannel {
    /// The exchange in progress.
    exchange: Option<ExchangeId>,
}

impl Handler for HttpChannel {
    fn channel_type(&self) -> ChannelType {
        ChannelType::Http
    }

    fn on_item(&mut self, kind: u8, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation> {
        if kind != to_cloud::HTTP_REQUEST {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        self.on_request(&frame::HttpRequest::decode(body)?, cx);
        Ok(())
    }

    fn abandon(&mut self, cx: &mut Context<'_>) {
        if let Some(exchange) = self.exchange.take() {
            cx.output(Output::CancelHttp { exchange });
        }
    }
}

impl HttpChannel {
    /// The exchange in progress.
    pub(crate) fn exchange(&self) -> Option<ExchangeId> {
        self.exchange
    }

    /// Hands the request to the driver, or responds why it is not sent. That is a result of the request and no
    /// violation, because the kernel has accepted the call (D60).
    fn on_request(&mut self, request: &frame::HttpRequest<'_>, cx: &mut Context<'_>) {
        match request_check::check(request, max_response_length(cx.ring)) {
            Ok(request) => self.send(request, cx),
            Err(rejection) => {
                cx.notice(|channel| Notice::RequestRefused {
                    channel,
                    request: "HTTP request",
                    reason: rejection.text(),
                });
                respond_without_content(rejection.result(), cx);
            }
        }
    }

    fn send(&mut self, request: HttpRequest, cx: &mut Context<'_>) {
        let exchange = cx.new_exchange();
        self.exchange = Some(exchange);
        let method = request.method;
        cx.notice(|channel| Notice::HttpRequested { channel, method, url: request.url.clone() });
        cx.output(Output::HttpRequest { exchange, request });
    }

    /// Responds with the result of the exchange.
    pub(crate) fn on_outcome(&mut self, outcome: HttpOutcome, cx: &mut Context<'_>) {
        self.exchange = None;
        match outcome {
            HttpOutcome::Response(response) => respond(response, cx),
            HttpOutcome::TooLarge => respond_too_large(cx),
            HttpOutcome::Failed(error) => {
                cx.notice(|channel| Notice::HttpFailed { channel, error });
                respond_without_content(HttpResult::RequestFailed, cx);
            }
        }
    }
}

/// Bytes of headers and body a response may have: what the receive buffer takes, and what one item of the link does.
fn max_response_length(ring: u32) -> u32 {
    ring.min(link::MAX_ITEM - ResponseHead::MAX as u32)
}

fn respond(response: HttpResponse, cx: &mut Context<'_>) {
    let Some(item) = response_item(&response, max_response_length(cx.ring)) else {
        return respond_too_large(cx);
    };
    let HttpResponse { status, body, ignored, .. } = response;
    if !ignored.is_empty() {
        cx.notice(|channel| Notice::HttpHeadersIgnored { channel, names: ignored });
    }
    cx.notice(|channel| Notice::HttpAnswered { channel, status, length: body.len() });
    cx.outbox.push(item);
}

fn respond_too_large(cx: &mut Context<'_>) {
    cx.notice(|channel| Notice::HttpFailed { channel, error: HttpError::TooLarge });
    respond_without_content(HttpResult::ResponseTooLarge, cx);
}

/// Responds with a result alone: status 0, no headers, no body.
fn respond_without_content(result: HttpResult, cx: &mut Context<'_>) {
    cx.respond(to_device::HTTP_RESPONSE, &[result.code(), 0, 0]);
}

/// A response as an item; `None` when it has too many headers or more than `max_length` bytes.
fn response_item(response: &HttpResponse, max_length: u32) -> Option<Item> {
    if response.length() > max_length as usize {
        return None;
    }
    let lines: Vec<Vec<u8>> = response.headers.iter().map(|(name, value)| header_line(name, value)).collect();
    let lengths: Vec<u32> = lines.iter().map(|line| line.len() as u32).collect();
    let head = ResponseHead::new(HttpResult::Ok, u32::from(response.status), &lengths)?;
    let mut bytes = [0; ResponseHead::MAX];
    let length = head.encode(&mut bytes);
    let lines = lines.iter().map(Vec::as_slice);
    let content: Vec<&[u8]> = lines.chain([response.body.as_slice()]).collect();
    Some(Item::with_content(to_device::HTTP_RESPONSE, &bytes[..length], &content))
}

/// `name: value`, the form in which applications read a header (D60).
fn header_line(name: &str, value: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b": ", value].concat()
}
