use std::io::Write;
use std::sync::{Arc, Mutex};

use super::format::{read_entry, write_entry};
use super::*;
use crate::chance::Seed;
use crate::identity::DeviceId;
use crate::machine::{Machine, Ran, Settings};
use crate::stimulus::{self, Schedule};
use crate::testing::{self, Program, b_self, ldr, mov32, movs, str_, wfi};

/// Where a test's recording goes.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const SEED: Seed = Seed([7; 32]);

fn head(program: &Program) -> Head {
    let settings = testing::settings(program);
    Head {
        device_id: settings.device_id,
        image: program.image().digest(),
        seed: SEED,
        restart: settings.restart,
        policy: kernel::Policy { minimum_check_in_time_sec: 3600, connection_grace_time_sec: 9 },
        factory_test: false,
        free_clock: false,
        poll_scale: 3,
        wifi: Some((b"home".to_vec(), true)),
        flash: vec![1, 2, 3],
        wiring: Vec::new(),
    }
}

fn machine(program: &Program) -> Machine {
    let Head { policy, poll_scale, .. } = head(program);
    let provisions = crate::machine::Provisions { policy, poll_scale, ..Default::default() };
    Machine::provisioned(Settings { chance: SEED.chance(), ..testing::settings(program) }, provisions)
}

/// TIM6 every 100 us, whose handler adds a random word and the counter of TIM2 to a sum; in between, a sum of its own.
fn busy() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x420C_0800)).add(movs(1, 4)).add(str_(1, 0, 0)); // RNG on
    program.add(mov32(0, 0x4000_0000)).add(movs(1, 1)).add(str_(1, 0, 0)); // TIM2 counts
    program.add(mov32(0, 0x4000_1000));
    for (offset, value) in [(0x28, 159), (0x2C, 99), (0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    program.add(mov32(3, 0x2000_2000));
    program.add(ldr(1, 3, 0)).add([0x3101]).add(str_(1, 3, 0)); // adds r1, #1
    program.add([0xE7FB]); // b to the load
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1010)).add(movs(1, 0)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x420C_0808)).add(ldr(0, 0, 0)); // a random word
    program.add(mov32(2, 0x4000_0024)).add(ldr(2, 2, 0)); // TIM2_CNT
    program.add(mov32(1, 0x2000_1000)).add(ldr(3, 1, 0));
    program.add([0x18C0]).add([0x1880]).add(str_(0, 1, 0)); // adds r0, r0, r3; adds r0, r0, r2
    program.add([0x4770]);
    program
}

/// The same, asleep between the ticks.
fn resting() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_1000));
    for (offset, value) in [(0x28, 159), (0x2C, 999), (0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1010)).add(movs(1, 0)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x2000_1000)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0));
    program.add([0x4770]);
    program
}

fn spinning() -> Program {
    let mut program = Program::new();
    program.add(b_self());
    program
}

/// Sends back what arrives at USART1, which it polls both ways.
fn echoing() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4001_3800)).add(mov32(1, 1389)).add(str_(1, 0, 0x0C));
    program.add(movs(1, 0xD)).add(str_(1, 0, 0));
    let again = program.here();
    program.add(ldr(1, 0, 0x1C)).add([0x0689, 0x0FC9, 0x2901]).bne(again); // ISR; lsls #26; lsrs #31: RXNE
    program.add(ldr(2, 0, 0x24)).add(str_(2, 0, 0x28));
    let poll = program.here();
    program.add(ldr(1, 0, 0x1C)).add([0x0649, 0x0FC9, 0x2901]).bne(poll); // TC
    let back = (program.here() + 2 - again) as u16;
    program.add([0xE800 - back]); // b to the first loop
    program
}

