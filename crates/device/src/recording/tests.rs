use std::io::Write;
use std::sync::{Arc, Mutex};

use armv8m::{Register, Watchpoint};
use kernel::LinkLoss;
use sansio::{drive, drive_timeout};

use super::format::{read_entry, write_entry};
use super::*;
use crate::entropy::Seed;
use crate::identity::DeviceId;
use crate::machine::{DebuggerInput, InputError, Machine, RunResult, Settings};
use crate::pin::Pin;
use crate::stimulus::{self, Schedule};
use crate::testing::{self, Program, b_self, ldr, mov32, movs, str_, wfi};

/// Where a test's recording goes.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    pub(crate) fn bytes(&self) -> Vec<u8> {
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

pub(crate) fn header(program: &Program) -> Header {
    let settings = testing::settings(program);
    Header {
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

pub(crate) fn machine(program: &Program) -> Machine {
    let Header { policy, poll_scale, .. } = header(program);
    let provisioning = crate::machine::Provisioning { policy, poll_scale, ..Default::default() };
    Machine::with_provisioning(
        Settings { entropy: SEED.entropy(), ..testing::settings(program) },
        provisioning,
    )
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

/// Lets time pass up to `end` in pieces of any size, as a busy host does.
fn advance(machine: &mut RecordedMachine, end: u64, dice: &mut Dice) {
    while machine.now() < end && !machine.machine().is_halted() {
        let left = end - machine.now();
        if machine.run(left.min(1 + dice.below(60_000))) == RunResult::Idle && machine.now() < end {
            machine.pass_time(end.min(machine.now() + 1 + dice.below(60_000)));
        }
    }
}

fn digest(machine: &Machine) -> [u8; DIGEST] {
    EventDigest::new().with_state(machine)
}

/// Shows D138, D219.
#[test]
fn into_how_many_runs_time_is_cut_makes_no_difference() {
    const STEP: u64 = 320_000;
    for program in [busy(), resting(), spinning(), echoing(), asking()] {
        let mut machines = [1, 2, 3].map(|seed| (RecordedMachine::new(machine(&program), None), Dice(seed)));
        for (machine, _) in &mut machines {
            assert!(machine.handle(&Input::Serial { port: 1, bytes: b"hello, hello".into() }).is_ok());
        }
        for step in 1..=5 {
            let digests = machines.each_mut().map(|(machine, dice)| {
                advance(machine, step * STEP, dice);
                digest(machine.machine())
            });
            assert_eq!([digests[0]; 3], digests, "at {} cycles", step * STEP);
        }
    }
}

/// Records a run of `program`, with inputs at random times.
fn recorded(program: &Program, seed: u32) -> Vec<u8> {
    let tape = Tape::default();
    let mut recorder = Recorder::to(Box::new(tape.clone()));
    recorder.begin(&header(program)).expect("written");
    let (mut machine, mut dice) = (RecordedMachine::new(machine(program), Some(recorder)), Dice(seed));
    for round in 0..12 {
        let to = machine.now() + dice.below(400_000);
        advance(&mut machine, to, &mut dice);
        match dice.below(7) {
            0 => machine
                .handle(&Input::Pin { pin: Pin { port: 2, pin: 13 }, level: round % 2 == 0 })
                .expect("accepted"),
            1 => {
                let _ = machine.handle(&Input::Serial { port: 1, bytes: b"hello".into() });
            }
            2 => machine.handle(&Input::LinkConnecting).expect("accepted"),
            3 => machine
                .handle(&Input::LinkLost { kind: LinkLoss::Unreachable, cause: "connection refused".into() })
                .expect("accepted"),
            4 => drop(machine.run(1)),
            5 => machine.handle(&Input::TimeSkipped(1 + dice.below(10_000_000))).expect("accepted"),
            _ => drop(machine.transmit(&mut [0; 64])),
        }
        if dice.below(2) == 0 {
            machine.take_events();
        }
    }
    machine.end();
    tape.bytes()
}

pub(crate) fn replay(bytes: Vec<u8>, program: &Program) -> Ending {
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

/// Something a debugger does, most of it while the application is halted.
fn debugger_input(dice: &mut Dice) -> DebuggerInput<'static> {
    use DebuggerInput as D;
    const CODE: u32 = testing::CODE;
    let address = CODE + 2 * dice.below(40) as u32;
    let watchpoint = Watchpoint { range: 0x2000_1000..0x2000_1004, reads: true, writes: true };
    match dice.below(13) {
        0 => D::Attach,
        1 => D::Detach,
        2 => D::Halt,
        3 => D::Resume,
        4 => D::Step(CODE..CODE + dice.below(40) as u32),
        5 => D::Reset,
        6 => D::WriteRegister { register: Register::R(6), value: address },
        7 => D::WriteMemory { address: 0x2000_1000, bytes: address.to_le_bytes().to_vec().into() },
        8 => D::InsertBreakpoint(address),
        9 => D::RemoveBreakpoint(address),
        10 => D::InsertWatchpoint(watchpoint),
        11 => D::RemoveWatchpoint(watchpoint),
        // The receive register of a serial port, which reading empties.
        _ => D::ReadPeripherals { address: 0x4001_3824, length: 4 },
    }
}

/// Shows D133, D140.
#[test]
fn what_a_debugger_does_is_replayed_exactly() {
    for seed in 1..=12 {
        for program in [busy(), resting(), spinning(), echoing(), asking()] {
            let tape = Tape::default();
            let mut recorder = Recorder::to(Box::new(tape.clone()));
            recorder.begin(&header(&program)).expect("written");
            let (mut machine, mut dice) =
                (RecordedMachine::new(machine(&program), Some(recorder)), Dice(seed));
            for _ in 0..40 {
                let to = machine.now() + dice.below(100_000);
                advance(&mut machine, to, &mut dice);
                // A machine that refuses one of these is recorded as it is, too.
                let _ = machine.handle(&Input::Serial { port: 1, bytes: b"debug".into() });
                let _ = machine.handle(&Input::Debugger(debugger_input(&mut dice)));
                machine.check(Record::Check);
                if machine.machine().is_halted() && dice.below(3) == 0 {
                    machine.handle(&Input::TimeSkipped(dice.below(1_000_000))).expect("accepted");
                }
                if dice.below(2) == 0 {
                    machine.take_events();
                }
            }
            machine.end();
            let ending = replay(tape.bytes(), &program);
            assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "seed {seed}: {ending:?}");
        }
    }
}

/// Something a debugger does in a replay, any of it.
fn passive_input(dice: &mut Dice) -> DebuggerInput<'static> {
    use DebuggerInput as D;
    let code = |dice: &mut Dice| testing::CODE + 2 * dice.below(60) as u32;
    let length = 1 + dice.below(4) as u32;
    let watchpoint = Watchpoint { range: 0x2000_1000..0x2000_1000 + length, reads: true, writes: true };
    match dice.below(12) {
        0 => D::Halt,
        1 => D::InsertBreakpoint(code(dice)),
        2 => D::RemoveBreakpoint(code(dice)),
        3 => D::InsertWatchpoint(watchpoint),
        4 => D::RemoveWatchpoint(watchpoint),
        5 => D::InsertBreakpoint(0x0C1F_E010),
        6 => D::RemoveBreakpoint(0x0C1F_E010),
        7 => D::Resume,
        8 => D::Step(testing::CODE..code(dice)),
        _ => D::Step(0..0),
    }
}

/// Shows D138, D340.
#[test]
fn a_debugger_that_looks_on_changes_nothing_in_a_replay() {
    let mut stops = 0;
    for seed in 1..=12 {
        for program in [busy(), resting(), spinning(), echoing(), asking()] {
            let bytes = recorded(&program, seed);
            let image = program.image();
            let mut replay = Replay::from(Box::new(io::Cursor::new(bytes)), &image, Vec::new(), false)
                .expect("a recording");
            let mut dice = Dice(seed);
            replay.debugged().debug(DebuggerInput::Attach).expect("possible");
            let (mut memory, mut left) = ([0; 64], 2_000);
            let ending = loop {
                if let Turn::Ended(ending) = replay.turn() {
                    break ending;
                }
                let machine = replay.debugged();
                if left == 0 {
                    machine.debug(DebuggerInput::Detach).expect("possible");
                    continue;
                }
                left -= 1;
                stops += u32::from(machine.take_stop().is_some());
                let _ = machine.debug(passive_input(&mut dice));
                for peripheral in
                    [0x2000_1000, 0x4001_3800, 0x4000_1000, 0x420C_0800, 0xE000_E010, 0xE000_E100]
                {
                    machine.read_memory(peripheral, &mut memory);
                }
            };
            assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "seed {seed}: {ending:?}");
        }
    }
    assert!(stops > 10_000, "{stops}: it was stopped, not only run");
}

