//! Calls that need something of the device itself: power, storage, the system LED, fast lines, factory tests.

use super::*;

/// WELCOME: version 1, keepalive 60 s, window 16384, wall clock 0, logging on.
pub(super) const WELCOME: [u8; 9] = [0x00, 0x0E, 0x01, 0x3C, 0x80, 0x80, 0x01, 0x00, 0x01];

const BUSY: u32 = Status::MicrovisorBusy.raw();

pub(super) fn entry(call: Call) -> u32 {
    ENTRY_PAGE.start + call.slot() + 1
}

/// Calls `call` with `arguments` and stores the status at `RESULT + at`.
pub(super) fn add_call(program: &mut Program, call: Call, arguments: &[u32], at: u16) {
    for (register, argument) in (0..).zip(arguments) {
        program.add(mov32(register, *argument));
    }
    program.call(entry(call));
    program.add(mov32(5, RESULT)).add(str_(0, 5, at));
}

/// Writes words into RAM.
pub(super) fn add_words(program: &mut Program, address: u32, words: &[u32]) {
    program.add(mov32(6, address));
    for (offset, word) in (0..).step_by(4).zip(words) {
        program.add(mov32(7, *word)).add(str_(7, 6, offset));
    }
}

pub(super) const CENTRE_SETUP: u32 = RESULT + 0x200;
pub(super) const NETWORK_PARAMS: u32 = RESULT + 0x220;
pub(super) const NETWORK: u32 = RESULT + 0x240;

/// Requests the network and releases it, so that it is the application that decides and it decides to be offline. The
/// time of start goes to `RESULT + 0x40`, the wake reason to `RESULT + 0x48`.
pub(super) fn going_offline() -> Program {
    let mut program = Program::new();
    add_call(&mut program, Call::GetMicroseconds, &[RESULT + 0x40], 0x50);
    add_call(&mut program, Call::GetWakeReason, &[RESULT + 0x48], 0x50);
    add_words(&mut program, CENTRE_SETUP, &[41, RESULT + 0x300, 64]);
    add_call(&mut program, Call::SetupNotifications, &[CENTRE_SETUP, NETWORK_PARAMS + 4], 0x54);
    add_words(&mut program, NETWORK_PARAMS, &[1]);
    add_call(&mut program, Call::RequestNetwork, &[NETWORK_PARAMS, NETWORK], 0x58);
    add_call(&mut program, Call::ReleaseNetwork, &[NETWORK], 0x5C);
    program
}

/// Goes back to `again` while r0 says that the kernel is busy.
fn while_busy(program: &mut Program, again: usize) {
    program.add([0x2800 | BUSY as u16]); // cmp r0, #busy
    let back = program.here() + 2 - again;
    program.add([0xD000 | (0x100 - back as u16)]); // beq
}

/// Goes offline and calls `call` until it is no longer refused; leaves the status at [`RESULT`] and stops in a wait.
fn offline_calling(call: Call, argument: u32) -> Program {
    let mut program = going_offline();
    let again = program.here();
    add_call(&mut program, call, &[argument], 0);
    while_busy(&mut program, again);
    program.add(wfi()).add([0xE7FD]);
    program
}

/// Makes the connection the kernel wants, has it welcomed, and ends it when it is no longer needed.
pub(super) fn connect_and_part(machine: &mut Machine) {
    let mut out = [0; 4096];
    machine.run(20_000);
    assert!(machine.wants_link());
    machine.handle(&Input::LinkConnecting).expect("accepted");
    machine.handle(&Input::LinkConnected).expect("accepted");
    machine.transmit(&mut out);
    machine.handle(&Input::Received((&WELCOME).into())).expect("welcome");
    machine.run(20_000);
    assert!(!machine.wants_link());
    machine.transmit(&mut out);
    machine
        .handle(&Input::LinkLost { kind: LinkLoss::Requested, cause: "no longer needed".into() })
        .expect("accepted");
}

