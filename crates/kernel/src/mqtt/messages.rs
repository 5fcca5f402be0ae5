//! Messages: receiving, acknowledging, and hearing of those that were lost.

use super::Readable;
use crate::Kernel;
use crate::memory::{Memory, MemoryFault, Output, Phase as _, structure};
use crate::port::Port;
use crate::strings::StringOutput;
use abi::Status;
use abi::mqtt::{MqttLostMessageInfo, MqttMessage, MqttReadableDataType};

/// Where the application wants the parts of a message.
struct MessageOutputs {
    correlation: Output<4>,
    topic: StringOutput,
    payload: StringOutput,
    qos: Output<4>,
    retain: Output<1>,
}

impl MessageOutputs {
    fn claim(memory: &dyn Memory, message: &MqttMessage) -> Result<Self, MemoryFault> {
        Ok(Self {
            correlation: Output::claim(memory, message.correlation_id)?,
            topic: StringOutput::claim(memory, message.topic)?,
            payload: StringOutput::claim(memory, message.payload)?,
            qos: Output::claim(memory, message.qos)?,
            retain: Output::claim(memory, message.retain)?,
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
        let to = MessageOutputs::claim(port.memory, &message).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let readable = mqtt.readable(base, MqttReadableDataType::MessageReceived)?;
        let Readable::Message { delivery, retain, topic, payload } = readable else {
            return Err(Status::InternalError);
        };
        to.topic.fits(topic)?;
        to.payload.fits(payload)?;

        let ring = base.inbox.ring();
        to.topic.put(port.memory, ring, 0, topic).late()?;
        to.payload.put(port.memory, ring, topic, payload).late()?;
        to.correlation.put_u32(port.memory, correlation(delivery)).late()?;
        to.qos.put_u32(port.memory, u32::from(delivery.is_some())).late()?;
        to.retain.put(port.memory, [u8::from(retain)]).late()?;
        mqtt.readable.pop();
        self.give_back(handle, topic + payload);
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
        let reason_to = Output::claim(port.memory, info.reason).late()?;
        let topic_to = StringOutput::claim(port.memory, info.topic).late()?;
        let message_to = Output::claim(port.memory, info.message_len).late()?;
        let (base, mqtt) = self.channels.mqtt(handle)?;
        let readable = mqtt.readable(base, MqttReadableDataType::MessageLost)?;
        let Readable::Lost { reason, message, topic } = readable else {
            return Err(Status::InternalError);
        };
        topic_to.fits(topic)?;

        reason_to.put_u32(port.memory, u32::from(reason.code())).late()?;
        topic_to.put(port.memory, base.inbox.ring(), 0, topic).late()?;
        message_to.put_u32(port.memory, message).late()?;
        mqtt.readable.pop();
        self.give_back(handle, topic);
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

    /// A message's bytes and place are free again, and the cloud hears of it.
    fn give_back(&mut self, handle: u32, bytes: u32) {
        if let Ok((base, _)) = self.channels.mqtt(handle) {
            base.inbox.release(bytes);
            if base.connected().is_ok() {
                self.session.credit(base.number, bytes, 1);
            }
        }
    }
}

/// The correlation id of a message: one more than its delivery number, so that 0 is left for those of QoS 0 (D83).
fn correlation(delivery: Option<u32>) -> u32 {
    delivery.map_or(0, |number| number.wrapping_add(1))
}

/// The delivery number a correlation id stands for.
fn delivery(correlation: u32) -> Option<u32> {
    correlation.checked_sub(1)
}