/// Shows D340.
#[test]
fn a_debugger_cannot_leave_the_recording() {
    use DebuggerInput as D;
    let program = busy();
    let bytes = recorded(&program, 1);
    let mut replay = Replay::from(Box::new(io::Cursor::new(bytes)), &program.image(), Vec::new(), false)
        .expect("a recording");
    let machine = replay.debugged();
    machine.debug(D::Attach).expect("possible");
    for input in [
        D::WriteRegister { register: Register::R(6), value: 1 },
        D::WriteMemory { address: 0x2000_1000, bytes: vec![1].into() },
        D::EraseFlash { address: testing::CODE, length: 2 },
        D::WriteFlash { address: testing::CODE, bytes: vec![1].into() },
        D::Reset,
    ] {
        assert_eq!(machine.debug(input.clone()), Err(InputError::NotPossible), "{input:?}");
    }
    // A word from the random number generator would be missing in the recorded run.
    assert_eq!(machine.read_memory(0x420C_0808, &mut [0; 4]), 0);
    machine.debug(D::Detach).expect("possible");
    while let Turn::Going = replay.turn() {}
}

/// A machine is driven like every core without I/O: its owner needs to know neither what it does nor for how long.
///
/// Shows D138.
#[test]
fn a_machine_is_driven_by_its_timeouts_and_gives_its_events() {
    let mut machine = machine(&echoing());
    let mut echo = Vec::new();
    let mut sink = |event| {
        if let DeviceEvent::Serial { bytes, .. } = event {
            echo.extend(bytes);
        }
    };
    let input = Input::Serial { port: 1, bytes: b"hello".into() };
    assert_eq!(drive(&mut machine, 10_000, input, &mut sink), Ok(()));
    while let Some(at) = sansio::StateMachine::next_timeout(&machine).filter(|at| *at < 1_600_000) {
        assert_eq!(drive_timeout(&mut machine, at, &mut sink), Ok(true));
    }
    assert_eq!(echo, b"hello");
    let nowhere = Input::Quantity { bus: 1, address: 0x18, name: "temperature".into(), value: 20.0 };
    let now = machine.now();
    assert_eq!(drive(&mut machine, now, nowhere, &mut |_| ()), Err(InputError::NotAccepted));
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
    let header = Header::read(&mut from).expect("a head");
    let (mut entries, mut cycle) = (Vec::new(), 0);
    while let Some(entry) = read_entry(&mut from, cycle).expect("entries") {
        cycle = entry.position.cycle;
        entries.push(entry);
    }
    // The device's first words come a cycle later.
    let mut other = Vec::new();
    Header { seed: Seed([8; 32]), ..header }.write(&mut other).expect("written");
    cycle = 0;
    for entry in entries {
        write_entry(entry.position, &entry.record, cycle, &mut other);
        cycle = entry.position.cycle;
    }
    let ending = replay(other, &program);
    let Ending::Diverged(divergence) = ending else { panic!("{ending:?}") };
    assert_eq!(divergence.what, "registers, memory or events differ");
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
    for other in [2, 4] {
        newer[8] = other;
        assert_eq!(said(&newer), format!("is a recording of version {other}; this program reads version 3"));
    }
    newer[8] = 3;
    newer.truncate(60);
    assert_eq!(said(&newer), "is a damaged recording: it ends too early");
    let ending = replay(recorded(&busy(), 1), &program);
    assert!(matches!(ending, Ending::Unreadable(RecordingError::OtherImage)), "{ending:?}");
}

