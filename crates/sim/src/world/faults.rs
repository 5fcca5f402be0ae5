//! What goes wrong: at any time, anywhere.

use sansio::{Duration, Instant};

use super::{Delay, World, environment, random_below};
use crate::device::Device;

impl World {
    /// Injects the fault that is due, and publishes messages for the applications. Returns whether there was anything.
    pub(super) fn inject_due_faults(&mut self) -> bool {
        let mut worked = false;
        if self.next_message <= self.now {
            self.publish();
            self.next_message =
                if self.is_recovering { Instant::MAX } else { self.random_after(Duration::from_millis(400)) };
            worked = true;
        }
        if self.next_fault <= self.now {
            self.inject_fault();
            self.next_fault = self.random_after(Duration::from_secs(8));
            worked = true;
        }
        worked
    }

    /// From now on there are no faults, and applications begin nothing new.
    pub(super) fn stop_faults(&mut self) {
        self.is_recovering = true;
        self.next_fault = Instant::MAX;
        self.next_message = Instant::MAX;
        // Both are up from now on, so that everything can reach its final state.
        (self.cloud_up_at, self.broker_up_at) = (Instant::ZERO, Instant::ZERO);
        (self.link_delay, self.socket_delay) = (Delay::SHORT, Delay::SHORT);
        self.trace.record(self.now, "world", || "no more faults".to_owned());
        for device in &mut self.devices {
            device.next_action = self.now;
        }
    }

    fn publish(&mut self) {
        let device = self.rng.below(self.devices.len() as u64) as usize;
        let topic = format!("d{device}/in/{}/{}", self.rng.below(2), self.rng.below(3));
        // From empty to larger than a receive ring, which is reported as lost (D49).
        let length = self.rng.pick(&[0, 20, 200, 1500, 3000, 5000]);
        let qos = self.rng.pick(&[0, 1, 1]);
        // Sometimes more than the eight that are announced at once (D12).
        for _ in 0..self.rng.pick(&[1, 1, 1, 12]) {
            self.broker.publish(device, &topic, length, qos, &mut self.ledger);
        }
    }

    fn inject_fault(&mut self) {
        match self.rng.below(16) {
            0..=3 => self.cut_link(),
            4..=6 => self.cut_socket(),
            7 => self.restart_device(),
            8 => self.restart_application(),
            9 => self.restart_cloud(),
            10 => self.restart_broker(),
            11 | 12 => self.link_delay = self.random_delay(),
            13 | 14 => self.socket_delay = self.random_delay(),
            _ => {}
        }
    }

    fn random_delay(&mut self) -> Delay {
        let min = Duration::from_micros(self.rng.pick(&[500, 1000, 30_000, 200_000, 1_500_000]));
        Delay { min, spread: min.saturating_mul(3) }
    }

    /// A later instant, at most `max` later.
    fn random_after(&mut self, max: Duration) -> Instant {
        self.now + Duration::from_micros(1) + random_below(max, &mut self.rng)
    }

    /// A link breaks at any byte; each end notices at a time of its own.
    fn cut_link(&mut self) {
        let open: Vec<u32> =
            self.links.iter().filter(|(_, link)| link.opens.is_none()).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        let id = self.rng.pick(&open);
        let rng = &mut self.rng;
        // Up to 100 s: longer than a keepalive, so that timeouts find some of them first.
        let [device_notices, cloud_notices] = [(); 2].map(|()| {
            let max = Duration::from_millis(rng.pick(&[100, 3000, 30_000, 100_000]));
            self.now + random_below(max, rng)
        });
        let link = self.links.get_mut(&id).expect("it is in the list");
        let (up, down) = (link.up.in_flight() as u64, link.down.in_flight() as u64);
        // Any part of what is under way still arrives, also a part of a frame.
        link.up.cut(rng.below(up + 1) as usize, cloud_notices);
        link.down.cut(rng.below(down + 1) as usize, device_notices);
        self.trace.record(self.now, "world", || {
            let seen = [device_notices, cloud_notices].map(Instant::as_millis);
            format!("link {id} is cut; noticed at {seen:?} ms")
        });
    }

    fn cut_socket(&mut self) {
        let open: Vec<u32> =
            self.sockets.iter().filter(|(_, socket)| socket.opens.is_none()).map(|(id, _)| *id).collect();
        if open.is_empty() {
            return;
        }
        let id = self.rng.pick(&open);
        let [relay_notices, broker_notices] =
            [(); 2].map(|()| self.now + random_below(Duration::from_secs(20), &mut self.rng));
        let socket = self.sockets.get_mut(&id).expect("it is in the list");
        let (up, down) = (socket.up.in_flight() as u64, socket.down.in_flight() as u64);
        socket.up.cut(self.rng.below(up + 1) as usize, broker_notices);
        socket.down.cut(self.rng.below(down + 1) as usize, relay_notices);
        // The relay sees an error instead of an orderly end, which it reports by another closure reason (D94).
        socket.clean = false;
        self.trace.record(self.now, "world", || format!("socket {id} is cut"));
    }

    fn restart_device(&mut self) {
        let number = self.rng.below(self.devices.len() as u64) as usize;
        if let Some(id) = self.devices[number].link {
            let at = self.now + random_below(Duration::from_secs(100), &mut self.rng);
            let link = self.links.get_mut(&id).expect("a device's link exists");
            let up = link.up.in_flight();
            // The device sends no BYE: the cloud notices late, perhaps only when the device connects again.
            link.up.cut(self.rng.below(up as u64 + 1) as usize, at);
        }
        self.trace.record(self.now, number, || "the device restarts".to_owned());
        self.devices[number] = Device::start(number, self.now, &mut environment!(self));
    }

    fn restart_application(&mut self) {
        let number = self.rng.below(self.devices.len() as u64) as usize;
        self.trace.record(self.now, number, || "the application restarts".to_owned());
        self.devices[number].restart_application(self.now, &mut environment!(self));
    }

    fn restart_cloud(&mut self) {
        self.trace.record(self.now, "world", || "the cloud restarts".to_owned());
        self.cloud_up_at = self.now + random_below(Duration::from_secs(8), &mut self.rng);
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.drop_relay(id);
            let noticed = self.now + random_below(Duration::from_secs(20), &mut self.rng);
            let link = self.links.get_mut(&id).expect("it is in the list");
            let down = link.down.in_flight() as u64;
            link.down.cut(self.rng.below(down + 1) as usize, noticed);
            // Nothing reads what is under way to a cloud that has ended.
            link.up.cut(0, self.now);
        }
    }

    fn restart_broker(&mut self) {
        self.trace.record(self.now, "world", || "the broker restarts".to_owned());
        self.broker_up_at = self.now + random_below(Duration::from_secs(8), &mut self.rng);
        self.broker.restart();
    }
}
