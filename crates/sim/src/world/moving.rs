//! Bytes on their way: between devices and relays, and between relays and the broker.

use kernel::{LinkInput, LinkLoss};
use link::connection::ByeReason;
use relay::{ConnectError, ConnectionEnd, ConnectionId, Input, Output};
use sansio::Instant;

use super::World;
use crate::broker::Action;
use crate::cloud::Cable;
use crate::pipe::Arrival;
use crate::wire::Wire;

impl World {
    /// The port of a device: makes, feeds and ends its connection as the kernel wants.
    pub(super) fn tend_link(&mut self, number: usize) -> bool {
        let device = &mut self.devices[number];
        let Some(id) = device.cable else {
            let wanted = device.machine.wants_link();
            if wanted {
                self.dial(number);
            }
            return wanted;
        };
        let cable = self.cables.get_mut(&id).expect("a device's cable exists");
        let mut worked = false;
        let room = self.chance.of(&[1280, 1500, 4096]);
        while let Some(bytes) = device.transmit(cable.up.in_flight(), room) {
            cable.up.send(self.link_delay.from(self.now, &mut self.chance), bytes);
            worked = true;
        }
        if !device.machine.wants_link() {
            cable.up.end(self.link_delay.from(self.now, &mut self.chance));
            device.lost(LinkLoss::Requested);
            self.trace.say(self.now, number, || format!("ends cable {id}"));
            if cable.opens.is_some() {
                self.cables.remove(&id);
            }
            worked = true;
        }
        worked
    }

    fn dial(&mut self, number: usize) {
        let id = self.name();
        let opens = self.link_delay.from(self.now, &mut self.chance);
        self.cables.insert(id, Cable::new(number, opens));
        let device = &mut self.devices[number];
        device.cable = Some(id);
        device.machine.link(LinkInput::Connecting);
        self.trace.say(self.now, number, || format!("dials: cable {id}"));
    }

    pub(super) fn move_cable(&mut self, id: u32) -> bool {
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        if let Some(opens) = cable.opens {
            return opens <= self.now && self.open_cable(id);
        }
        let mut worked = cable.step(self.now);
        worked |= self.move_up(id);
        worked |= self.move_down(id);
        let cable = &self.cables[&id];
        let is_attached = self.devices[cable.device].cable == Some(id);
        if cable.relay.is_none() && !is_attached {
            self.cables.remove(&id);
        }
        worked
    }

    fn open_cable(&mut self, id: u32) -> bool {
        let fails = self.now < self.cloud_back || (!self.quiet && self.chance.one_in(12));
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        let number = cable.device;
        let device = &mut self.devices[number];
        if fails || device.cable != Some(id) {
            if device.cable == Some(id) {
                let cause = self.chance.of(&[LinkLoss::Unreachable, LinkLoss::NoCarrier]);
                device.lost(cause);
            }
            self.cables.remove(&id);
            return true;
        }
        cable.accept(self.now, &mut self.chance);
        device.machine.link(LinkInput::Connected);
        self.trace.say(self.now, number, || format!("cable {id} stands"));
        self.replace_older(id, number);
        true
    }

    /// A device has one connection: the cloud ends the older ones, whose end it may not have seen yet.
    fn replace_older(&mut self, id: u32, number: usize) {
        let now = self.now;
        for (older, cable) in &mut self.cables {
            if *older != id && cable.device == number {
                cable.feed(now, Input::Shutdown { reason: ByeReason::Replaced });
            }
        }
    }

    /// How many bytes arrive together.
    fn burst(&mut self) -> usize {
        self.chance.of(&[1, 7, 64, 1000, usize::MAX, usize::MAX, usize::MAX])
    }

    fn move_up(&mut self, id: u32) -> bool {
        let most = self.burst();
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        match cable.up.take(self.now, most) {
            Some(Arrival::Bytes(bytes)) => cable.feed(self.now, Input::LinkReceived(&bytes)),
            Some(Arrival::End) if cable.relay.is_some() => self.relay_gone(id),
            _ => return false,
        }
        true
    }

