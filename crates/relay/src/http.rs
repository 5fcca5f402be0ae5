//! HTTP exchanges: not carried yet, and said so to the application.

use crate::outbox::{Item, Outbox};
use link::http::{HttpRequest, HttpResult, ResponseHead};
use link::kind::to_device;
use link::{Violation, violation};

/// A channel for one exchange.
#[derive(Debug)]
pub struct HttpChannel;

impl HttpChannel {
    /// Answers a request as failed: every accepted request gets an answer, and this one is true.
    pub fn item(body: &[u8], outbox: &mut Outbox) -> Result<(), Violation> {
        HttpRequest::decode(body)?;
        let head = ResponseHead::new(HttpResult::RequestFailed, 0, &[]).ok_or(violation::WRONG_COUNT)?;
        let mut bytes = [0; ResponseHead::MAX];
        let length = head.encode(&mut bytes);
        outbox.push(Item::answer(to_device::HTTP_RESPONSE, &bytes[..length]));
        Ok(())
    }
}
