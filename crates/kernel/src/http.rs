//! One HTTP exchange: the request is sent once, the response stays readable until the channel is closed.
//!
//! The kernel does not judge method, scheme, headers or timeout: the cloud does, and its verdict is the result of an
//! accepted request (D60), so that the rules can change without new firmware.

pub(crate) mod calls;

use abi::Status;
use link::http::{HttpResult, ResponseHead};
use link::kind::to_device;
use link::{Fragment, Violation, violation};

use crate::channel_core::ChannelCore;
use crate::inbox::{Progress, receive_item};
use crate::limits::MAX_RESPONSE_HEADERS;
use crate::memory::Memory;

/// The state of an HTTP channel.
pub(crate) struct Http {
    stage: Stage,
    response: Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request has been sent.
    Idle,
    InFlight,
    /// The head of the response has arrived, its content has not yet.
    Receiving,
    Complete,
}

/// The response as far as it is not in the receive ring.
struct Response {
    result: HttpResult,
    status: u32,
    /// Length of each header line. The receive ring contains the lines one after another, then the body.
    headers: [u32; MAX_RESPONSE_HEADERS],
    header_count: u8,
    body_length: u32,
}

impl Http {
    pub(crate) fn new() -> Self {
        let headers = [0; MAX_RESPONSE_HEADERS];
        let response =
            Response { result: HttpResult::Ok, status: 0, headers, header_count: 0, body_length: 0 };
        Self { stage: Stage::Idle, response }
    }

    /// Whether the whole response is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Receives a fragment of the response. Only the complete response is announced, because applications read one item
    /// per event (D12).
    #[inline(never)] // Its head takes a kilobyte of stack, which messages need not pay for.
    pub(crate) fn on_fragment(
        &mut self,
        core: &mut ChannelCore,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
    ) -> Result<Progress, Violation> {
        if fragment.kind != to_device::HTTP_RESPONSE {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let on_head = |head| self.on_head(&head);
        let received = receive_item(&mut core.inbox, memory, fragment, ResponseHead::decode, on_head)?;
        if let Some(length) = received.item {
            let headers = self.response.header_length(usize::from(self.response.header_count));
            self.response.body_length = length.checked_sub(headers).ok_or(violation::BODY_TOO_SHORT)?;
            self.stage = Stage::Complete;
        }
        Ok(Progress { stored: received.stored, announce: received.item.is_some() })
    }

    fn on_head(&mut self, head: &ResponseHead) -> Result<(), Violation> {
        if self.stage != Stage::InFlight {
            return Err(violation::UNEXPECTED_ANSWER);
        }
        let lengths = head.header_lengths();
        self.response.headers[..lengths.len()].copy_from_slice(lengths);
        self.response.header_count = lengths.len() as u8;
        (self.response.result, self.response.status) = (head.result, head.status);
        self.stage = Stage::Receiving;
        Ok(())
    }

    /// The response, which must be complete to be read.
    fn response(&self, core: &ChannelCore) -> Result<&Response, Status> {
        if self.is_complete() { Ok(&self.response) } else { Err(core.status_when_empty()) }
    }

    /// The response, which must be complete and successful: a failed one has neither headers nor a body, so reading
    /// them is refused rather than answered with nothing (D61).
    fn successful_response(&self, core: &ChannelCore) -> Result<&Response, Status> {
        let response = self.response(core)?;
        if response.result == HttpResult::Ok { Ok(response) } else { Err(Status::RequestUnsuccessful) }
    }
}

impl Response {
    fn headers(&self) -> &[u32] {
        &self.headers[..usize::from(self.header_count)]
    }

    /// Length of the first `count` header lines. It saturates, since lengths that exceed the ring are found out when
    /// the content arrives.
    fn header_length(&self, count: usize) -> u32 {
        self.headers()[..count].iter().fold(0, |sum, length| u32::saturating_add(sum, *length))
    }
}