/// Asks for the time again and again and keeps it, with the ticks of [`resting`].
fn asking() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_1000));
    for (offset, value) in [(0x28, 159), (0x2C, 999), (0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    let top = program.here();
    program.add(mov32(0, 0x2000_2000)).call(0x0C1F_E011); // mvGetMicroseconds
    program.add(mov32(1, 0x2000_2000)).add(ldr(2, 1, 0)).add(str_(2, 1, 0x20));
    program.add([0x2F01]).bne(top).add(b_self()); // cmp r7, #1
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1010)).add(movs(1, 0)).add(str_(1, 0, 0));
    program.add(mov32(0, 0x2000_1000)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0));
    program.add([0x4770]);
    program
}

/// Numbers for a test to choose by (Numerical Recipes).
struct Dice(u32);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from(self.0 >> 8) % end
    }
}

/// Lets time go on up to `end` in pieces of any size, as a host with its own worries does.
fn go_on(machine: &mut Taped, end: u64, dice: &mut Dice) {
    while machine.now() < end {
        let left = end - machine.now();
        if machine.run(left.min(1 + dice.below(60_000))) == Ran::Idle && machine.now() < end {
            machine.pass_time(end.min(machine.now() + 1 + dice.below(60_000)));
        }
    }
}

fn digest(machine: &Machine) -> [u8; DIGEST] {
    Trail::new().digest(machine)
}

/// Shows D138, D219.
#[test]
fn into_how_many_runs_time_is_cut_makes_no_difference() {
    const STEP: u64 = 320_000;
    for program in [busy(), resting(), spinning(), echoing(), asking()] {
        let mut machines = [1, 2, 3].map(|seed| (Taped::new(machine(&program), None), Dice(seed)));
        for (machine, _) in &mut machines {
            assert!(machine.send_serial(1, b"hello, hello"));
        }
        for step in 1..=5 {
            let digests = machines.each_mut().map(|(machine, dice)| {
                go_on(machine, step * STEP, dice);
                digest(machine)
            });
            assert_eq!([digests[0]; 3], digests, "at {} cycles", step * STEP);
        }
    }
}

/// Records a stretch of `program`'s life, with inputs at moments of chance.
fn recorded(program: &Program, seed: u32) -> Vec<u8> {
    let tape = Tape::default();
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&head(program)).expect("written");
    let (mut machine, mut dice) = (Taped::new(machine(program), Some(recorder)), Dice(seed));
    for round in 0..12 {
        let to = machine.now() + dice.below(400_000);
        go_on(&mut machine, to, &mut dice);
        match dice.below(7) {
            0 => machine.drive_pin(2, 13, round % 2 == 0),
            1 => drop(machine.send_serial(1, b"hello")),
            2 => machine.link_connecting(),
            3 => machine.link_lost(LinkLoss::Unreachable, "nothing listens there".into()),
            4 => drop(machine.run(1)),
            5 => machine.skip_time(1 + dice.below(10_000_000)),
            _ => drop(machine.transmit(&mut [0; 64])),
        }
        if dice.below(2) == 0 {
            machine.take_events();
        }
    }
    machine.end();
    tape.bytes()
}

fn replay(bytes: Vec<u8>, program: &Program) -> Ending {
    let replay = Replay::from(Box::new(io::Cursor::new(bytes)), &program.image(), Vec::new(), false);
    let mut replay = match replay {
        Ok(replay) => replay,
        Err(error) => return Ending::Unreadable(error),
    };
    loop {
        if let Turn::Ended(ending) = replay.turn() {
            return ending;
        }
    }
}

/// Shows D140.
#[test]
fn a_recording_is_replayed_exactly() {
    for seed in 1..=4 {
        for program in [busy(), resting(), spinning(), echoing(), asking()] {
            let ending = replay(recorded(&program, seed), &program);
            assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "seed {seed}: {ending:?}");
        }
    }
}

/// Shows D140.
#[test]
fn a_recording_that_was_cut_off_is_replayed_as_far_as_it_goes() {
    let program = resting();
    let whole = recorded(&program, 1);
    let end = 1 + DIGEST;
    let ending = replay(whole[..whole.len() - end].to_vec(), &program);
    assert!(matches!(ending, Ending::Exact { is_whole: false, .. }), "{ending:?}");
}

