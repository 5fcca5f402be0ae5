//! Messages: receiving, acknowledging, and hearing of those that were lost.

use abi::Status;
use abi::mqtt::{MqttLostMessageInfo, MqttMessage};
use abi::notifications::EventType;
use link::DeviceLink;

use super::Readable;
use crate::Kernel;
use crate::channel::Base;
use crate::memory::{MemoryFault, Output, Phase as _, structure};
use crate::port::Port;
use crate::strings::StringOutput;

/// Where the application wants the parts of a message.
struct MessageOutputs {
    correlation: Output<4>,
    topic: StringOutput,
    payload: StringOutput,
    qos: Output<4>,
    retain: Output<1>,
}

impl MessageOutputs {
    fn mapped(message: &MqttMessage) -> Result<Self, MemoryFault> {
        Ok(Self {
            correlation: Output::mapped(message.correlation_id)?,
            topic: StringOutput::mapped(message.topic)?,
            payload: StringOutput::mapped(message.payload)?,
            qos: Output::mapped(message.qos)?,
            retain: Output::mapped(message.retain)?,
        })
    }
}

impl Kernel {
    /// `mvMqttReceiveMessage`. What does not fit stays where it is (D04).
    pub(crate) fn mqtt_receive_message(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        message: u32,
    ) -> Result<(), Status> {
        let message: MqttMessage = structure(port.memory, message).early()?;
        let to = MessageOutputs::mapped(&message).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let Some(&Readable::Message { correlation, retain, topic, payload }) = mqtt.readable.front() else {
            return Err(mqtt.not_readable(base));
        };
        to.topic.fits(topic)?;
        to.payload.fits(payload)?;

        let ring = base.inbox.ring();
        to.topic.put_text(port.memory, ring, 0, topic).late()?;
        to.payload.put_text(port.memory, ring, topic, payload).late()?;
        to.retain.put(port.memory, [u8::from(retain)]).late()?;
        let words = [
            to.topic.length(topic),
            to.payload.length(payload),
            to.correlation.with(correlation),
            to.qos.with(u32::from(correlation != 0)),
        ];
        port.memory.write_words(&words).late()?;
        give_back(&mut self.link, base, topic + payload);
        if mqtt.message_read() {
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    /// `mvMqttReceiveLostMessageInfo`.
    pub(crate) fn mqtt_receive_lost_message(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        info: u32,
    ) -> Result<(), Status> {
        let info: MqttLostMessageInfo = structure(port.memory, info).early()?;
        let reason_to = Output::mapped(info.reason).late()?;
        let topic_to = StringOutput::mapped(info.topic).late()?;
        let message_to = Output::mapped(info.message_len).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let Some(&Readable::Lost { reason, message, topic }) = mqtt.readable.front() else {
            return Err(mqtt.not_readable(base));
        };
        topic_to.fits(topic)?;

        topic_to.put_text(port.memory, base.inbox.ring(), 0, topic).late()?;
        let words = [reason_to.with(reason.code().into()), topic_to.length(topic), message_to.with(message)];
        port.memory.write_words(&words).late()?;
        give_back(&mut self.link, base, topic);
        if mqtt.message_read() {
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
        }
        Ok(())
    }

    /// `mvMqttAcknowledgeMessage`. A message of QoS 0 has nothing to acknowledge (D83).
    pub(crate) fn mqtt_acknowledge(&mut self, handle: u32, correlation: u32) -> Result<(), Status> {
        let (base, mqtt) = self.channels.mqtt(handle)?;
        base.connected()?;
        if !mqtt.acknowledgements.has_room(1) {
            return Err(Status::RateLimited);
        }
        if let Some(delivery) = delivery(correlation) {
            mqtt.acknowledgements.push(delivery);
        }
        Ok(())
    }
}

/// A message's bytes and place are free again, and the cloud hears of it.
#[inline]
fn give_back(link: &mut DeviceLink, base: &mut Base, bytes: u32) {
    base.inbox.release(bytes);
    if base.connected().is_ok() {
        link.return_credit(base.number, bytes, 1);
    }
}

/// The correlation id of a message: one more than its delivery number, so that 0 is left for those of QoS 0 (D83).
pub(super) fn correlation(delivery: Option<u32>) -> u32 {
    delivery.map_or(0, |number| number.wrapping_add(1))
}

/// The delivery number a correlation id stands for.
fn delivery(correlation: u32) -> Option<u32> {
    correlation.checked_sub(1)
}
