//! The handles an application holds, as far as its own calls show them: a handle that is refused can then be
//! distinguished from one that was closed, is of another kind, or was never set.

use std::collections::{BTreeMap, VecDeque};

use abi::Call;
use abi::channel::ChannelType;

/// Most handles that were closed and are remembered.
const MAX_CLOSED: usize = 32;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A notification centre.
    NotificationCentre,
    /// A request for the network.
    Network,
    /// A channel.
    Channel {
        /// What it carries.
        carries: ChannelType,
        /// Bytes of its send buffer.
        send_buffer: u32,
    },
    /// A registration for system events.
    SystemEvents,
    /// The external flash.
    ExternalFlash,
}

impl Resource {
    /// With its article, for a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotificationCentre => "a notification centre",
            Self::Network => "a network",
            Self::Channel { carries, .. } => channel_name(carries),
            Self::SystemEvents => "a registration for system events",
            Self::ExternalFlash => "the external flash",
        }
    }

    /// Whether a handle of this C type may stand for it.
    fn is_of(self, type_name: &str) -> bool {
        let expected = match self {
            Self::NotificationCentre => "MvNotificationHandle",
            Self::Network => "MvNetworkHandle",
            Self::Channel { .. } => "MvChannelHandle",
            Self::SystemEvents => "MvSystemEventHandle",
            Self::ExternalFlash => "MvExternalFlashHandle",
        };
        type_name.trim_end_matches(" *") == expected
    }
}

/// Handles that are open, and some that were closed.
#[derive(Debug, Default)]
pub struct Handles {
    open: BTreeMap<u32, Resource>,
    closed: VecDeque<u32>,
}

impl Handles {
    /// A call has returned this handle.
    pub fn opened(&mut self, handle: u32, resource: Resource) {
        self.open.insert(handle, resource);
    }

    /// A call has closed this handle. Returns what it stood for.
    pub fn closed(&mut self, handle: u32) -> Option<Resource> {
        let resource = self.open.remove(&handle)?;
        if self.closed.len() == MAX_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(handle);
        Some(resource)
    }

    /// The application has restarted: it holds no handle yet.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes of the send buffer of this channel.
    pub fn send_buffer(&self, handle: u32) -> Option<u32> {
        match self.open.get(&handle)? {
            Resource::Channel { send_buffer, .. } => Some(*send_buffer),
            _ => None,
        }
    }

    /// Why `call` cannot use `handle`, which it takes as a `type_name`; `None` if nothing speaks against it.
    pub fn error(&self, call: Call, type_name: &str, handle: u32) -> Option<String> {
        if handle == 0 {
            return Some("is 0: it was not set by a call that succeeded, or has been closed".into());
        }
        let Some(resource) = self.open.get(&handle) else {
            let why = if self.closed.contains(&handle) {
                "has been closed"
            } else {
                "is not a handle of this application: it was never returned to it, or is older than its last restart"
            };
            return Some(format!("{handle:#x} {why}"));
        };
        let is_usable = match (resource, needed_channel(call)) {
            (Resource::Channel { carries, .. }, Some(needed)) => *carries == needed,
            _ => resource.is_of(type_name),
        };
        (!is_usable).then(|| format!("{handle:#x} is {}", resource.name()))
    }
}

/// What kind of channel a call is for; `None` if it takes every kind, or none.
fn needed_channel(call: Call) -> Option<ChannelType> {
    let name = call.name();
    match call {
        Call::ReadChannel | Call::ReadChannelComplete | Call::WriteChannel | Call::WriteChannelStream => {
            Some(ChannelType::OpaqueBytes)
        }
        _ if name.starts_with("mvMqtt") => Some(ChannelType::Mqtt),
        _ if name.contains("Http") => Some(ChannelType::Http),
        _ if name.contains("Config") && !name.contains("Wifi") => Some(ChannelType::ConfigFetch),
        _ => None,
    }
}

/// A channel by what it carries, with an article.
pub fn channel_name(carries: ChannelType) -> &'static str {
    match carries {
        ChannelType::OpaqueBytes => "an opaque-bytes channel",
        ChannelType::Http => "an HTTP channel",
        ChannelType::ConfigFetch => "a configuration channel",
        ChannelType::Mqtt => "an MQTT channel",
    }
}
