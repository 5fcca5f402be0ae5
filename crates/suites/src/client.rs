//! Client cases: the suite plays the broker, without a network, for a client has none.

use mqtt::{Client, ConnectOptions, Event, Input, Limits, Version};
use sansio::Instant;

use crate::cases::{Case, Step};
use crate::packet;
use crate::table::Outcome;

/// The QoS 1 message a living client acknowledges, and its PUBACK: topic `alive`, packet identifier 65535.
const ALIVE_3: &[u8] = b"\x32\x09\x00\x05alive\xff\xff";
const ALIVE_5: &[u8] = b"\x32\x0a\x00\x05alive\xff\xff\x00";
const ALIVE_ANSWER: &[u8] = b"\x40\x02\xff\xff";
/// CONNACKs that accept; version 5 with a Receive Maximum of 20, as the suite's.
const CONNACK_3: &[u8] = b"\x20\x02\x00\x00";
const CONNACK_5: &[u8] = b"\x20\x06\x00\x00\x03\x21\x00\x14";
/// No case takes time.
const NOW: Instant = Instant::ZERO;

/// Runs all cases.
pub(crate) fn run(cases: &[Case]) -> Vec<Outcome> {
    eprintln!("client cases: {}", cases.len());
    cases.iter().map(|case| Outcome { case: case.name.clone(), difference: run_case(case).err() }).collect()
}

/// Runs one case; a difference names the deviations from MQTT that the client tolerated (D192).
fn run_case(case: &Case) -> Result<(), String> {
    let mut scripted = ScriptedClient::new(case.version)?;
    play(&mut scripted, case).map_err(|difference| {
        let deviations = scripted.client.take_deviations();
        let tolerated: Vec<&str> = deviations.iter().map(|(deviation, _)| deviation.label()).collect();
        if tolerated.is_empty() {
            difference
        } else {
            format!("{difference}; tolerated: {}", tolerated.join(", "))
        }
    })
}

fn play(scripted: &mut ScriptedClient, case: &Case) -> Result<(), String> {
    let connect = scripted.next_packet().ok_or("no CONNECT")?;
    if connect[0] != 0x10 {
        return Err(format!("not a CONNECT: {connect:02x?}"));
    }
    if case.connack {
        scripted.feed(if case.version == 5 { CONNACK_5 } else { CONNACK_3 });
    }
    if let Some(command) = &case.command {
        scripted.obey(command)?;
    }
    for (index, step) in case.steps.iter().enumerate() {
        match step {
            Step::Send(bytes) => scripted.feed(bytes),
            Step::Receive(expected) => scripted.expect(expected, index == 0 && case.command.is_some())?,
            Step::Publish { .. } => return Err("a step for brokers".into()),
        }
    }
    scripted.check_end(case.expect_disconnect)
}

/// The client under test and what plays its application.
struct ScriptedClient {
    client: Client,
    version: u8,
    /// What the client has sent and no step has examined.
    sent: Vec<u8>,
}

impl ScriptedClient {
    fn new(level: u8) -> Result<Self, String> {
        let version = match level {
            4 => Version::V3_1_1,
            5 => Version::V5,
            _ => return Err(format!("protocol level {level} is not spoken")),
        };
        let options = ConnectOptions::new(version, b"suite");
        let client = Client::new(&options, Limits::default(), NOW).map_err(|error| error.to_string())?;
        let mut scripted = Self { client, version: level, sent: Vec::new() };
        scripted.collect();
        Ok(scripted)
    }

    /// Gives the client bytes, acknowledging each message as an application would.
    fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let offered = rest.len();
            let outcome = self.client.handle(NOW, Input::Received(&mut rest));
            self.collect();
            if outcome.is_err() || rest.len() == offered {
                return;
            }
        }
    }

    /// Polls the events and collects what is sent.
    fn collect(&mut self) {
        while let Some(event) = self.client.poll(NOW) {
            if let Event::Message(mqtt::Message { delivery: Some(delivery), .. }) = event {
                // Unknown only when the connection has ended, which the end of the case checks.
                let _ = self.client.acknowledge(delivery);
            }
        }
        let before = self.sent.len();
        self.client.transmit(&mut self.sent);
        let transmitted = Input::Transmitted(self.sent.len() - before);
        self.client.handle(NOW, transmitted).expect("this input never fails");
    }

    fn obey(&mut self, command: &str) -> Result<(), String> {
        let done = match command {
            "publish-1" => self.client.publish(1, b"test/publish", b"message", 1, false),
            "publish-2" => self.client.publish(1, b"test/publish", b"message", 2, false),
            "unsubscribe" => self.client.unsubscribe(1, &[b"test/subscribe"]),
            _ => return Err(format!("a command that is not known: {command}")),
        };
        self.collect();
        done.map_err(|refused| format!("{command}: {refused}"))
    }

    fn next_packet(&mut self) -> Option<Vec<u8>> {
        let packet = packet::first(&self.sent)?.to_vec();
        self.sent.drain(..packet.len());
        Some(packet)
    }

    /// `is_request`: the packet the command gave. Its properties are the suite's own client's, so that its type counts.
    fn expect(&mut self, expected: &[u8], is_request: bool) -> Result<(), String> {
        let got = self.next_packet().ok_or("nothing is sent")?;
        let agrees = if is_request { expected[0] == got[0] } else { packet::agree(expected, &got) };
        if agrees { Ok(()) } else { Err(format!("expected {expected:02x?}, got {got:02x?}")) }
    }

    /// Whether the client still acknowledges a message, as expected.
    fn check_end(&mut self, expect_disconnect: bool) -> Result<(), String> {
        self.sent.clear();
        self.feed(if self.version == 5 { ALIVE_5 } else { ALIVE_3 });
        let is_alive = self.next_packet().is_some_and(|packet| packet::agree(ALIVE_ANSWER, &packet));
        match (is_alive, expect_disconnect) {
            (true, true) => Err("still connected".into()),
            (false, false) => Err("the client closed the connection".into()),
            _ => Ok(()),
        }
    }
}
