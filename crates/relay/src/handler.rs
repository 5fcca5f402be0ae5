//! What the protocols of channels have in common.

use link::Violation;
use link::channel::{ChannelType, ClosureReason};
use sansio::Instant;

use crate::context::Context;

/// How far a channel is that the relay closes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClosingStep {
    /// It does not close, or something has to be sent first.
    Waiting,
    /// Its last response has just been queued.
    Responded,
    /// Everything has been sent: the channel is closed for this reason.
    Done(ClosureReason),
}

/// The part of a channel that is specific to its protocol. A protocol implements what it needs.
pub(crate) trait Handler {
    /// The type of channel it handles.
    fn channel_type(&self) -> ChannelType;

    /// Processes a whole item from the device.
    ///
    /// # Errors
    /// The item is malformed, or not one of this type of channel.
    fn on_item(&mut self, kind: u8, body: &[u8], cx: &mut Context<'_>) -> Result<(), Violation>;

    /// The device has closed the channel, or the link has ended: its responses are no longer needed.
    fn abandon(&mut self, cx: &mut Context<'_>);

    /// [`Handler::next_timeout`] may have been reached.
    fn on_timeout(&mut self, _cx: &mut Context<'_>) {}

    /// Does everything that can be done now.
    fn advance(&mut self, _cx: &mut Context<'_>) {}

    /// Takes the next step towards the end of a channel that the relay closes by itself.
    fn finish_closing(&mut self, _cx: &mut Context<'_>) -> ClosingStep {
        ClosingStep::Waiting
    }

    /// When [`Handler::on_timeout`] is due, if ever.
    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Whether a response is pending that will come without the application doing anything.
    fn has_pending_requests(&self) -> bool {
        false
    }

    /// Bytes that a connection has not accepted yet.
    fn unsent_bytes(&self) -> usize {
        0
    }

    /// Bytes of messages and requests in memory, those of [`Handler::unsent_bytes`] included.
    fn buffered_bytes(&self) -> usize {
        0
    }

    /// Bytes of topic names in memory.
    fn topic_bytes(&self) -> usize {
        0
    }
}
