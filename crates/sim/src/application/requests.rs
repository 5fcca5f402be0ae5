//! Requests: every accepted one becomes pending.

use abi::config::{ConfigKeyFetchParams, ConfigKeyToFetch};
use abi::mqtt::{
    MqttConnectRequest, MqttPublishRequest, MqttSubscribeRequest, MqttSubscription, MqttUnsubscribeRequest,
};
use abi::{Call, Status};

use super::channel::Stage;
use super::{Application, Context};
use crate::ledger::{Ledger, Publish};

impl Application {
    /// Makes a request of a channel, one that fits its stage.
    pub(super) fn make_request(&mut self, slot: usize, cx: &mut Context<'_>) {
        let Some(channel) = &self.channels[slot] else { return };
        if channel.is_config {
            return self.request_config(slot, cx);
        }
        match channel.stage {
            // Before a connect it is accepted and answered as not connected (D46).
            Stage::New if cx.rng.one_in(6) => self.publish(slot, cx),
            Stage::New => self.connect(slot, cx),
            Stage::Connecting if cx.rng.one_in(4) => self.publish(slot, cx),
            Stage::Connecting => {}
            Stage::Connected => self.request_when_connected(slot, cx),
            // Only once every answer was read, so that none is lost by closing (M12).
            Stage::Disconnected if channel.pending.is_empty() => self.close(slot, cx),
            Stage::Disconnected => {}
        }
    }

    fn request_when_connected(&mut self, slot: usize, cx: &mut Context<'_>) {
        match cx.rng.below(40) {
            0..=19 => self.publish(slot, cx),
            20 | 21 => self.subscribe(slot, cx),
            // The other channel has a persistent session, whose messages must all arrive in the end.
            22 if slot == 1 => self.unsubscribe(slot, cx),
            23 if cx.rng.one_in(5) => self.disconnect(slot, cx),
            24 if cx.rng.one_in(5) => self.close(slot, cx),
            _ => {
                let max = cx.rng.below(6) as usize;
                self.acknowledge(slot, max, cx);
            }
        }
    }

    /// Brings a channel towards its final state: connected, subscribed, everything acknowledged.
    pub(super) fn restore_session(&mut self, slot: usize, cx: &mut Context<'_>) {
        let Some(channel) = &self.channels[slot] else { return };
        match channel.stage {
            Stage::New => self.connect(slot, cx),
            Stage::Connecting => {}
            Stage::Connected if !channel.subscribed => self.subscribe(slot, cx),
            Stage::Connected => self.acknowledge(slot, usize::MAX, cx),
            Stage::Disconnected if channel.pending.is_empty() => self.close(slot, cx),
            Stage::Disconnected => {}
        }
    }

    /// Whether a request was accepted. The only reasons to refuse one are those of the moment.
    fn is_accepted(&self, what: Call, slot: usize, status: Status, cx: &Context<'_>) -> bool {
        cx.trace.record(cx.host.now(), self.device, || format!("channel {slot}: {} {status:?}", what.name()));
        match status {
            Status::Okay => true,
            // Too much in flight, no room in the ring, or a link that was just lost.
            Status::RateLimited | Status::InvalidBufferSize | Status::ChannelClosed => false,
            other => panic!("{}: {other:?}", what.name()),
        }
    }

