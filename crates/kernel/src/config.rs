//! One configuration fetch: its keys are sent once, its values stay readable until the channel is closed.

pub(crate) mod calls;

use abi::Status;
use link::config::{ConfigHead, FetchResult, KeyResult};
use link::kind::to_device;
use link::{Fragment, Violation, violation};

use crate::channel_core::ChannelCore;
use crate::inbox::{Progress, receive_item};
use crate::limits::MAX_CONFIG_KEYS;
use crate::memory::Memory;

/// The state of a configuration channel.
pub(crate) struct Config {
    stage: Stage,
    /// Number of keys in the request.
    requested: u8,
    result: FetchResult,
    /// Result and value length of each key. The receive ring contains the values one after another.
    items: [(KeyResult, u32); MAX_CONFIG_KEYS],
    count: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request has been sent.
    Idle,
    InFlight,
    /// The head of the response has arrived, its values have not yet.
    Receiving,
    Complete,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Idle,
            requested: 0,
            result: FetchResult::Ok,
            items: [(KeyResult::Ok, 0); MAX_CONFIG_KEYS],
            count: 0,
        }
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
        if fragment.kind != to_device::CONFIG_RESPONSE {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let on_head = |head| self.on_head(&head);
        let received = receive_item(&mut core.inbox, memory, fragment, ConfigHead::decode, on_head)?;
        if let Some(length) = received.item {
            if u64::from(length) != self.total_length() {
                return Err(violation::BYTES_LEFT_OVER);
            }
            self.stage = Stage::Complete;
        }
        Ok(Progress { stored: received.stored, announce: received.item.is_some() })
    }

    fn on_head(&mut self, head: &ConfigHead) -> Result<(), Violation> {
        if self.stage != Stage::InFlight {
            return Err(violation::UNEXPECTED_ANSWER);
        }
        let items = head.items();
        if head.result == FetchResult::Ok && items.len() != usize::from(self.requested) {
            return Err(violation::WRONG_COUNT);
        }
        self.items[..items.len()].copy_from_slice(items);
        (self.stage, self.result, self.count) = (Stage::Receiving, head.result, items.len() as u8);
        Ok(())
    }

    fn items(&self) -> &[(KeyResult, u32)] {
        &self.items[..usize::from(self.count)]
    }

    fn total_length(&self) -> u64 {
        self.items().iter().map(|(_, length)| u64::from(*length)).sum()
    }

    /// Reads need the complete response.
    fn require_complete(&self, core: &ChannelCore) -> Result<(), Status> {
        if self.is_complete() { Ok(()) } else { Err(core.status_when_empty()) }
    }
}