/// Shows D140.
#[test]
fn another_input_is_seen_as_a_divergence() {
    let program = busy();
    let bytes = recorded(&program, 2);
    let mut from = io::Cursor::new(&bytes);
    let head = Head::read(&mut from).expect("a head");
    let (mut entries, mut cycle) = (Vec::new(), 0);
    while let Some(entry) = read_entry(&mut from, cycle).expect("entries") {
        cycle = entry.cycle;
        entries.push(entry);
    }
    // The device's first words come a cycle later.
    let mut other = Vec::new();
    Head { seed: Seed([8; 32]), ..head }.write(&mut other).expect("written");
    cycle = 0;
    for entry in entries {
        write_entry(&entry, cycle, &mut other);
        cycle = entry.cycle;
    }
    let ending = replay(other, &program);
    let Ending::Diverged(divergence) = ending else { panic!("{ending:?}") };
    assert_eq!(divergence.what, "registers, memory or what was told are others");
}

/// Shows D140.
#[test]
fn a_damaged_recording_never_is_more_than_an_error() {
    let program = resting();
    let whole = recorded(&program, 3);
    for end in (0..whole.len().min(600)).step_by(9) {
        replay(whole[..end].to_vec(), &program);
    }
    let mut dice = Dice(5);
    for _ in 0..40 {
        let mut bytes = whole.clone();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        // A number may have become very large, and with it the time to its cycle.
        let Ok(mut replay) =
            Replay::from(Box::new(io::Cursor::new(bytes)), &program.image(), Vec::new(), false)
        else {
            continue;
        };
        for _ in 0..20 {
            if let Turn::Ended(_) = replay.turn() {
                break;
            }
        }
    }
}

