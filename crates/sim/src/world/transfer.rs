//! Bytes in flight: between devices and relays, and between relays and the broker.

use std::collections::BTreeMap;

use kernel::{LinkInput, LinkLoss};
use link::connection::ByeReason;
use relay::{ConnectError, ConnectionEnd, ConnectionId, Input, Output};
use sansio::{Duration, Instant, StateMachine as _, drive, drive_timeout};
use test_rng::Rng;

use super::{Delay, World, random_below};
use crate::broker::Action;
use crate::device::Device;
use crate::link::Link;
use crate::pipe::Arrival;
use crate::socket::Socket;

/// How long a lookup may take.
const MAX_LOOKUP: Duration = Duration::from_secs(2);

impl World {
    // ---- devices ----

    /// Hands an input to a device's kernel. What it sends goes into its link.
    fn drive_device(&mut self, number: usize, input: LinkInput<'_>) {
        let Self { now, devices, links, rng, link_delay, .. } = self;
        let device = &mut devices[number];
        let mut sink = transport(device, links, *link_delay, *now, rng);
        let outcome = drive(&mut device.host, *now, input, &mut sink);
        assert!(outcome.is_ok(), "device {number}: the kernel reports a violation of the relay: {outcome:?}");
    }

    /// The same for a timeout, if that is due.
    pub(super) fn drive_device_timeout(&mut self, number: usize) -> bool {
        let Self { now, devices, links, rng, link_delay, .. } = self;
        let device = &mut devices[number];
        let mut sink = transport(device, links, *link_delay, *now, rng);
        drive_timeout(&mut device.host, *now, &mut sink).expect("only received bytes can be a violation")
    }

    /// Sends what followed from system calls. Returns whether there was anything.
    fn drain_device(&mut self, number: usize) -> bool {
        let Self { now, devices, links, rng, link_delay, .. } = self;
        let device = &mut devices[number];
        let mut sink = transport(device, links, *link_delay, *now, rng);
        let mut worked = false;
        while let Some(bytes) = device.host.poll(*now) {
            sink(bytes);
            worked = true;
        }
        worked
    }

    /// The port of a device: establishes and ends its connection as the kernel wants. Returns whether it had to.
    pub(super) fn service_link(&mut self, number: usize) -> bool {
        let Some(id) = self.devices[number].link else {
            let wanted = self.devices[number].host.wants_link();
            if wanted {
                self.dial(number);
            }
            return wanted;
        };
        let worked = self.drain_device(number);
        if self.devices[number].host.wants_link() {
            return worked;
        }
        let end = self.link_delay.after(self.now, &mut self.rng);
        let link = self.links.get_mut(&id).expect("a device's link exists");
        link.up.end(end);
        if link.opens.is_some() {
            self.links.remove(&id);
        }
        self.lose_link(number, LinkLoss::Requested);
        self.trace.record(self.now, number, || format!("ends link {id}"));
        true
    }

    fn lose_link(&mut self, number: usize, cause: LinkLoss) {
        self.devices[number].link = None;
        self.drive_device(number, LinkInput::Lost(cause));
    }

    fn dial(&mut self, number: usize) {
        let id = self.next_id();
        let opens = self.link_delay.after(self.now, &mut self.rng);
        self.links.insert(id, Link::new(number, opens));
        self.devices[number].link = Some(id);
        self.drive_device(number, LinkInput::Connecting);
        self.trace.record(self.now, number, || format!("dials: link {id}"));
    }

    // ---- links ----

    pub(super) fn move_link(&mut self, id: u32) -> bool {
        let link = self.links.get_mut(&id).expect("it is in the list");
        if let Some(opens) = link.opens {
            return opens <= self.now && self.open_link(id);
        }
        let mut worked = self.service_relay(id);
        worked |= self.move_up(id);
        worked |= self.move_down(id);
        let link = &self.links[&id];
        let is_attached = self.devices[link.device].link == Some(id);
        // Only when both ends have forgotten it: bytes may still be under way to either.
        if link.relay.is_none() && !is_attached {
            self.links.remove(&id);
        }
        worked
    }

    fn open_link(&mut self, id: u32) -> bool {
        let fails = self.now < self.cloud_up_at || (!self.is_recovering && self.rng.one_in(12));
        let link = self.links.get_mut(&id).expect("it is in the list");
        let number = link.device;
        // The device may have ended or replaced it since it dialled.
        let is_attached = self.devices[number].link == Some(id);
        if fails || !is_attached {
            self.links.remove(&id);
            if is_attached {
                let cause = self.rng.pick(&[LinkLoss::Unreachable, LinkLoss::NoCarrier]);
                self.lose_link(number, cause);
            }
            return true;
        }
        link.accept(self.now, &mut self.rng);
        self.drive_device(number, LinkInput::Connected);
        self.trace.record(self.now, number, || format!("link {id} is established"));
        self.replace_older(id, number);
        true
    }

    /// A device has one connection: the cloud ends older ones, whose end it may not have noticed.
    fn replace_older(&mut self, id: u32, number: usize) {
        let is_older = |(other, link): &(&u32, &Link)| **other != id && link.device == number;
        for older in self.links.iter().filter(is_older).map(|(older, _)| *older).collect::<Vec<_>>() {
            self.drive_relay(older, Input::Shutdown { reason: ByeReason::Replaced });
        }
    }

