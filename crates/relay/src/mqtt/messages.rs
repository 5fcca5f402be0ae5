//! Messages from a broker as items for the device.

use link::kind::to_device;
use link::mqtt::{LostHead, LostReason, MessageHead};
use mqtt::Message;

use crate::context::Context;
use crate::outbox::Item;
use crate::protocol::Notice;

/// The message could never fit the application's receive buffer, or an item of the link.
pub(super) struct NeverFits;

/// Queues a message for the device. One that could never fit is reported to it as lost (D49).
pub(super) fn deliver(message: &Message, cx: &mut Context<'_>) -> Result<(), NeverFits> {
    let (topic, payload) = (message.topic.as_bytes(), message.payload.as_slice());
    let delivery = message.delivery.map(u32::from);
    let mut head = [0; MessageHead::MAX];
    let length =
        MessageHead { delivery, retain: message.retain, topic: topic.len() as u32 }.encode(&mut head);
    let content = topic.len() + payload.len();
    if content > cx.ring as usize || length + content > link::MAX_ITEM as usize {
        report_lost(&message.topic, payload.len(), cx);
        return Err(NeverFits);
    }
    cx.outbox.push(Item::with_content(to_device::MESSAGE, &head[..length], &[topic, payload]));
    cx.counts().note_delivered(message.qos);
    cx.notice(|channel| Notice::Delivered {
        channel,
        topic: message.topic.clone(),
        length: payload.len(),
        qos: message.qos,
    });
    Ok(())
}

/// Queues the report of a message that could never fit. Its topic is cut to the receive buffer (link.md §6).
pub(super) fn report_lost(topic: &str, message_length: usize, cx: &mut Context<'_>) {
    let mut head = [0; LostHead::MAX];
    let message_len = u32::try_from(message_length).unwrap_or(u32::MAX);
    let length = LostHead { reason: LostReason::ReceiveBufferTooSmall, message_len }.encode(&mut head);
    cx.counts().lost += 1;
    let cut = &topic.as_bytes()[..topic.len().min(cx.ring as usize)];
    cx.outbox.push(Item::with_content(to_device::LOST, &head[..length], &[cut]));
    cx.notice(|channel| Notice::MessageLost { channel, topic: topic.into(), length: message_length });
}