    fn move_down(&mut self, id: u32) -> bool {
        let most = self.burst();
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        let device = &mut self.devices[cable.device];
        if device.cable != Some(id) {
            return false;
        }
        match cable.down.take(self.now, most) {
            Some(Arrival::Bytes(bytes)) => device.receive(&bytes),
            Some(Arrival::End) => {
                // A farewell is sent as far as it goes.
                device.lost(LinkLoss::Unreachable);
                cable.up.end(self.now);
                self.trace.say(self.now, cable.device, || format!("sees the end of cable {id}"));
            }
            None => return false,
        }
        true
    }

    /// The cloud drops a relay without a word: its connections break off (D52).
    pub(super) fn relay_gone(&mut self, id: u32) {
        let cable = self.cables.get_mut(&id).expect("it is in the list");
        cable.relay = None;
        cable.down.end(self.now);
        self.trace.say(self.now, "cloud", || format!("cable {id} is gone"));
        let at = self.wire_delay.from(self.now, &mut self.chance);
        for wire in self.wires.values_mut().filter(|wire| wire.cable == id && wire.has_relay) {
            wire.close(true, self.chance.below(1000) as usize, at);
        }
    }

    // ---- relay ----

    pub(super) fn drain_relay(&mut self, id: u32) -> bool {
        let mut worked = false;
        let now = Instant::from_micros(self.now);
        while let Some(output) = self.cables.get_mut(&id).and_then(|cable| cable.relay.as_mut()?.poll(now)) {
            self.obey(id, output);
            worked = true;
        }
        worked
    }

    fn obey(&mut self, id: u32, output: Output) {
        let (now, chance) = (self.now, &mut self.chance);
        let cable = self.cables.get_mut(&id).expect("its relay lives");
        match output {
            Output::LinkSend(bytes) => cable.down.send(self.link_delay.from(now, chance), bytes),
            Output::Log(line) => cable.log(now, &line, chance, &mut self.ledger),
            Output::Hello(hello) => cable.hello(hello.boot),
            Output::Lookup { lookup, keys } => cable.look_up(now + chance.below(2_000_000), lookup, keys),
            Output::Notice(_) => {}
            Output::HttpRequest { .. } | Output::CancelHttp { .. } => panic!("no application asks for HTTP"),
            Output::Disconnect { reason } => {
                cable.down.end(self.link_delay.from(now, chance));
                cable.relay = None;
                self.trace.say(now, "cloud", || format!("cable {id} ends: {reason:?}"));
                let left = self.wires.values().filter(|wire| wire.cable == id && wire.has_relay).count();
                assert_eq!(left, 0, "a relay went and left connections behind");
            }
            Output::OpenConnection { connection, target } => {
                assert_eq!((&target.host[..], target.port), ("broker", 1883));
                let opens = self.wire_delay.from(now, chance);
                let name = self.name();
                self.wires.insert(name, Wire::new(id, connection, opens));
            }
            Output::ConnectionSend { connection, bytes } => self.wire(id, connection).untaken.extend(bytes),
            Output::CloseConnection { connection, abort } => {
                let (keep, at) = (chance.below(200) as usize, self.wire_delay.from(now, chance));
                self.wire(id, connection).close(abort, keep, at);
            }
            Output::PauseReading { connection } => self.wire(id, connection).is_paused = true,
            Output::ResumeReading { connection } => self.wire(id, connection).is_paused = false,
        }
    }

    fn wire(&mut self, cable: u32, connection: ConnectionId) -> &mut Wire {
        let is_it = |wire: &&mut Wire| wire.cable == cable && wire.id == connection && wire.has_relay;
        self.wires.values_mut().find(is_it).expect("the relay names a connection it has")
    }

    // ---- wires ----

