//! What the machine finds out about an application's mistakes. None of it changes what the application sees.

use abi::mqtt::MqttReadableDataType;
use abi::{Call, Status};
use armv8m::Cpu;
use kernel::Outcome;

use super::Machine;
use super::observer::Before;
use crate::events::DeviceEvent;
use crate::memory_map::RAM;

impl Machine {
    /// Reports a call that has returned.
    pub(super) fn report_call(&mut self, before: &Before, status: Status) {
        let wrong = status == Status::WrongDataRequested;
        let next_reader = if wrong { self.next_reader(before.channel()) } else { None };
        self.observer.after_call(&self.cpu, before, status, next_reader);
    }

    /// Reports interrupt lines that have been pending for a second and are not enabled (D345).
    pub(super) fn report_unserved_lines(&mut self) {
        if self.restarts.is_pending() {
            return;
        }
        let is_unserved = |cpu: &Cpu, line| cpu.is_pending(line) && !cpu.is_enabled(line);
        while let Some(line) = self.unserved.take_due(self.cpu.cycles(), |line| is_unserved(&self.cpu, line))
        {
            self.note_after_board(DeviceEvent::LineNotEnabled { line });
        }
    }

    /// The call that reads the next readable item of a channel. The kernel is called as the application would call it,
    /// with a word of RAM that gets its value back: it has no other way to answer.
    fn next_reader(&mut self, handle: u32) -> Option<&'static str> {
        let mut saved = [0; 4];
        let to = RAM.start;
        self.cpu.read_memory(to, &mut saved);
        let slot = Call::MqttGetNextReadableDataType.slot();
        let outcome = self.enter_kernel(|kernel, port| kernel.call(port, slot, [handle, to, 0, 0]));
        let mut answer = [0; 4];
        self.cpu.read_memory(to, &mut answer);
        self.cpu.write_memory(to, &saved);
        if outcome != Outcome::Status(Status::Okay) {
            return None;
        }
        let call = match MqttReadableDataType::from_raw(u32::from_le_bytes(answer))? {
            MqttReadableDataType::None => return None,
            MqttReadableDataType::MessageReceived => Call::MqttReceiveMessage,
            MqttReadableDataType::MessageLost => Call::MqttReceiveLostMessageInfo,
            MqttReadableDataType::ConnectResponse => Call::MqttReadConnectResponse,
            MqttReadableDataType::SubscribeResponse => Call::MqttReadSubscribeResponse,
            MqttReadableDataType::UnsubscribeResponse => Call::MqttReadUnsubscribeResponse,
            MqttReadableDataType::PublishResponse => Call::MqttReadPublishResponse,
            MqttReadableDataType::DisconnectResponse => Call::MqttReadDisconnectResponse,
        };
        Some(call.name())
    }
}
