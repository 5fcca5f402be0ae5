//! An MQTT session: a broker's bytes, in pieces, between the client's own doings.

use mqtt::{ConnectOptions, Event, Filter, Limits, Session, Version};

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
    let mut session = Session::new(&options, limits, 0).expect("valid options");
    let mut fuzz = Fuzz { now: 0, owed: 0, deliveries: Vec::new(), unread: Vec::new() };
    while !source.is_empty() {
        fuzz.step(&mut session, &mut source);
        assert!(session.undelivered() <= 8 + 8 && session.undelivered_bytes() <= 2000 + 1000);
        assert!(session.untransmitted() < 200_000, "{} bytes wait", session.untransmitted());
    }
}

struct Fuzz {
    now: u64,
    /// Requests without an answer so far.
    owed: i32,
    deliveries: Vec<mqtt::DeliveryId>,
    /// What the session did not take yet.
    unread: Vec<u8>,
}

impl Fuzz {
    fn step(&mut self, session: &mut Session, source: &mut Source<'_>) {
        match source.u8() % 8 {
            0..=2 => self.receive(session, source.run()),
            3 => self.request(session, source),
            4 => self.read(session, source.u8()),
            5 => self.write(session),
            6 => {
                self.now += u64::from(source.u16());
                let _ = session.handle_timeout(self.now);
            }
            _ => {
                let index = usize::from(source.u8());
                if index == 255 {
                    session.disconnect(0);
                } else if index < self.deliveries.len() {
                    let _ = session.acknowledge(self.deliveries.swap_remove(index));
                }
            }
        }
    }

    fn receive(&mut self, session: &mut Session, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Ok(count) = session.receive(self.now, &self.unread) {
            assert!(count <= self.unread.len());
            self.unread.drain(..count);
            if count == 0 || self.unread.is_empty() {
                return;
            }
        }
        self.unread.clear();
    }

    fn request(&mut self, session: &mut Session, source: &mut Source<'_>) {
        let token = u32::from(source.u8());
        let accepted = match source.u8() % 3 {
            0 => {
                let qos = source.u8() % 2;
                session.publish(token, source.run(), source.run(), qos, false).is_ok()
            }
            1 => {
                let filter = Filter {
                    topic: source.run(),
                    qos: source.u8() % 2,
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                };
                session.subscribe(token, &[filter]).is_ok()
            }
            _ => session.unsubscribe(token, &[source.run()]).is_ok(),
        };
        self.owed += i32::from(accepted);
    }

    fn read(&mut self, session: &mut Session, most: u8) {
        for _ in 0..most {
            match session.poll_event() {
                None => return,
                Some(Event::Published { .. } | Event::Subscribed { .. } | Event::Unsubscribed { .. }) => {
                    self.owed -= 1;
                    assert!(self.owed >= 0, "an answer nobody waits for");
                }
                Some(Event::Message(message)) => self.deliveries.extend(message.delivery),
                Some(_) => {}
            }
        }
    }

    fn write(&mut self, session: &mut Session) {
        let mut out = Vec::new();
        session.transmit(&mut out);
        session.transmitted(self.now, out.len());
    }
}