/// One of each kind.
fn inputs() -> Vec<Input<'static>> {
    let mut inputs = vec![
        Input::Timeout,
        Input::Serial { port: 1, bytes: vec![0; 300].into() },
        Input::TimeSkipped(u64::MAX),
        Input::Pin { pin: Pin { port: 2, pin: 13 }, level: true },
        Input::Quantity { bus: 1, address: 0x18, name: "temperature".into(), value: -1.5 },
        Input::LinkConnecting,
        Input::LinkConnected,
        Input::LinkLost { kind: LinkLoss::Unreachable, cause: "gone".into() },
        Input::Received(vec![9; 16 * 1024].into()),
        Input::Shutdown,
    ];
    inputs.extend(debugger_inputs().into_iter().map(Input::Debugger));
    inputs
}

fn debugger_inputs() -> [DebuggerInput<'static>; 16] {
    use DebuggerInput as D;
    let watchpoint = Watchpoint { range: 0x2000_1000..0x2000_1004, reads: false, writes: true };
    let (address, length) = (0x4000_4424, 4);
    [
        D::Attach,
        D::Detach,
        D::HaltAtReset,
        D::Halt,
        D::Resume,
        D::Step(0x0800_0200..0x0800_0210),
        D::Reset,
        D::WriteRegister { register: Register::Psplim, value: u32::MAX },
        D::ReadPeripherals { address, length },
        D::WriteMemory { address, bytes: b"data".into() },
        D::EraseFlash { address, length },
        D::WriteFlash { address, bytes: vec![1; 4096].into() },
        D::InsertBreakpoint(address),
        D::RemoveBreakpoint(0),
        D::InsertWatchpoint(watchpoint.clone()),
        D::RemoveWatchpoint(watchpoint),
    ]
}