#[test]
fn what_is_no_recording_is_refused_in_one_line() {
    let program = resting();
    let said = |bytes: &[u8]| match replay(bytes.to_vec(), &program) {
        Ending::Unreadable(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(b""), "is no recording of a device");
    assert_eq!(said(b"\x7fELF and so on"), "is no recording of a device");
    let mut newer = recorded(&program, 1);
    newer[8] = 3;
    assert_eq!(said(&newer), "is a recording of version 3; expected version 2");
    newer[8] = 2;
    newer.truncate(60);
    assert_eq!(said(&newer), "is a damaged recording: it ends too early");
    let ending = replay(recorded(&busy(), 1), &program);
    assert!(matches!(ending, Ending::Unreadable(RecordingError::OtherImage)), "{ending:?}");
}

#[test]
fn every_entry_is_read_as_it_was_written() {
    let inputs = [
        Input::Serial { port: 1, bytes: vec![0; 300] },
        Input::TimeSkipped(u64::MAX),
        Input::Pin { port: 2, pin: 13, level: true },
        Input::Quantity { bus: 1, address: 0x18, name: "temperature".into(), value: -1.5 },
        Input::LinkConnecting,
        Input::LinkConnected,
        Input::LinkLost { kind: LinkLoss::Unreachable, text: "gone".into() },
        Input::Received(vec![9; 16 * 1024]),
        Input::Transmitted { length: 17, sum: [1, 2, 3, 4] },
        Input::Farewell,
        Input::Check([5; DIGEST]),
        Input::End([6; DIGEST]),
    ];
    let stances = [Stance::Ran, Stance::Idle, Stance::Passed].into_iter().cycle();
    let cycles = [0, 0, 127, 128, 1 << 40, u64::MAX].into_iter().chain(std::iter::repeat(u64::MAX));
    let entries: Vec<_> = inputs
        .into_iter()
        .zip(stances)
        .zip(cycles)
        .map(|((input, stance), cycle)| Entry { cycle, stance, input })
        .collect();
    let (mut bytes, mut before) = (Vec::new(), 0);
    for entry in &entries {
        write_entry(entry, before, &mut bytes);
        before = entry.cycle;
    }
    let (mut from, mut before) = (&bytes[..], 0);
    for entry in &entries {
        let read = read_entry(&mut from, before).expect("readable").expect("there");
        assert_eq!(&read, entry);
        before = read.cycle;
    }
    assert!(read_entry(&mut from, before).expect("readable").is_none());
}

#[test]
fn the_head_is_read_as_it_was_written() {
    let head =
        Head { wiring: vec!["I2C1 0x18".into()], factory_test: true, free_clock: true, ..head(&resting()) };
    let mut bytes = Vec::new();
    head.write(&mut bytes).expect("written");
    assert_eq!(Head::read(&mut &bytes[..]).expect("readable"), head);
    assert_eq!(head.device_id, DeviceId::parse(testing::DEVICE_ID).expect("an id"));
}

/// Polls PC13 until it is high and keeps the cycle, as TIM2 counts, at 0x20002000; then sends what arrives at USART1 back.
fn timing_a_pin() -> Program {
    let mut program = Program::new();
    program.add(mov32(3, 0x4000_0000)).add(movs(1, 1)).add(str_(1, 3, 0)); // TIM2 counts
    program.add(mov32(0, 0x4202_0800)).add(mov32(1, !(3 << 26))).add(str_(1, 0, 0)); // PC13: input
    let again = program.here();
    program.add(ldr(1, 0, 0x10)).add([0x0489, 0x0FCA, 0x2A01]).bne(again); // IDR; lsls #18; lsrs r2, #31; cmp r2, #1
    program.add(ldr(1, 3, 0x24)).add(mov32(2, 0x2000_2000)).add(str_(1, 2, 0));
    program.append(&echoing());
    program
}

fn stimuli(texts: &[&str]) -> Schedule {
    Schedule::new(texts.iter().map(|text| stimulus::parse(text).expect("a stimulus")).collect())
}

const STIMULI: [&str; 3] = ["PC13=1@1234.567us", "PC13=0@2ms", "serial:1=hello@3ms"];

/// Shows D216, D138.
#[test]
fn a_schedule_is_kept_to_the_cycle_however_time_is_cut() {
    let mut digests = Vec::new();
    for seed in 1..=3 {
        let mut machine = Taped::new(machine(&timing_a_pin()), None);
        machine.follow(stimuli(&STIMULI));
        assert_eq!(machine.next_event(), Some(197_530));
        go_on(&mut machine, 800_000, &mut Dice(seed));
        let mut count = [0; 4];
        assert_eq!(machine.unrecorded().inspect(0x2000_2000, &mut count), 4);
        let seen = u32::from_le_bytes(count);
        assert!((197_530 - 20..197_530 + 20).contains(&seen), "{seen}");
        let told = machine.take_events();
        let echo: Vec<u8> = told.into_iter().filter_map(serial).flatten().collect();
        assert_eq!(echo, b"hello");
        digests.push(digest(&machine));
    }
    assert!(digests.iter().all(|other| *other == digests[0]));
}

fn serial(event: DeviceEvent) -> Option<Vec<u8>> {
    match event {
        DeviceEvent::Serial { bytes, .. } => Some(bytes),
        _ => None,
    }
}

/// Shows D216: a replay needs no schedule.
#[test]
fn what_a_schedule_did_is_in_the_recording() {
    let program = timing_a_pin();
    let tape = Tape::default();
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&head(&program)).expect("written");
    let mut machine = Taped::new(machine(&program), Some(recorder));
    machine.follow(stimuli(&STIMULI));
    go_on(&mut machine, 800_000, &mut Dice(1));
    machine.end();
    let ending = replay(tape.bytes(), &program);
    assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{ending:?}");
}

/// Shows D216: a line that is full takes what was scheduled when it has room.
#[test]
fn bytes_of_a_schedule_wait_for_room_on_the_line() {
    let text = format!("serial:1={}@1ms", "x".repeat(4096));
    let mut machine = Taped::new(machine(&echoing()), None);
    machine.follow(stimuli(&[&text, "serial:1=yz@1ms"]));
    go_on(&mut machine, 4_200 * 13_890, &mut Dice(1));
    let echo: Vec<u8> = machine.take_events().into_iter().filter_map(serial).flatten().collect();
    assert_eq!((echo.len(), &echo[4094..]), (4098, &b"xxyz"[..]));
}
