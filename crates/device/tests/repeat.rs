//! Whole applications recorded against a cloud, and replayed without one.

#[path = "support/mod.rs"]
mod support;

use std::io::{self, Cursor, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use device::entropy::Seed;
use device::events::DeviceEvent;
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, Provisioning, RestartPolicy, Settings};
use device::recording::{Ending, Header, RecordedMachine, Recorder, Replay, Turn};
use link::http::HttpResult;
use support::bench::{Bench, DEVICE_ID};
use support::cloud::{HttpAnswer, HttpAsked, Script, place};
use support::relayed::Relayed;

#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hi(_: &HttpAsked) -> HttpAnswer {
    HttpAnswer { result: HttpResult::Ok, status: 200, headers: Vec::new(), body: b"hi".to_vec() }
}

fn script() -> Script {
    let mut script = Script { http: Some(hi), ..Script::default() };
    script.config.insert((place(true, true), "answer".to_owned()), b"42".to_vec());
    script
}

/// An application's life, and what was written down of it.
struct Lived {
    image: Image,
    recording: Vec<u8>,
    log: Vec<String>,
    events: Vec<DeviceEvent>,
}

/// Runs the test application `name` with the cloud's core until it ends, looking at the link every `pace` cycles.
fn live(name: &str, seed: &str, pace: u64) -> Lived {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../sdk/tests/apps/{name}/{name}.elf"));
    let image = Image::load(&path).expect("a committed image");
    let (tape, seed) = (Tape::default(), Seed::of_text(seed));
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&header(&image, seed)).expect("written");
    let settings = Settings {
        device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
        image: image.clone(),
        entropy: seed.entropy(),
        restart: RestartPolicy::default(),
        trace: false,
        attachments: Vec::new(),
    };
    let machine = Machine::with_provisioning(settings, Provisioning::default());
    let mut bench = Bench::around(RecordedMachine::new(machine, Some(recorder)), Relayed::new(script()));
    bench.pace = pace;
    bench.run_to_line(30_000, "END ");
    bench.machine.end();
    bench.events.extend(bench.machine.take_events());
    let recording = tape.0.lock().expect("no panic").clone();
    Lived { image, recording, log: support::end::CloudEnd::log(&bench.cloud).to_vec(), events: bench.events }
}

fn header(image: &Image, seed: Seed) -> Header {
    Header {
        device_id: DeviceId::parse(DEVICE_ID).expect("an id"),
        image: image.digest(),
        seed,
        restart: RestartPolicy::default(),
        policy: kernel::Policy::default(),
        factory_test: false,
        free_clock: false,
        poll_scale: 1,
        wifi: None,
        flash: Vec::new(),
        wiring: Vec::new(),
    }
}

/// Replays it; answers its end, its events, and what it sent to a cloud.
fn replay(lived: &Lived) -> (Ending, Vec<DeviceEvent>, Vec<u8>) {
    let from = Box::new(Cursor::new(lived.recording.clone()));
    let mut replay = Replay::from(from, &lived.image, Vec::new(), false).expect("a recording");
    loop {
        if let Turn::Ended(ending) = replay.turn() {
            return (ending, replay.take_events(), replay.take_sent());
        }
    }
}

/// Everything at once under a pre-emptive scheduler: MQTT, configuration and HTTP, timers and interrupts.
///
/// Shows D138, D140.
#[test]
fn an_application_with_pre_emptive_tasks_and_a_broker_is_replayed_exactly_without_a_cloud() {
    for pace in [160_000, 4_000] {
        let lived = live("scheduler", "a seed", pace);
        let (ending, events, sent) = replay(&lived);
        assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{ending:?}");
        assert_eq!(events, lived.events);
        let sent = String::from_utf8_lossy(&sent);
        for line in &lived.log {
            assert!(sent.contains(line.as_str()), "{line} went to the cloud again");
        }
        assert!(lived.log.iter().any(|line| line.starts_with("PASS ")));
    }
}

/// Shows D138, D139.
#[test]
fn the_same_seed_and_the_same_cloud_make_the_same_recording_bit_by_bit() {
    let (first, second) = (live("scheduler", "7", 160_000), live("scheduler", "7", 160_000));
    assert!(first.recording == second.recording, "the same inputs, the same digests, at the same cycles");
    assert_eq!(first.events, second.events);
    let other = live("scheduler", "8", 160_000);
    assert!(first.recording != other.recording, "another seed is another run");
}

/// Shows D11, D140.
#[test]
fn waiting_records_are_no_matter_of_the_hosts_time() {
    for name in ["one_record", "strict_types", "polled"] {
        for pace in [160_000, 777] {
            let (ending, ..) = replay(&live(name, "x", pace));
            assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{name}: {ending:?}");
        }
    }
}