#[test]
fn every_entry_is_read_as_it_was_written() {
    let mut records: Vec<Record<'static>> = inputs().into_iter().map(Record::Input).collect();
    records.push(Record::Transmitted { length: 17, checksum: [1, 2, 3, 4] });
    records.extend([Record::Check([5; DIGEST]), Record::End([6; DIGEST])]);
    let run_states = [RunState::Ran, RunState::Idle, RunState::Passed].into_iter().cycle();
    let cycles = [0, 0, 127, 128, 1 << 40, u64::MAX].into_iter().chain(std::iter::repeat(u64::MAX));
    let positions = cycles.zip(run_states).map(|(cycle, run_state)| Position { cycle, run_state });
    let entries: Vec<_> =
        records.into_iter().zip(positions).map(|(record, position)| Entry { position, record }).collect();
    let (mut bytes, mut before) = (Vec::new(), 0);
    for entry in &entries {
        write_entry(entry.position, &entry.record, before, &mut bytes);
        before = entry.position.cycle;
    }
    let (mut from, mut before) = (&bytes[..], 0);
    for entry in &entries {
        let read = read_entry(&mut from, before).expect("readable").expect("there");
        assert_eq!(&read, entry);
        before = read.position.cycle;
    }
    assert!(read_entry(&mut from, before).expect("readable").is_none());
}

#[test]
fn the_header_is_read_as_it_was_written() {
    let header = Header {
        wiring: vec!["I2C1 0x18".into()],
        factory_test: true,
        free_clock: true,
        ..header(&resting())
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes).expect("written");
    assert_eq!(Header::read(&mut &bytes[..]).expect("readable"), header);
    assert_eq!(header.device_id, DeviceId::parse(testing::DEVICE_ID).expect("an id"));
}

/// Polls PC13 until it is high and keeps the cycle, as TIM2 counts, at 0x20002000; then sends what arrives at USART1
/// back.
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
fn a_schedule_is_exact_to_the_cycle_however_time_is_cut() {
    let mut digests = Vec::new();
    for seed in 1..=3 {
        let mut machine = RecordedMachine::new(machine(&timing_a_pin()), None);
        machine.set_schedule(stimuli(&STIMULI));
        assert_eq!(machine.next_timeout(), Some(4_000));
        advance(&mut machine, 800_000, &mut Dice(seed));
        let mut count = [0; 4];
        assert_eq!(machine.read_memory(0x2000_2000, &mut count), 4);
        let seen = u32::from_le_bytes(count);
        assert!((197_530 - 20..197_530 + 20).contains(&seen), "{seen}");
        let text = machine.take_events();
        let echo: Vec<u8> = text.into_iter().filter_map(serial).flatten().collect();
        assert_eq!(echo, b"hello");
        digests.push(digest(machine.machine()));
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
    recorder.begin(&header(&program)).expect("written");
    let mut machine = RecordedMachine::new(machine(&program), Some(recorder));
    machine.set_schedule(stimuli(&STIMULI));
    advance(&mut machine, 800_000, &mut Dice(1));
    machine.end();
    let ending = replay(tape.bytes(), &program);
    assert!(matches!(ending, Ending::Exact { is_whole: true, .. }), "{ending:?}");
}

/// Shows D216: a line that is full takes what was scheduled when it has room.
#[test]
fn bytes_of_a_schedule_wait_for_room_on_the_line() {
    let text = format!("serial:1={}@1ms", "x".repeat(4096));
    let mut machine = RecordedMachine::new(machine(&echoing()), None);
    machine.set_schedule(stimuli(&[&text, "serial:1=yz@1ms"]));
    advance(&mut machine, 4_200 * 13_890, &mut Dice(1));
    let echo: Vec<u8> = machine.take_events().into_iter().filter_map(serial).flatten().collect();
    assert_eq!((echo.len(), &echo[4094..]), (4098, &b"xxyz"[..]));
}