    pub(super) fn move_wire(&mut self, id: u32) -> bool {
        if let Some(opens) = self.wires[&id].opens {
            return opens <= self.now && self.open_wire(id);
        }
        let mut worked = self.write_wire(id);
        worked |= self.move_to_broker(id);
        worked |= self.move_to_relay(id);
        let wire = &self.wires[&id];
        if !wire.has_relay && !wire.has_broker {
            self.wires.remove(&id);
        }
        worked
    }

    fn feed(&mut self, id: u32, input: impl FnOnce(ConnectionId) -> Input<'static>) {
        let wire = &self.wires[&id];
        if let (true, Some(cable)) = (wire.has_relay, self.cables.get_mut(&wire.cable)) {
            cable.feed(self.now, input(wire.id));
        }
    }

    fn open_wire(&mut self, id: u32) -> bool {
        let fails = self.now < self.broker_back || (!self.quiet && self.chance.one_in(15));
        if !self.wires[&id].has_relay {
            self.wires.remove(&id);
            return true;
        }
        if fails {
            let is_refused = self.chance.of(&[true, false]);
            let error = if is_refused { ConnectError::Refused } else { ConnectError::NameNotResolved };
            self.feed(id, |connection| Input::ConnectionFailed { connection, error });
            self.wires.remove(&id);
            return true;
        }
        self.broker.connected(id);
        let wire = self.wires.get_mut(&id).expect("it is in the list");
        (wire.opens, wire.has_broker) = (None, true);
        self.feed(id, |connection| Input::ConnectionOpened { connection });
        true
    }

    fn write_wire(&mut self, id: u32) -> bool {
        let at = self.wire_delay.from(self.now, &mut self.chance);
        let wire = self.wires.get_mut(&id).expect("it is in the list");
        let bytes = wire.write(at);
        if bytes > 0 {
            self.feed(id, |connection| Input::ConnectionWritten { connection, bytes });
        }
        bytes > 0
    }

    fn move_to_broker(&mut self, id: u32) -> bool {
        let most = self.burst();
        let wire = self.wires.get_mut(&id).expect("it is in the list");
        if !wire.has_broker {
            return false;
        }
        match wire.up.take(self.now, most) {
            Some(Arrival::Bytes(bytes)) => self.broker.receive(id, &bytes, &mut self.ledger),
            Some(Arrival::End) => {
                wire.has_broker = false;
                self.broker.disconnected(id);
            }
            None => return false,
        }
        true
    }

    fn move_to_relay(&mut self, id: u32) -> bool {
        let most = self.burst();
        let wire = self.wires.get_mut(&id).expect("it is in the list");
        if wire.is_paused || !wire.has_relay {
            return false;
        }
        let arrival = wire.down.take(self.now, most);
        let (connection, clean) = (wire.id, wire.clean);
        let cable = wire.cable;
        match arrival {
            Some(Arrival::Bytes(bytes)) => {
                if let Some(cable) = self.cables.get_mut(&cable) {
                    cable.feed(self.now, Input::ConnectionReceived { connection, bytes: &bytes });
                }
            }
            Some(Arrival::End) => {
                let end =
                    if clean { ConnectionEnd::Closed } else { ConnectionEnd::Failed(ConnectError::Socket) };
                self.feed(id, |connection| Input::ConnectionClosed { connection, end });
                self.wires.get_mut(&id).expect("it is in the list").has_relay = false;
            }
            None => return false,
        }
        true
    }

    // ---- broker ----

    pub(super) fn act_for_broker(&mut self) -> bool {
        let mut worked = false;
        while let Some(action) = self.broker.poll() {
            let at = self.wire_delay.from(self.now, &mut self.chance);
            match action {
                Action::Send(id, bytes) => {
                    self.wires.get_mut(&id).into_iter().for_each(|wire| wire.down.send(at, bytes.clone()));
                }
                Action::Close(id) => {
                    if let Some(wire) = self.wires.get_mut(&id) {
                        wire.has_broker = false;
                        wire.down.end(at);
                    }
                }
            }
            worked = true;
        }
        worked
    }
}
