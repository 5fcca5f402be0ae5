//! Received messages: which item is next, reading and acknowledging messages, notices of lost ones.

use abi::Status;
use abi::mqtt::{MqttLostMessageInfo, MqttMessage, MqttReadableDataType};
use abi::notifications::EventType;
use link::DeviceLink;

use super::Readable;
use crate::channel::Channels;
use crate::channel_core::ChannelCore;
use crate::memory::{MemoryFault, OutParam, Phase as _, read_struct};
use crate::notifications::Notifications;
use crate::port::Port;
use crate::strings::StringOutParam;

/// Where the parts of a message go.
struct MessageOutParams {
    correlation: OutParam<4>,
    topic: StringOutParam,
    payload: StringOutParam,
    qos: OutParam<4>,
    retain: OutParam<1>,
}

impl MessageOutParams {
    fn check_map(message: &MqttMessage) -> Result<Self, MemoryFault> {
        Ok(Self {
            correlation: OutParam::check_map(message.correlation_id)?,
            topic: StringOutParam::check_map(message.topic)?,
            payload: StringOutParam::check_map(message.payload)?,
            qos: OutParam::check_map(message.qos)?,
            retain: OutParam::check_map(message.retain)?,
        })
    }
}

/// `mvMqttGetNextReadableDataType`: the head of the one queue of readable items, so that the application reads them in
/// the order of their arrival (D44).
pub(crate) fn next_readable(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    let data_type = match mqtt.readable.front() {
        Some(first) => first.data_type(),
        None => core.require_connected().map(|()| MqttReadableDataType::None)?,
    };
    to.write_u32(port.memory, data_type.raw()).early()
}

/// `mvMqttReceiveMessage`. A message that does not fit the application's buffers stays readable, so that the
/// application can come back with larger ones (D04).
pub(crate) fn receive(
    channels: &mut Channels,
    link: &mut DeviceLink,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    message: u32,
) -> Result<(), Status> {
    let message: MqttMessage = read_struct(port.memory, message).early()?;
    let to = MessageOutParams::check_map(&message).late()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    let Some(&Readable::Message { correlation, retain, topic, payload }) = mqtt.readable.front() else {
        return Err(mqtt.status_when_unreadable(core));
    };
    to.topic.check_fits(topic)?;
    to.payload.check_fits(payload)?;

    let ring = core.inbox.ring();
    to.topic.copy_from(port.memory, ring, 0, topic).late()?;
    to.payload.copy_from(port.memory, ring, topic, payload).late()?;
    to.retain.write(port.memory, [u8::from(retain)]).late()?;
    let words = [
        to.topic.length_word(topic),
        to.payload.length_word(payload),
        to.correlation.word(correlation),
        to.qos.word(u32::from(correlation != 0)),
    ];
    port.memory.write_words(&words).late()?;
    // Only after every result is written, so that a faulty pointer leaves the message readable (D04).
    release(link, core, topic + payload);
    if mqtt.finish_read() {
        notifications.post(port, core.target, EventType::ChannelDataReadable);
    }
    Ok(())
}

/// `mvMqttReceiveLostMessageInfo`.
pub(crate) fn receive_lost(
    channels: &mut Channels,
    link: &mut DeviceLink,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    info: u32,
) -> Result<(), Status> {
    let info: MqttLostMessageInfo = read_struct(port.memory, info).early()?;
    let reason_out = OutParam::check_map(info.reason).late()?;
    let topic_out = StringOutParam::check_map(info.topic).late()?;
    let message_len_out = OutParam::check_map(info.message_len).late()?;
    let (core, mqtt) = channels.mqtt(handle)?;
    let Some(&Readable::Lost { reason, message, topic }) = mqtt.readable.front() else {
        return Err(mqtt.status_when_unreadable(core));
    };
    topic_out.check_fits(topic)?;

    topic_out.copy_from(port.memory, core.inbox.ring(), 0, topic).late()?;
    let words =
        [reason_out.word(reason.code().into()), topic_out.length_word(topic), message_len_out.word(message)];
    port.memory.write_words(&words).late()?;
    // Only after every result is written, as for messages (D04).
    release(link, core, topic);
    if mqtt.finish_read() {
        notifications.post(port, core.target, EventType::ChannelDataReadable);
    }
    Ok(())
}

/// `mvMqttAcknowledgeMessage`. Acknowledging a message of QoS 0, which has nothing to acknowledge, is no error:
/// applications that acknowledge everything must not be punished (D83).
pub(crate) fn acknowledge(channels: &mut Channels, handle: u32, correlation: u32) -> Result<(), Status> {
    let (core, mqtt) = channels.mqtt(handle)?;
    core.require_connected()?;
    if !mqtt.acknowledgements.has_room(1) {
        return Err(Status::RateLimited);
    }
    if let Some(delivery) = delivery_number(correlation) {
        mqtt.acknowledgements.push(delivery);
    }
    Ok(())
}

/// Frees the bytes and the slot of an item that has been read, and lets the cloud send as much again.
#[inline]
fn release(link: &mut DeviceLink, core: &mut ChannelCore, bytes: u32) {
    core.inbox.release(bytes);
    if core.is_connected() {
        link.return_credit(core.number, bytes, 1);
    }
}

/// The delivery number of a correlation id; `None` for QoS 0.
fn delivery_number(correlation: u32) -> Option<u32> {
    correlation.checked_sub(1)
}