#[test]
fn power_is_not_saved_while_the_network_is_in_use() {
    let mut machine = machine(&offline_calling(Call::PowerSave, 0));
    assert_eq!(machine.run(20_000), RunResult::Busy);
    assert_eq!(ram(&machine, RESULT), BUSY);
}

#[test]
fn saving_power_ends_with_an_interrupt_and_not_before() {
    let mut program = going_offline();
    // TIM6, as a tick each millisecond, whose handler counts.
    add_words(&mut program, 0x4000_1000 + 0x28, &[159, 999]);
    for (offset, value) in [(0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        add_words(&mut program, 0x4000_1000 + offset, &[value]);
    }
    program.add([0xBF00]); // nop
    let again = program.here();
    add_call(&mut program, Call::PowerSave, &[0], 0);
    while_busy(&mut program, again);
    add_words(&mut program, 0xE000_E104, &[1 << 17]); // NVIC_ISER1: interrupt 49
    add_call(&mut program, Call::PowerSave, &[0], 4);
    add_words(&mut program, RESULT + 0x10, &[1]);
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 49);
    add_words(&mut program, 0x4000_1010, &[0]);
    program.add([0x4770]);
    let mut machine = machine(&program);
    connect_and_part(&mut machine);
    for _ in 0..20 {
        assert_eq!(machine.run(MILLISECOND), RunResult::Idle);
        machine.pass_time(machine.now() + MILLISECOND);
    }
    assert_eq!(ram(&machine, RESULT + 0x10), 0, "the timer's line is not enabled, so nothing wakes it");
    machine.cpu.set_enabled(49, true);
    let end = machine.now() + 2 * MILLISECOND;
    run_until(&mut machine, end);
    assert_eq!([ram(&machine, RESULT), ram(&machine, RESULT + 4)], [0, 0], "MV_STATUS_OKAY");
    assert_eq!(ram(&machine, RESULT + 0x10), 1);
}

