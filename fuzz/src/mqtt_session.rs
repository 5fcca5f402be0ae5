//! An MQTT client: a broker's bytes, in chunks, between actions of the client.

use mqtt::{Client, ConnectOptions, Event, Filter, Input, Limits, Version};
use sansio::{Duration, Instant};

use crate::source::Source;

pub(crate) fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let version = [Version::V3_1_1, Version::V5][usize::from(source.u8() % 2)];
    let limits =
        Limits { events: 8, event_bytes: 2000, unacknowledged: 16, requests: 8, ..Limits::default() };
    let options = ConnectOptions {
        keep_alive: u16::from(source.u8()),
        receive_maximum: 8,
        maximum_packet_size: 1000,
        ..ConnectOptions::new(version, b"dev")
    };
    let mut client = Client::new(&options, limits, Instant::ZERO).expect("valid options");
    let mut fuzz = Fuzz { now: Instant::ZERO, pending: 0, deliveries: Vec::new(), unread: Vec::new() };
    while !source.is_empty() {
        fuzz.step(&mut client, &mut source);
        assert!(client.pending_events() <= 8 + 8 && client.pending_event_bytes() <= 2000 + 1000);
        assert!(client.untransmitted() < 200_000, "{} bytes wait", client.untransmitted());
    }
}

struct Fuzz {
    now: Instant,
    /// Requests without an answer so far.
    pending: i32,
    deliveries: Vec<mqtt::DeliveryId>,
    /// Bytes that the client has not read yet.
    unread: Vec<u8>,
}

impl Fuzz {
    fn step(&mut self, client: &mut Client, source: &mut Source<'_>) {
        match source.u8() % 8 {
            0..=2 => self.receive(client, source.run()),
            3 => self.request(client, source),
            4 => self.read(client, source.u8()),
            5 => self.write(client),
            6 => {
                self.now += Duration::from_millis(u64::from(source.u16()));
                let _ = client.handle(self.now, Input::Timeout);
            }
            _ => {
                let index = usize::from(source.u8());
                if index == 255 {
                    client.disconnect(0);
                } else if index < self.deliveries.len() {
                    let _ = client.acknowledge(self.deliveries.swap_remove(index));
                }
            }
        }
    }

    fn receive(&mut self, client: &mut Client, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        loop {
            let mut rest = &self.unread[..];
            if client.handle(self.now, Input::Received(&mut rest)).is_err() {
                return self.unread.clear();
            }
            let count = self.unread.len() - rest.len();
            self.unread.drain(..count);
            if count == 0 || self.unread.is_empty() {
                return;
            }
        }
    }

    fn request(&mut self, client: &mut Client, source: &mut Source<'_>) {
        let token = u32::from(source.u8());
        let accepted = match source.u8() % 3 {
            0 => {
                let qos = source.u8() % 2;
                client.publish(token, source.run(), source.run(), qos, false).is_ok()
            }
            1 => {
                let filter = Filter {
                    topic: source.run(),
                    qos: source.u8() % 2,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                };
                client.subscribe(token, &[filter]).is_ok()
            }
            _ => client.unsubscribe(token, &[source.run()]).is_ok(),
        };
        self.pending += i32::from(accepted);
    }

    fn read(&mut self, client: &mut Client, max: u8) {
        for _ in 0..max {
            match client.poll(self.now) {
                None => return,
                Some(Event::Published { .. } | Event::Subscribed { .. } | Event::Unsubscribed { .. }) => {
                    self.pending -= 1;
                    assert!(self.pending >= 0, "an answer without its request");
                }
                Some(Event::Message(message)) => self.deliveries.extend(message.delivery),
                Some(_) => {}
            }
        }
    }

    fn write(&mut self, client: &mut Client) {
        let mut out = Vec::new();
        client.transmit(&mut out);
        client.handle(self.now, Input::Transmitted(out.len())).expect("this input never fails");
    }
}