    /// How many bytes arrive together.
    fn burst(&mut self) -> usize {
        self.rng.pick(&[1, 7, 64, 1000, usize::MAX, usize::MAX, usize::MAX])
    }

    fn move_up(&mut self, id: u32) -> bool {
        let max = self.burst();
        let link = self.links.get_mut(&id).expect("it is in the list");
        match link.up.take(self.now, max) {
            Some(Arrival::Bytes(bytes)) => self.drive_relay(id, Input::LinkReceived(&bytes)),
            Some(Arrival::End) if link.relay.is_some() => self.drop_relay(id),
            _ => return false,
        }
        true
    }

    fn move_down(&mut self, id: u32) -> bool {
        let max = self.burst();
        let link = self.links.get_mut(&id).expect("it is in the list");
        let number = link.device;
        if self.devices[number].link != Some(id) {
            return false;
        }
        match link.down.take(self.now, max) {
            Some(Arrival::Bytes(bytes)) => self.drive_device(number, LinkInput::Received(&bytes)),
            Some(Arrival::End) => {
                // What the device has sent before, such as BYE, still arrives if the link is not cut.
                link.up.end(self.now);
                self.lose_link(number, LinkLoss::Unreachable);
                self.trace.record(self.now, number, || format!("notices the end of link {id}"));
            }
            None => return false,
        }
        true
    }

    /// The cloud drops a relay without BYE: its connections break off, and no DISCONNECT is sent, so that brokers
    /// publish the wills (D52).
    pub(super) fn drop_relay(&mut self, id: u32) {
        let link = self.links.get_mut(&id).expect("it is in the list");
        link.relay = None;
        link.down.end(self.now);
        self.trace.record(self.now, "cloud", || format!("link {id} is dropped"));
        let at = self.socket_delay.after(self.now, &mut self.rng);
        for socket in self.sockets.values_mut().filter(|socket| socket.link == id && socket.has_relay) {
            socket.close(true, self.rng.below(1000) as usize, at);
        }
    }

    // ---- relays ----

