//! The part of a channel that does not depend on its protocol: its rings, its link and where its events go.

use abi::Status;
use abi::channel::ClosureReason;

use crate::inbox::Inbox;
use crate::memory::Span;
use crate::notifications::NotificationTarget;
use crate::outbox::Outbox;

/// What every channel has.
pub(crate) struct ChannelCore {
    pub handle: u32,
    /// The network handle it was opened over, which later calls do not name (N07); releasing that handle disconnects
    /// the channel (N77).
    pub network: u32,
    /// Where its events go.
    pub target: NotificationTarget,
    /// Its number on the link, while it is connected.
    pub number: u8,
    /// Why it is no longer connected; `None` while it is.
    pub closure: Option<ClosureReason>,
    pub inbox: Inbox,
    pub outbox: Outbox,
}

impl ChannelCore {
    /// Whether the cloud still has the channel.
    pub(crate) fn is_connected(&self) -> bool {
        self.closure.is_none()
    }

    /// Requests and writes need a connected channel, since their bytes would never leave the ring (N72).
    pub(crate) fn require_connected(&self) -> Result<(), Status> {
        if self.is_connected() { Ok(()) } else { Err(Status::ChannelClosed) }
    }

    /// The status of a read that finds nothing: on a connected channel a response may still arrive, on a closed one
    /// nothing ever will (D31).
    pub(crate) fn status_when_empty(&self) -> Status {
        if self.is_connected() { Status::ResponseNotPresent } else { Status::ChannelClosed }
    }

    /// Whether the span overlaps one of the channel's buffers.
    pub(crate) fn overlaps_buffer(&self, span: Span) -> bool {
        self.outbox.span().overlaps(span) || self.inbox.ring().span().overlaps(span)
    }
}
