//! System calls that were refused: the first of each kind is reported, also without a trace.

mod handles;
mod reason;

use std::collections::BTreeSet;

use abi::{Call, Status};
pub use handles::{Handles, Resource, channel_name};
pub use reason::Refusal;

use super::trace::decode;

/// Most characters of a refused call's arguments.
const MAX_CHARACTERS: usize = 300;

/// Most kinds of refusals that are reported between two starts of the device.
const MAX_KINDS: usize = 64;

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCall {
    /// The call.
    pub call: Call,
    /// What it answered.
    pub status: Status,
    /// Names and values of its arguments as a trace shows them: of credentials and contents only lengths, because
    /// timelines are stored and shared (D137).
    pub arguments: String,
    /// Which arguments are to blame, and why, where that is known.
    pub reason: Option<String>,
}

impl RefusedCall {
    /// What the status means, for where no reason is known.
    pub fn meaning(&self) -> &'static str {
        reason::meaning(self.status)
    }
}

/// Which kinds have been reported.
#[derive(Debug, Default)]
pub struct RefusedCalls(BTreeSet<(u32, u32)>);

impl RefusedCalls {
    /// The refused call to report, if its status is a refusal and the first of this call with this status.
    pub fn note(&mut self, refusal: &Refusal<'_>) -> Option<RefusedCall> {
        let Refusal { call, registers, status, memory, .. } = *refusal;
        let is_full = self.0.len() >= MAX_KINDS;
        if !is_refusal(status) || is_full || !self.0.insert((call.slot(), status.raw())) {
            return None;
        }
        let fields = decode::arguments(call, registers, memory);
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let arguments = fields.join(", ").chars().take(MAX_CHARACTERS).collect();
        let reason = refusal.reason().map(|reason| reason.chars().take(MAX_CHARACTERS).collect());
        Some(RefusedCall { call, status, arguments, reason })
    }
}

/// Whether a status is a refusal. What is not there yet is none, and neither is what an application finds out in this
/// way in normal operation: that the network is not connected (yet), and that a channel has ended.
fn is_refusal(status: Status) -> bool {
    !matches!(
        status,
        Status::Okay
            | Status::ResponseNotPresent
            | Status::TimeNotSet
            | Status::NetworkNotConnected
            | Status::ChannelClosed
    )
}

#[cfg(test)]
mod tests;
