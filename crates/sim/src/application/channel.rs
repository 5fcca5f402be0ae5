//! One channel as its application sees it, and its life.

use std::collections::BTreeMap;

use abi::channel::{ChannelType, OpenChannelParams};
use abi::strings::SizedString;
use abi::{Call, Status};

use super::{Application, Context, RING, RINGS};

/// What a channel owes its application: each accepted request exactly one answer.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub connect: bool,
    /// By correlation id: the publish's serial number.
    pub publishes: BTreeMap<u32, u64>,
    pub subscribe: Option<u32>,
    pub unsubscribe: Option<u32>,
    pub disconnect: bool,
    pub fetch: bool,
}

impl Owed {
    pub(super) fn is_nothing(&self) -> bool {
        let any = self.connect || self.disconnect || self.fetch;
        !any && self.publishes.is_empty() && self.subscribe.is_none() && self.unsubscribe.is_none()
    }
}

/// How far a channel is with its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No connect was asked for.
    New,
    /// It was.
    Asked,
    /// The broker accepted.
    Connected,
    /// It did not, or is gone.
    Over,
}

/// An open channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub handle: u32,
    pub tag: u32,
    pub is_config: bool,
    pub stage: Stage,
    pub subscribed: bool,
    pub owed: Owed,
    /// Messages read and not acknowledged: correlation id, serial number.
    pub unacknowledged: Vec<(u32, u64)>,
    pub asked_fetch: bool,
}

impl Channel {
    pub(super) fn is_settled(&self) -> bool {
        let done = self.unacknowledged.is_empty() && self.owed.is_nothing();
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
            send_buffer_len: cx.chance.of(&[512, 1024, RING]),
            channel_type: channel_type.raw(),
            endpoint: SizedString::default(),
        };
        let (params, to) = (cx.machine.put(&params.to_bytes()), cx.machine.room(4));
        match cx.machine.call(Call::OpenChannel, &[params, to]) {
            Status::Okay => {}
            Status::NetworkNotConnected | Status::RateLimited | Status::TooManyChannels => return,
            other => panic!("mvOpenChannel: {other:?}"),
        }
        self.next_tag += 1;
        let handle = cx.machine.u32(to);
        cx.trace.say(cx.machine.now(), self.device, || format!("opens channel {slot}, tag {tag}"));
        self.channels[slot] = Some(Channel {
            handle,
            tag,
            is_config,
            stage: Stage::New,
            subscribed: false,
            owed: Owed::default(),
            unacknowledged: Vec::new(),
            asked_fetch: false,
        });
    }

    /// Closes a channel, whatever it still owes.
    pub(super) fn close(&mut self, slot: usize, cx: &mut Context<'_>) {
        let Some(channel) = self.channels[slot].take() else { return };
        let variable = cx.machine.put(&channel.handle.to_le_bytes());
        assert_eq!(cx.machine.call(Call::CloseChannel, &[variable]), Status::Okay);
        assert_eq!(cx.machine.u32(variable), 0);
        cx.trace.say(cx.machine.now(), self.device, || format!("closes channel {slot}"));
    }

    /// The channel has ended and all was read: then nothing may be owed.
    pub(super) fn ended(&mut self, slot: usize, cx: &mut Context<'_>) {
        let channel = self.channels[slot].as_mut().expect("an open channel");
        // The end is the only answer a fetch gets that is lost with its channel (N66).
        channel.owed.fetch = false;
        assert!(
            channel.owed.is_nothing(),
            "device {}: the end came before an answer: {channel:?}",
            self.device
        );
        let to = cx.machine.room(4);
        assert_eq!(cx.machine.call(Call::GetChannelClosureReason, &[channel.handle, to]), Status::Okay);
        self.close(slot, cx);
    }

    /// Whether a channel that has nothing to read has ended.
    pub(super) fn is_over(&mut self, slot: usize, cx: &mut Context<'_>) -> bool {
        let channel = self.channels[slot].as_ref().expect("an open channel");
        let to = cx.machine.room(4);
        match cx.machine.call(Call::GetChannelClosureReason, &[channel.handle, to]) {
            Status::Okay => cx.machine.u32(to) != 0,
            other => panic!("mvGetChannelClosureReason: {other:?}"),
        }
    }
}