    fn connect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let client = format!("d{}c{slot}", self.device);
        let request = MqttConnectRequest {
            // Both versions are in use in every run.
            protocol_version: ((self.device + slot) % 2) as u32,
            host: cx.host.string(b"broker"),
            port: 1883,
            clientid: cx.host.string(client.as_bytes()),
            keepalive: 60,
            // One channel with a clean start, one with a session that survives.
            clean_start: u8::from(slot == 1),
            ..MqttConnectRequest::default()
        };
        let request = cx.host.put(&request.to_bytes());
        let handle = self.handle(slot);
        let status = cx.host.call(Call::MqttRequestConnect, &[handle, request]);
        if self.is_accepted(Call::MqttRequestConnect, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            (channel.pending.connect, channel.stage) = (true, Stage::Connecting);
        }
    }

    fn publish(&mut self, slot: usize, cx: &mut Context<'_>) {
        let (qos, length) = (cx.rng.below(2) as u8, cx.rng.pick(&[0, 10, 100, 600]));
        // Twelve topics, more than there are aliases, so that these are replaced (D113).
        let name = format!("d{}/out/{}", self.device, cx.rng.below(12));
        let serial = cx.ledger.serial();
        let correlation = self.correlation();
        let request = MqttPublishRequest {
            correlation_id: correlation,
            topic: cx.host.string(name.as_bytes()),
            payload: cx.host.string(&Ledger::payload(self.device, serial, length)),
            desired_qos: qos.into(),
            retain: 0,
        };
        let request = cx.host.put(&request.to_bytes());
        let handle = self.handle(slot);
        let status = cx.host.call(Call::MqttRequestPublish, &[handle, request]);
        if self.is_accepted(Call::MqttRequestPublish, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            channel.pending.publishes.insert(correlation, serial);
            cx.ledger.publishes.insert(serial, Publish { device: self.device, qos, arrived: 0 });
        }
    }

    /// A filter for everything that is published for this device and slot.
    fn filter(&self, slot: usize) -> String {
        format!("d{}/in/{slot}/#", self.device)
    }

    fn subscribe(&mut self, slot: usize, cx: &mut Context<'_>) {
        let topic = cx.host.string(self.filter(slot).as_bytes());
        let subscription = MqttSubscription { topic, desired_qos: 1, ..MqttSubscription::default() };
        let correlation = self.correlation();
        let request = MqttSubscribeRequest {
            correlation_id: correlation,
            subscriptions: cx.host.put(&subscription.to_bytes()),
            num_subscriptions: 1,
        };
        let request = cx.host.put(&request.to_bytes());
        let handle = self.handle(slot);
        let status = cx.host.call(Call::MqttRequestSubscribe, &[handle, request]);
        if self.is_accepted(Call::MqttRequestSubscribe, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            assert_eq!(
                channel.pending.subscribe.replace(correlation),
                None,
                "a second one is too many (D45)"
            );
        }
    }

    fn unsubscribe(&mut self, slot: usize, cx: &mut Context<'_>) {
        let topic = cx.host.string(self.filter(slot).as_bytes());
        let correlation = self.correlation();
        let topics = cx.host.put(&topic.to_bytes());
        let request = MqttUnsubscribeRequest { correlation_id: correlation, topics, num_topics: 1 };
        let request = cx.host.put(&request.to_bytes());
        let handle = self.handle(slot);
        let status = cx.host.call(Call::MqttRequestUnsubscribe, &[handle, request]);
        if self.is_accepted(Call::MqttRequestUnsubscribe, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            assert_eq!(
                channel.pending.unsubscribe.replace(correlation),
                None,
                "a second one is too many (D45)"
            );
        }
    }

    fn disconnect(&mut self, slot: usize, cx: &mut Context<'_>) {
        let handle = self.handle(slot);
        let status = cx.host.call(Call::MqttRequestDisconnect, &[handle]);
        if self.is_accepted(Call::MqttRequestDisconnect, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            assert!(
                !std::mem::replace(&mut channel.pending.disconnect, true),
                "a second one is too many (D45)"
            );
        }
    }

    /// Acknowledges some of what was read, the oldest first.
    fn acknowledge(&mut self, slot: usize, max: usize, cx: &mut Context<'_>) {
        for _ in 0..max {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            let Some(&(correlation, serial)) = channel.unacknowledged.first() else { return };
            match cx.host.call(Call::MqttAcknowledgeMessage, &[channel.handle, correlation]) {
                Status::Okay => {}
                // Tried again later, in the same order.
                Status::RateLimited | Status::ChannelClosed => return,
                other => panic!("mvMqttAcknowledgeMessage: {other:?}"),
            }
            channel.unacknowledged.remove(0);
            cx.ledger.messages.get_mut(&serial).expect("it was read").acknowledged = true;
            cx.trace.record(cx.host.now(), self.device, || format!("acknowledges message {serial}"));
        }
    }

    fn request_config(&mut self, slot: usize, cx: &mut Context<'_>) {
        let channel = self.channels[slot].as_mut().expect("an open channel");
        // A channel serves for one fetch.
        if channel.has_fetched {
            if !channel.pending.fetch {
                self.close(slot, cx);
            }
            return;
        }
        let num_items = 1 + cx.rng.below(4) as u32;
        let mut keys = Vec::new();
        for index in 0..num_items {
            let key = cx.host.string(format!("key{index}").as_bytes());
            let (scope, store) = (cx.rng.below(2) as u32, cx.rng.below(2) as u32);
            keys.extend(ConfigKeyToFetch { scope, store, key }.to_bytes());
        }
        let params = ConfigKeyFetchParams { num_items, keys_to_fetch: cx.host.put(&keys) };
        let params = cx.host.put(&params.to_bytes());
        let status = cx.host.call(Call::SendConfigFetchRequest, &[channel.handle, params]);
        if self.is_accepted(Call::SendConfigFetchRequest, slot, status, cx) {
            let channel = self.channels[slot].as_mut().expect("an open channel");
            (channel.pending.fetch, channel.has_fetched) = (true, true);
        }
    }

    fn handle(&self, slot: usize) -> u32 {
        self.channels[slot].as_ref().expect("an open channel").handle
    }

    fn correlation(&mut self) -> u32 {
        self.next_correlation += 1;
        self.next_correlation
    }
}
