//! What goes wrong: at any moment, anywhere.

use super::{Delay, SECOND, World, around};
use crate::device::Device;

impl World {
    /// Does the harm that is due, and lets strangers publish; whether anything was.
    pub(super) fn make_trouble(&mut self) -> bool {
        let mut worked = false;
        if self.next_message <= self.now {
            self.publish();
            self.next_message = if self.quiet { u64::MAX } else { self.now + 1 + self.chance.below(400_000) };
            worked = true;
        }
        if self.next_chaos <= self.now {
            self.do_harm();
            self.next_chaos = self.now + 1 + self.chance.below(8 * SECOND);
            worked = true;
        }
        worked
    }

    /// Everything goes well from now on, and nobody begins anything new.
    pub(super) fn be_quiet(&mut self) {
        self.quiet = true;
        self.next_chaos = u64::MAX;
        self.next_message = u64::MAX;
        (self.cloud_back, self.broker_back) = (0, 0);
        self.link_delay = Delay { least: 1000, spread: 4000 };
        self.wire_delay = self.link_delay;
        self.trace.say(self.now, "world", || "quiet".to_owned());
        for device in &mut self.devices {
            device.next_act = self.now;
        }
    }

    fn publish(&mut self) {
        let device = self.chance.below(self.devices.len() as u64) as usize;
        let topic = format!("d{device}/in/{}/{}", self.chance.below(2), self.chance.below(3));
        let length = self.chance.of(&[0, 20, 200, 1500, 3000, 5000]);
        let qos = self.chance.of(&[0, 1, 1]);
        for _ in 0..self.chance.of(&[1, 1, 1, 12]) {
            self.broker.publish(device, &topic, length, qos, &mut self.ledger);
        }
    }

    fn do_harm(&mut self) {
        match self.chance.below(16) {
            0..=3 => self.cut_cable(),
            4..=6 => self.cut_wire(),
            7 => self.restart_device(),
            8 => self.restart_application(),
            9 => self.restart_cloud(),
            10 => self.restart_broker(),
            11 | 12 => self.link_delay = self.weather(),
            13 | 14 => self.wire_delay = self.weather(),
            _ => {}
        }
    }

    fn weather(&mut self) -> Delay {
        let least = self.chance.of(&[500, 1000, 30_000, 200_000, 1_500_000]);
        Delay { least, spread: least * 3 }
    }

    /// A cable breaks at any byte; each end notices in its own time.
    fn cut_cable(&mut self) {
        let open: Vec<u32> =
            self.cables.iter().filter(|(_, c)| c.opens.is_none()).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        let id = self.chance.of(&open);
        let chance = &mut self.chance;
        let [device_learns, cloud_learns] = [(); 2].map(|()| {
            let longest = chance.of(&[SECOND / 10, 3 * SECOND, 30 * SECOND, 100 * SECOND]);
            self.now + chance.below(longest)
        });
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        let (up, down) = (cable.up.in_flight() as u64, cable.down.in_flight() as u64);
        cable.up.cut(chance.below(up + 1) as usize, cloud_learns);
        cable.down.cut(chance.below(down + 1) as usize, device_learns);
        self.trace.say(self.now, "world", || {
            let seen = [device_learns, cloud_learns].map(|at| at / 1000);
            format!("cable {id} is cut; the ends see it at {seen:?} ms")
        });
    }

    fn cut_wire(&mut self) {
        let open: Vec<u32> =
            self.wires.iter().filter(|(_, w)| w.opens.is_none()).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        let id = self.chance.of(&open);
        let [relay_learns, broker_learns] = [(); 2].map(|()| self.now + self.chance.below(20 * SECOND));
        let wire = self.wires.get_mut(&id).expect("it is in the list");
        let (up, down) = (wire.up.in_flight() as u64, wire.down.in_flight() as u64);
        wire.up.cut(self.chance.below(up + 1) as usize, broker_learns);
        wire.down.cut(self.chance.below(down + 1) as usize, relay_learns);
        wire.clean = false;
        self.trace.say(self.now, "world", || format!("wire {id} is cut"));
    }

    fn restart_device(&mut self) {
        let number = self.chance.below(self.devices.len() as u64) as usize;
        if let Some(id) = self.devices[number].cable {
            let at = self.now + self.chance.below(100 * SECOND);
            let cable = self.cables.get_mut(&id).expect("a device's cable exists");
            let up = cable.up.in_flight();
            cable.up.cut(self.chance.below(up as u64 + 1) as usize, at);
        }
        self.trace.say(self.now, number, || "the device restarts".to_owned());
        self.devices[number] = Device::start(number, self.now, &mut around!(self));
    }

    fn restart_application(&mut self) {
        let number = self.chance.below(self.devices.len() as u64) as usize;
        self.trace.say(self.now, number, || "the application restarts".to_owned());
        let device = &mut self.devices[number];
        device.machine.set_now(self.now);
        device.restart_application(&mut around!(self));
    }

    fn restart_cloud(&mut self) {
        self.trace.say(self.now, "world", || "the cloud restarts".to_owned());
        self.cloud_back = self.now + self.chance.below(8 * SECOND);
        for id in self.cables.keys().copied().collect::<Vec<_>>() {
            self.relay_gone(id);
            let learns = self.now + self.chance.below(20 * SECOND);
            let cable = self.cables.get_mut(&id).expect("it is in the list");
            let down = cable.down.in_flight() as u64;
            cable.down.cut(self.chance.below(down + 1) as usize, learns);
            cable.up.cut(0, self.now);
        }
    }

    fn restart_broker(&mut self) {
        self.trace.say(self.now, "world", || "the broker restarts".to_owned());
        self.broker_back = self.now + self.chance.below(8 * SECOND);
        self.broker.restart();
    }
}
