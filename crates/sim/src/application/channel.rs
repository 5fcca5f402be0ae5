//! One channel as its application sees it, from opening to closing.

use std::collections::BTreeMap;

use abi::channel::{ChannelType, OpenChannelParams};
use abi::strings::SizedString;
use abi::{Call, Status};

use super::{Application, Context, RING, RINGS};

/// Requests that have no answer yet, remembered because each accepted request gets exactly one (M12).
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub connect: bool,
    /// By correlation id: the publish's serial number.
    pub publishes: BTreeMap<u32, u64>,
    pub subscribe: Option<u32>,
    pub unsubscribe: Option<u32>,
    pub disconnect: bool,
    pub fetch: bool,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let any = self.connect || self.disconnect || self.fetch;
        !any && self.publishes.is_empty() && self.subscribe.is_none() && self.unsubscribe.is_none()
    }
}

/// How far a channel is with its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There has been no connect request.
    New,
    /// A connect request has no answer yet.
    Connecting,
    /// The broker has accepted.
    Connected,
    /// The broker has refused, or the connection has ended.
    Disconnected,
}

/// An open channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub handle: u32,
    pub tag: u32,
    pub is_config: bool,
    pub stage: Stage,
    pub subscribed: bool,
    pub pending: Pending,
    /// Messages read and not acknowledged: correlation id, serial number.
    pub unacknowledged: Vec<(u32, u64)>,
    pub has_fetched: bool,
}

impl Channel {
    pub(super) fn is_settled(&self) -> bool {
        let done = self.unacknowledged.is_empty() && self.pending.is_empty();
        done && self.stage == Stage::Connected && self.subscribed
    }
}

impl Application {
    /// Opens the channel of this slot, if the kernel allows it.
    pub(super) fn open(&mut self, slot: usize, cx: &mut Context<'_>) {
        let is_config = slot == 2;
        let channel_type = if is_config { ChannelType::ConfigFetch } else { ChannelType::Mqtt };
        let receive_buffer = RINGS + slot as u32 * 2 * RING;
        let tag = self.next_tag;
        let params = OpenChannelParams {
            version: 1,
            notification_handle: self.centre,
            notification_tag: tag,
            network_handle: self.network,
            receive_buffer,
            receive_buffer_len: RING,
            send_buffer: receive_buffer + RING,
            send_buffer_len: cx.rng.pick(&[512, 1024, RING]),
            channel_type: channel_type.raw(),
            endpoint: SizedString::default(),
        };
        let (params, to) = (cx.host.put(&params.to_bytes()), cx.host.allocate(4));
        match cx.host.call(Call::OpenChannel, &[params, to]) {
            Status::Okay => {}
            Status::NetworkNotConnected | Status::RateLimited | Status::TooManyChannels => return,
            other => panic!("mvOpenChannel: {other:?}"),
        }
        self.next_tag += 1;
        let handle = cx.host.u32(to);
        cx.trace.record(cx.host.now(), self.device, || format!("opens channel {slot}, tag {tag}"));
        self.channels[slot] = Some(Channel {
            handle,
            tag,
            is_config,
            stage: Stage::New,
            subscribed: false,
            pending: Pending::default(),
            unacknowledged: Vec::new(),
            has_fetched: false,
        });
    }

    /// Closes a channel, whatever is pending.
    pub(super) fn close(&mut self, slot: usize, cx: &mut Context<'_>) {
        let Some(channel) = self.channels[slot].take() else { return };
        let variable = cx.host.put(&channel.handle.to_le_bytes());
        assert_eq!(cx.host.call(Call::CloseChannel, &[variable]), Status::Okay);
        assert_eq!(cx.host.u32(variable), 0);
        cx.trace.record(cx.host.now(), self.device, || format!("closes channel {slot}"));
    }

    /// The channel has ended and everything has been read: nothing may be pending.
    pub(super) fn ended(&mut self, slot: usize, cx: &mut Context<'_>) {
        let channel = self.channels[slot].as_mut().expect("an open channel");
        // A fetch that is lost with its channel gets no other answer than the end (N66).
        channel.pending.fetch = false;
        assert!(
            channel.pending.is_empty(),
            "device {}: the channel ended before an answer: {channel:?}",
            self.device
        );
        let to = cx.host.allocate(4);
        assert_eq!(cx.host.call(Call::GetChannelClosureReason, &[channel.handle, to]), Status::Okay);
        self.close(slot, cx);
    }

    /// Whether a channel that has nothing to read has ended.
    pub(super) fn is_over(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        let channel = self.channels[slot].as_ref().expect("an open channel");
        let to = cx.host.allocate(4);
        match cx.host.call(Call::GetChannelClosureReason, &[channel.handle, to]) {
            Status::Okay => cx.host.u32(to) != 0,
            other => panic!("mvGetChannelClosureReason: {other:?}"),
        }
    }
}