    /// Hands an input to a link's relay, if there is one, and executes what it asks for.
    fn drive_relay(&mut self, id: u32, input: Input<'_>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        for output in link.drive(self.now, input) {
            self.execute(id, output);
        }
    }

    /// Gives a relay the results it waits for, and its timeout. Returns whether there was anything.
    fn service_relay(&mut self, id: u32) -> bool {
        let mut worked = false;
        let now = self.now;
        while let Some(input) = self.links.get_mut(&id).and_then(|link| link.next_result(now)) {
            self.drive_relay(id, input);
            worked = true;
        }
        let outputs = self.links.get_mut(&id).and_then(|link| link.drive_timeout(now));
        worked |= outputs.is_some();
        for output in outputs.into_iter().flatten() {
            self.execute(id, output);
        }
        worked
    }

    fn execute(&mut self, id: u32, output: Output) {
        let (now, rng) = (self.now, &mut self.rng);
        let link = self.links.get_mut(&id).expect("a link is removed after its relay");
        match output {
            Output::LinkSend(bytes) => link.down.send(self.link_delay.after(now, rng), bytes),
            Output::Log(line) => link.log(now, &line, rng, &mut self.ledger),
            Output::Hello(hello) => link.hello(hello.boot),
            Output::Lookup { lookup, keys } => {
                link.look_up(now + random_below(MAX_LOOKUP, rng), lookup, keys);
            }
            Output::Notice(_) => {}
            Output::HttpRequest { .. } | Output::CancelHttp { .. } => panic!("no application requests HTTP"),
            Output::Disconnect { reason } => {
                link.down.end(self.link_delay.after(now, rng));
                link.relay = None;
                self.trace.record(now, "cloud", || format!("link {id} ends: {reason:?}"));
                let left =
                    self.sockets.values().filter(|socket| socket.link == id && socket.has_relay).count();
                // A relay closes its connections itself before it ends; otherwise brokers would not see their ends.
                assert_eq!(left, 0, "a relay ended and left connections open");
            }
            Output::OpenConnection { connection, target } => {
                assert_eq!((&target.host[..], target.port), ("broker", 1883));
                let opens = self.socket_delay.after(now, rng);
                let name = self.next_id();
                self.sockets.insert(name, Socket::new(id, connection, opens));
            }
            Output::ConnectionSend { connection, bytes } => self.socket(id, connection).unsent.extend(bytes),
            Output::CloseConnection { connection, abort } => {
                let (keep, at) = (rng.below(200) as usize, self.socket_delay.after(now, rng));
                self.socket(id, connection).close(abort, keep, at);
            }
            Output::PauseReading { connection } => self.socket(id, connection).is_paused = true,
            Output::ResumeReading { connection } => self.socket(id, connection).is_paused = false,
        }
    }

    fn socket(&mut self, link: u32, connection: ConnectionId) -> &mut Socket {
        let is_named =
            |socket: &&mut Socket| socket.link == link && socket.id == connection && socket.has_relay;
        self.sockets.values_mut().find(is_named).expect("the relay names a connection it has")
    }

    // ---- sockets ----

    pub(super) fn move_socket(&mut self, id: u32) -> bool {
        if let Some(opens) = self.sockets[&id].opens {
            return opens <= self.now && self.open_socket(id);
        }
        let mut worked = self.write_socket(id);
        worked |= self.move_to_broker(id);
        worked |= self.move_to_relay(id);
        let socket = &self.sockets[&id];
        // Only when both ends have closed it.
        if !socket.has_relay && !socket.has_broker {
            self.sockets.remove(&id);
        }
        worked
    }

    /// Hands an input about a socket to its relay, unless that has closed it.
    fn notify_relay(&mut self, id: u32, input: impl FnOnce(ConnectionId) -> Input<'static>) {
        let socket = &self.sockets[&id];
        if socket.has_relay {
            self.drive_relay(socket.link, input(socket.id));
        }
    }

    fn open_socket(&mut self, id: u32) -> bool {
        let fails = self.now < self.broker_up_at || (!self.is_recovering && self.rng.one_in(15));
        if !self.sockets[&id].has_relay {
            self.sockets.remove(&id);
            return true;
        }
        if fails {
            let is_refused = self.rng.pick(&[true, false]);
            let error = if is_refused { ConnectError::Refused } else { ConnectError::NameNotResolved };
            self.notify_relay(id, |connection| Input::ConnectionFailed { connection, error });
            self.sockets.remove(&id);
            return true;
        }
        self.broker.connected(id);
        let socket = self.sockets.get_mut(&id).expect("it is in the list");
        (socket.opens, socket.has_broker) = (None, true);
        self.notify_relay(id, |connection| Input::ConnectionOpened { connection });
        true
    }

    fn write_socket(&mut self, id: u32) -> bool {
        let at = self.socket_delay.after(self.now, &mut self.rng);
        let socket = self.sockets.get_mut(&id).expect("it is in the list");
        let bytes = socket.write(at);
        if bytes > 0 {
            self.notify_relay(id, |connection| Input::ConnectionWritten { connection, bytes });
        }
        bytes > 0
    }

    fn move_to_broker(&mut self, id: u32) -> bool {
        let max = self.burst();
        let socket = self.sockets.get_mut(&id).expect("it is in the list");
        if !socket.has_broker {
            return false;
        }
        match socket.up.take(self.now, max) {
            Some(Arrival::Bytes(bytes)) => self.broker.receive(id, &bytes, &mut self.ledger),
            Some(Arrival::End) => {
                socket.has_broker = false;
                self.broker.disconnected(id);
            }
            None => return false,
        }
        true
    }

    fn move_to_relay(&mut self, id: u32) -> bool {
        let max = self.burst();
        let socket = self.sockets.get_mut(&id).expect("it is in the list");
        // A paused socket keeps its bytes, as TCP does, and so holds back the broker.
        if socket.is_paused || !socket.has_relay {
            return false;
        }
        let arrival = socket.down.take(self.now, max);
        let (connection, clean) = (socket.id, socket.clean);
        let link = socket.link;
        match arrival {
            Some(Arrival::Bytes(bytes)) => {
                self.drive_relay(link, Input::ConnectionReceived { connection, bytes: &bytes });
            }
            Some(Arrival::End) => {
                let end =
                    if clean { ConnectionEnd::Closed } else { ConnectionEnd::Failed(ConnectError::Socket) };
                self.notify_relay(id, |connection| Input::ConnectionClosed { connection, end });
                self.sockets.get_mut(&id).expect("it is in the list").has_relay = false;
            }
            None => return false,
        }
        true
    }

    // ---- broker ----

    pub(super) fn execute_for_broker(&mut self) -> bool {
        let mut worked = false;
        while let Some(action) = self.broker.poll() {
            let at = self.socket_delay.after(self.now, &mut self.rng);
            match action {
                Action::Send(id, bytes) => {
                    self.sockets
                        .get_mut(&id)
                        .into_iter()
                        .for_each(|socket| socket.down.send(at, bytes.clone()));
                }
                Action::Close(id) => {
                    if let Some(socket) = self.sockets.get_mut(&id) {
                        socket.has_broker = false;
                        socket.down.end(at);
                    }
                }
            }
            worked = true;
        }
        worked
    }
}

/// What takes the bytes a device's kernel sends: its link, if it has one.
fn transport<'a>(
    device: &mut Device,
    links: &'a mut BTreeMap<u32, Link>,
    delay: Delay,
    now: Instant,
    rng: &'a mut Rng,
) -> impl FnMut(Vec<u8>) + use<'a> {
    let mut link = device.link.and_then(|id| links.get_mut(&id));
    let in_flight = link.as_ref().map_or(0, |link| link.up.in_flight());
    device.host.set_transport(in_flight, rng.pick(&[1280, 1500, 4096]));
    move |bytes| {
        let link = link.as_mut().expect("a kernel sends only over a link");
        link.up.send(delay.after(now, rng), bytes);
    }
}
