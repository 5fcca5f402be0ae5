//! Which requests of a channel have no answer yet: the same count at both ends.

use crate::kind::{to_cloud, to_device};
use crate::limits::PUBLISH_SLOTS;
use crate::violation::{self, Violation};

/// The requests of one channel without their answer (link.md §5.2). Each end counts them, so that neither has to trust
/// the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingRequests {
    publishes: u8,
    connects: u8,
    /// Kinds of which one request is in flight, as bits.
    in_flight: u16,
    /// Kinds a channel may request only once: those it has, as bits.
    once: u16,
    /// `DISCONNECTED` has been sent without a request.
    broker_ended: bool,
}

impl PendingRequests {
    /// Of a new channel.
    pub(crate) const NONE: Self =
        Self { publishes: 0, connects: 0, in_flight: 0, once: 0, broker_ended: false };

    /// A request of this kind is sent or received.
    pub(crate) fn begin(&mut self, kind: u8) -> Result<(), Violation> {
        match kind {
            to_cloud::PUBLISH if self.publishes == PUBLISH_SLOTS => return Err(violation::SLOT_IN_USE),
            to_cloud::PUBLISH => self.publishes += 1,
            // Each CONNECT gets an answer, a second one *already connected*, so several may be in flight.
            to_cloud::CONNECT => {
                self.connects = self.connects.checked_add(1).ok_or(violation::REQUEST_TWICE)?;
            }
            to_cloud::SUBSCRIBE | to_cloud::UNSUBSCRIBE | to_cloud::DISCONNECT => self.mark(kind)?,
            to_cloud::HTTP_REQUEST | to_cloud::CONFIG_FETCH => self.mark_once(kind)?,
            _ => {}
        }
        Ok(())
    }

    /// An answer of this kind is received or sent.
    pub(crate) fn finish(&mut self, kind: u8) -> Result<(), Violation> {
        match kind {
            to_device::PUBLISHED => decrement(&mut self.publishes),
            to_device::CONNECTED => decrement(&mut self.connects),
            to_device::SUBSCRIBED => self.unmark(to_cloud::SUBSCRIBE),
            to_device::UNSUBSCRIBED => self.unmark(to_cloud::UNSUBSCRIBE),
            to_device::HTTP_RESPONSE => self.unmark(to_cloud::HTTP_REQUEST),
            to_device::CONFIG_RESPONSE => self.unmark(to_cloud::CONFIG_FETCH),
            to_device::DISCONNECTED => {
                self.unmark(to_cloud::DISCONNECT).or_else(|broken| self.mark_broker_end(broken))
            }
            _ => Ok(()),
        }
    }

    fn mark(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.in_flight & bit != 0 {
            return Err(violation::REQUEST_TWICE);
        }
        self.in_flight |= bit;
        Ok(())
    }

    fn mark_once(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.once & bit != 0 {
            return Err(violation::REQUEST_TWICE);
        }
        self.once |= bit;
        self.mark(kind)
    }

    fn unmark(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.in_flight & bit == 0 {
            return Err(violation::UNEXPECTED_ANSWER);
        }
        self.in_flight &= !bit;
        Ok(())
    }

    /// `DISCONNECTED` without a request says that the broker ended the connection. That happens once.
    fn mark_broker_end(&mut self, broken: Violation) -> Result<(), Violation> {
        if core::mem::replace(&mut self.broker_ended, true) { Err(broken) } else { Ok(()) }
    }
}

fn decrement(count: &mut u8) -> Result<(), Violation> {
    *count = count.checked_sub(1).ok_or(violation::UNEXPECTED_ANSWER)?;
    Ok(())
}