/// Waits in `mode` with a tick each millisecond, and stores a word that says what has ended the wait.
fn waiting_with_a_tick(mode: u32) -> Machine {
    let mut program = going_offline();
    add_words(&mut program, 0x4000_1000 + 0x28, &[159, 999]);
    for (offset, value) in [(0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        add_words(&mut program, 0x4000_1000 + offset, &[value]);
    }
    add_words(&mut program, 0xE000_E104, &[1 << 17]); // NVIC_ISER1: interrupt 49, TIM6
    add_words(&mut program, 0xE000_E100, &[1 << 14]); // NVIC_ISER0: interrupt 14, EXTI3
    add_words(&mut program, 0x4602_2060, &[5 << 24]); // line 3 is PF3
    add_words(&mut program, 0x4602_2000, &[1 << 3]); // rising
    add_words(&mut program, 0x4602_2080, &[1 << 3]);
    program.add([0xBF00]); // nop
    let again = program.here();
    add_call(&mut program, Call::PowerSave, &[mode], 0);
    while_busy(&mut program, again);
    add_words(&mut program, RESULT + 0x10, &[1]);
    program.add(wfi()).add([0xE7FD]);
    program.handler(16 + 49);
    add_words(&mut program, 0x4000_1010, &[0]);
    program.add([0x4770]);
    program.handler(16 + 14);
    add_words(&mut program, 0x4602_200C, &[1 << 3]);
    program.add([0x4770]);
    let mut machine = machine(&program);
    connect_and_part(&mut machine);
    machine
}

/// Shows D145.
#[test]
fn timers_wake_from_sleep_and_in_the_stop_modes_stop() {
    for mode in 0..=4 {
        let mut machine = waiting_with_a_tick(mode);
        let end = machine.now() + 20 * MILLISECOND;
        run_until(&mut machine, end);
        assert_eq!(ram(&machine, RESULT + 0x10), u32::from(mode == 0), "mode {mode}");
        machine.handle(&Input::Pin { pin: Pin { port: 5, pin: 3 }, level: true }).expect("accepted");
        let end = machine.now() + MILLISECOND / 10;
        run_until(&mut machine, end);
        assert_eq!(ram(&machine, RESULT + 0x10), 1, "an edge wakes from mode {mode}");
    }
}

const CHECK_IN: Policy = Policy { minimum_check_in_time_sec: 10, connection_grace_time_sec: 0 };

fn sleeper(mode: u32) -> Machine {
    let provisioning = Provisioning { policy: CHECK_IN, ..Provisioning::default() };
    let program = offline_calling(Call::DeepSleep, mode);
    let mut machine = Machine::with_provisioning(settings(&program), provisioning);
    machine.cpu.write_memory(RESULT + 0x1000, b"lost");
    connect_and_part(&mut machine);
    machine.run(20_000);
    machine
}

/// Shows N16.
#[test]
fn deep_sleep_ends_with_a_check_in_and_everything_starts_again() {
    for (mode, reason) in [(0, WakeReason::DeepSleepCheckIn), (1, WakeReason::ColdBoot)] {
        let mut machine = sleeper(mode);
        let events = machine.take_events();
        assert!(matches!(events.last(), Some(DeviceEvent::SleepsDeeply { wakes_in_ms: 9000..=10_000 })));
        assert!(machine.is_off() && !machine.wants_link());
        let executed = machine.instructions();
        let due = machine.next_event().expect("the check-in");
        run_until(&mut machine, due - 1);
        assert_eq!(machine.instructions(), executed, "nothing runs");
        assert!(machine.take_events().is_empty());
        run_until(&mut machine, due + 20_000);
        assert!(machine.take_events().contains(&DeviceEvent::Started { reason }));
        assert_eq!(ram(&machine, RESULT + 0x48), u32::from(reason.raw()));
        assert!(ram(&machine, RESULT + 0x40) < 10, "microseconds since this start");
        assert_eq!(ram(&machine, RESULT + 0x1000), 0, "RAM is lost");
        assert!(machine.wants_link());
    }
}

#[test]
fn what_arrives_from_outside_does_not_disturb_a_deep_sleep() {
    let mut machine = sleeper(0);
    machine.handle(&Input::Pin { pin: Pin { port: 2, pin: 13 }, level: true }).expect("accepted");
    let _ = machine.handle(&Input::Serial { port: 2, bytes: b"x".into() });
    machine.pass_time(machine.now() + MILLISECOND);
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert!(machine.is_off());
}

#[test]
fn a_restart_is_at_once_but_not_without_end() {
    let mut program = Program::new();
    add_call(&mut program, Call::Restart, &[0], 0);
    program.add(b_self());
    let mut machine = machine(&program);
    run_until(&mut machine, 35 * MILLISECOND);
    let events = machine.take_events();
    let starts = events.iter().filter(|event| matches!(event, DeviceEvent::Started { .. })).count();
    assert_eq!(starts, 4, "at 0, 10, 20 and 30 ms: {events:?}");
    assert!(faults(&mut machine).is_empty());
}

#[test]
fn a_restart_that_does_not_know_its_mode_is_refused() {
    let mut machine = machine(&calling(entry(Call::Restart), [1, 0, 0]));
    machine.run(1000);
    assert_eq!(ram(&machine, RESULT), Status::ParameterFault.raw());
}

#[test]
fn the_system_led_is_reported_when_it_changes() {
    let mut program = Program::new();
    for enable in [1, 0, 0, 1, 0] {
        add_call(&mut program, Call::SystemLedEnable, &[enable], 0);
    }
    program.add([0xDE00]); // udf: the next start has the LED again
    let mut machine = machine(&program);
    run_until(&mut machine, 10 * MILLISECOND + 4500);
    let text: Vec<bool> = machine
        .take_events()
        .into_iter()
        .filter_map(|event| if let DeviceEvent::SystemLed { enabled } = event { Some(enabled) } else { None })
        .collect();
    assert_eq!(text, [false, true, false, true, false, true, false]);
    assert_eq!(ram(&machine, RESULT), 0);
}

const FLASH_HANDLE: u32 = RESULT + 0x100;
const BYTES: u32 = RESULT + 0x110;

/// Programs `word` at 0x1000 and reads it back to [`BYTES`] + 4; with `erase`, erases first.
fn storing(word: u32, erase: bool) -> Program {
    let mut program = Program::new();
    add_call(&mut program, Call::ExternalFlashOpen, &[FLASH_HANDLE], 0);
    add_words(&mut program, BYTES, &[word]);
    let with_handle = |program: &mut Program, call, arguments: [u32; 3], at| {
        program.add(mov32(0, FLASH_HANDLE)).add(ldr(0, 0, 0));
        for (register, argument) in (1..).zip(arguments) {
            program.add(mov32(register, argument));
        }
        program.call(entry(call)).add(mov32(5, RESULT)).add(str_(0, 5, at));
    };
    if erase {
        with_handle(&mut program, Call::ExternalFlashEraseBlocking, [0x1000, 0x1000, 0], 12);
    }
    with_handle(&mut program, Call::ExternalFlashWriteBlocking, [0x1000, 4, BYTES], 4);
    with_handle(&mut program, Call::ExternalFlashReadBlocking, [0x1000, 4, BYTES + 4], 8);
    program.add(b_self());
    program
}

#[test]
fn external_flash_keeps_what_is_programmed_also_over_a_start() {
    let mut stored = Storage::default();
    for (word, erase, expected) in [
        (0xFFFF_0F0F, false, 0xFFFF_0F0F),
        (0x1234_FFFF, false, 0x1234_0F0F),
        (0xCAFE_CAFE, true, 0xCAFE_CAFE),
    ] {
        let provisioning = Provisioning { storage: stored, ..Provisioning::default() };
        let mut machine = Machine::with_provisioning(settings(&storing(word, erase)), provisioning);
        machine.run(5000);
        assert_eq!([0, 4, 8, 12].map(|at| ram(&machine, RESULT + at)), [0; 4], "MV_STATUS_OKAY");
        assert_eq!(ram(&machine, BYTES + 4), expected);
        stored = std::mem::take(machine.board.storage());
    }
}

#[test]
fn wifi_settings_are_stored_but_not_the_password_reported() {
    let mut program = Program::new();
    add_words(&mut program, BYTES, &[u32::from_le_bytes(*b"home"), u32::from_le_bytes(*b"pass")]);
    add_words(&mut program, RESULT + 0x140, &[1, 0, BYTES, 4, BYTES + 4, 4]);
    add_call(&mut program, Call::SetWifiConfig, &[RESULT + 0x140], 0);
    add_words(&mut program, RESULT + 0x160, &[1, RESULT + 0x180, 32, RESULT + 0x1A8, RESULT + 0x1AC]);
    add_call(&mut program, Call::GetWifiConfig, &[RESULT + 0x160], 4);
    program.add(b_self());
    let mut machine = machine(&program);
    machine.run(5000);
    assert_eq!([ram(&machine, RESULT), ram(&machine, RESULT + 4)], [0, 0], "MV_STATUS_OKAY");
    let text = [0x180, 0x1A8, 0x1AC].map(|at| ram(&machine, RESULT + at));
    assert_eq!(text, [u32::from_le_bytes(*b"home"), 4, 1]);
}

/// Makes line 41 fast, then does what `rest` adds, with the line pended at the end. Its handler leaves a mark at
/// `RESULT + 0x20`.
fn fast(rest: impl Fn(&mut Program)) -> Machine {
    let mut program = Program::new();
    add_call(&mut program, Call::SetFastInterrupt, &[41], 0);
    rest(&mut program);
    add_words(&mut program, 0xE000_E204, &[1 << 9]); // NVIC_ISPR1: interrupt 41
    program.add(b_self());
    program.handler(16 + 41);
    add_words(&mut program, RESULT + 0x20, &[1]);
    program.add([0x4770]);
    let mut machine = machine(&program);
    machine.run(5000);
    assert_eq!(ram(&machine, RESULT), 0, "MV_STATUS_OKAY");
    machine
}

#[test]
fn a_fast_line_is_enabled_by_call_and_not_by_register() {
    let by_register = fast(|program| add_words(program, 0xE000_E104, &[1 << 9]));
    assert_eq!(ram(&by_register, RESULT + 0x20), 0);
    let by_call = fast(|program| add_call(program, Call::EnableFastInterrupt, &[41], 4));
    assert_eq!(ram(&by_call, RESULT + 0x20), 1);
    let disabled_by_register = fast(|program| {
        add_call(program, Call::EnableFastInterrupt, &[41], 4);
        add_words(program, 0xE000_E184, &[1 << 9]); // NVIC_ICER1
    });
    assert_eq!(ram(&disabled_by_register, RESULT + 0x20), 1);
}

#[test]
fn fast_lines_are_held_back_together_and_an_ordinary_line_is_the_applications_again() {
    let held_back = fast(|program| {
        add_call(program, Call::EnableFastInterrupt, &[41], 4);
        add_call(program, Call::DisableAllFastInterrupts, &[], 8);
    });
    assert_eq!(ram(&held_back, RESULT + 0x20), 0);
    let ordinary = fast(|program| {
        add_call(program, Call::ClearFastInterrupt, &[41], 4);
        add_words(program, 0xE000_E104, &[1 << 9]);
    });
    assert_eq!(ram(&ordinary, RESULT + 0x20), 1);
}

/// Shows D146.
#[test]
fn a_handler_of_a_fast_line_that_hangs_stops_the_application() {
    for hangs in [[0xE7FE], [0xBF30]] {
        let mut program = Program::new();
        add_call(&mut program, Call::SetFastInterrupt, &[41], 0);
        add_call(&mut program, Call::EnableFastInterrupt, &[41], 4);
        add_words(&mut program, 0xE000_E204, &[1 << 9]); // NVIC_ISPR1: interrupt 41
        program.add(b_self());
        program.handler(16 + 41);
        let handler = testing::CODE + 2 * program.here() as u32;
        program.add(hangs).add([0xE7FD]);
        let mut machine = machine(&program);
        run_until(&mut machine, 999 * MILLISECOND);
        assert_eq!(faults(&mut machine), []);
        run_until(&mut machine, 1001 * MILLISECOND);
        let [(fault, _)] = faults(&mut machine)[..] else { panic!("one fault") };
        assert_eq!(fault.kind, FaultKind::HungHandler);
        assert!((handler..handler + 4).contains(&fault.pc), "{fault}");
    }
}

/// Logs a word and ends with `status`.
fn testing(status: u32) -> Program {
    let mut program = Program::new();
    add_call(&mut program, Call::TestLoggingInit, &[RESULT + 0x1000, 512], 0);
    add_words(&mut program, BYTES, &[u32::from_le_bytes(*b"good")]);
    add_call(&mut program, Call::TestLog, &[BYTES, 4], 4);
    add_call(&mut program, Call::TestingComplete, &[status], 8);
    program.add(b_self());
    program
}

#[test]
fn a_factory_test_logs_and_ends_and_nothing_runs_any_more() {
    let mut machine = Machine::with_provisioning(
        settings(&testing(3)),
        Provisioning { factory_test: true, ..Provisioning::default() },
    );
    assert_eq!(machine.run(5000), RunResult::Idle);
    let events = machine.take_events();
    let expected =
        [DeviceEvent::TestLog { text: b"good".to_vec() }, DeviceEvent::TestingComplete { status: 3 }];
    assert!(events.ends_with(&expected), "{events:?}");
    assert_eq!((machine.next_event(), machine.wants_link()), (None, false));
    run_until(&mut machine, 1000 * MILLISECOND);
    assert!(machine.take_events().is_empty());
}

#[test]
fn an_application_that_is_no_factory_test_cannot_end_one() {
    let mut machine = machine(&testing(0));
    machine.run(5000);
    let statuses = [0, 4, 8].map(|at| ram(&machine, RESULT + at));
    assert_eq!(statuses, [Status::Unavailable.raw(); 3]);
}
