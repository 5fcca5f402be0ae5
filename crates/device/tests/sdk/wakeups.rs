//! An answer may arrive at any moment of a loop that waits for it: none is missed.
//!
//! A program that checks a flag and clears it loses an event between the two, which a single run hardly ever hits. Here
//! an application waits for one answer after another, and each arrives one cycle later than the one before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use armv8m::Register;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Input, Machine, RestartPolicy, RunResult, Settings};

use crate::support::bench::{DEVICE_ID, MILLISECOND};
use crate::support::cloud::{Cloud, Script, place};
use crate::support::end::CloudEnd;

/// Cycles between looks at the link: a request is seen while the application is still on its way into the loop.
const PACE: u64 = 16;
/// Answers, each a cycle later than the one before: more than four rounds of the loop, which takes 32 cycles.
const ANSWERS: u64 = 180;
/// How often the loop has to come to the same instruction within [`ANSWERS`].
const ROUNDS: usize = 3;
/// Much longer than the application needs from an answer to its next request, and much shorter than it waits for an
/// answer that is missing.
const PATIENCE: u64 = 20 * MILLISECOND;

/// The measuring sample's image. It waits at one instruction, which is left out: a processor that sleeps cannot be
/// interrupted between two instructions of the loop.
fn spinning_image() -> Image {
    const WFI: [u8; 2] = [0x30, 0xBF];
    const NOP: [u8; 2] = [0x00, 0xBF];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/samples/bench/bench.bin");
    let mut bytes = std::fs::read(path).expect("a committed image");
    let mut places = bytes.chunks_exact_mut(2).filter(|half| **half == WFI);
    places.next().expect("it sleeps").copy_from_slice(&NOP);
    assert_eq!(places.count(), 0, "at one place");
    Image::parse(&bytes).expect("an image")
}

/// The application publishes one message after another, and waits for the answer to each.
fn script() -> Script {
    let answers = ANSWERS.to_string();
    let values = [
        ("broker-host", "broker.test"),
        ("broker-port", "1883"),
        ("publish-topic", "t"),
        ("bench-latency", answers.as_str()),
        ("bench-qos1", "0"),
        ("bench-qos0", "0"),
        ("bench-payload", "1"),
        ("bench-silence", "0"),
    ];
    let config = values.map(|(key, value)| ((place(true, true), key.to_owned()), value.into()));
    Script { config: BTreeMap::from(config), ..Script::default() }
}

struct Fixture {
    machine: Machine,
    cloud: Cloud,
}

impl Fixture {
    fn new() -> Self {
        let mut machine = Machine::new(Settings {
            device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
            image: spinning_image(),
            entropy: Arc::new(|| 0x5EED_0001),
            restart: RestartPolicy::default(),
            trace: false,
            attachments: Vec::new(),
        });
        while !machine.wants_link() {
            machine.run(PACE);
        }
        machine.handle(&Input::LinkConnecting).expect("accepted");
        machine.handle(&Input::LinkConnected).expect("accepted");
        Self { machine, cloud: Cloud::new(script()) }
    }

    /// Runs until the application has published its message `number`, and returns the cloud's answer. Everything before
    /// is answered at once.
    fn next_answer(&mut self, number: usize) -> Vec<u8> {
        let start = self.machine.now();
        loop {
            let is_idle = self.machine.run(PACE) == RunResult::Idle;
            let mut sent = [0; 4096];
            let length = self.machine.transmit(&mut sent);
            self.cloud.hear(0, &sent[..length]);
            let answer = self.cloud.speak();
            if self.cloud.published.len() == number {
                return answer;
            }
            if is_idle && answer.is_empty() {
                self.machine.pass_time(start + PATIENCE);
            }
            self.receive(&answer);
            let (waited, log) = (self.machine.now() - start, &self.cloud.log);
            assert!(waited < PATIENCE, "the answer to message {} was missed: {log:?}", number - 1);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.machine.handle(&Input::Received(bytes.into())).expect("a cloud that keeps the rules");
        }
    }
}

/// Shows D11, D12.
#[test]
fn an_answer_is_seen_whatever_instruction_of_the_waiting_loop_it_interrupts() {
    let mut fixture = Fixture::new();
    let mut interrupted = Vec::new();
    for number in 1..=ANSWERS {
        let answer = fixture.next_answer(number as usize);
        fixture.machine.run(number);
        interrupted.push(fixture.machine.register(Register::PC));
        fixture.receive(&answer);
    }
    interrupted.dedup();
    let last = interrupted.last().expect("one for each answer");
    let rounds = interrupted.iter().filter(|at| *at == last).count();
    assert!(rounds >= ROUNDS, "{rounds} rounds of the loop");
}
