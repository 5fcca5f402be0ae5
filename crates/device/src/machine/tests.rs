use abi::{Call, Status};
use kernel::{LinkLoss, Policy};

use super::*;
use crate::peripherals::Context;
use crate::peripherals::i2c::Target;
use crate::pin::Pin;
use crate::storage::Storage;
use crate::testing::{self, Program, b_self, blx, ldr, mov32, movs, settings, str_, wfi};
use crate::wiring::Attachment;

mod bundles;
mod debugger;
mod hints;
mod polling;
mod provisioning;

/// A word of RAM the programs leave their results in; more follow.
const RESULT: u32 = 0x2000_1000;

/// Entries of calls, with the Thumb bit.
const NO_OP: u32 = 0x0C1F_E0D9;
const GET_MICROSECONDS: u32 = 0x0C1F_E011;
const GET_DEVICE_ID: u32 = 0x0C1F_E029;
const GET_WAKE_REASON: u32 = 0x0C1F_E1F9;
const PEEK: u32 = 0x0C1F_E0F1;
const CLOSE_NOTIFICATIONS: u32 = 0x0C1F_E051;
const SETUP_NOTIFICATIONS: u32 = 0x0C1F_E081;
const TRIGGER_NOTIFICATION: u32 = 0x0C1F_E0E1;
const UNASSIGNED: u32 = 0x0C1F_E0A1;
const INTO_THE_MIDDLE: u32 = 0x0C1F_E0DD;

const MILLISECOND: u64 = 160_000;

fn machine(program: &Program) -> Machine {
    Machine::new(settings(program))
}

/// A program that calls `entry` with `arguments`, stores what it answers, and stops.
fn calling(entry: u32, arguments: [u32; 3]) -> Program {
    let mut program = Program::new();
    for (register, argument) in (0..).zip(arguments) {
        program.add(mov32(register, argument));
    }
    program.add(mov32(4, entry)).add(blx(4));
    program.add(mov32(5, RESULT)).add(str_(0, 5, 0)).add(b_self());
    program
}

fn ram(machine: &Machine, address: u32) -> u32 {
    let mut bytes = [0; 4];
    assert!(machine.cpu.read_memory(address, &mut bytes));
    u32::from_le_bytes(bytes)
}

/// Runs and lets time pass, as an owner would, until guest time `until`.
fn run_until(machine: &mut Machine, until: u64) {
    while machine.now() < until {
        let left = until - machine.now();
        if machine.run(left) == RunResult::Idle {
            machine.pass_time(until);
        }
    }
}

fn faults(machine: &mut Machine) -> Vec<(Fault, u64)> {
    let fault = |event| match event {
        DeviceEvent::Faulted { fault, restart_in_ms } => Some((fault, restart_in_ms)),
        _ => None,
    };
    machine.take_events().into_iter().filter_map(fault).collect()
}

#[test]
fn a_call_is_answered_in_r0_and_returns_to_its_caller() {
    let mut machine = machine(&calling(NO_OP, [1, 2, 3]));
    assert_eq!(ram(&machine, RESULT), 0);
    machine.cpu.write_memory(RESULT, &[0xFF; 4]);
    run_until(&mut machine, MILLISECOND);
    assert_eq!(ram(&machine, RESULT), 0, "MV_STATUS_OKAY");
}

#[test]
fn a_call_writes_its_answer_to_application_memory() {
    let mut machine = machine(&calling(GET_DEVICE_ID, [RESULT + 16, 34, 0]));
    machine.run(1000);
    let mut id = [0; 34];
    assert!(machine.cpu.read_memory(RESULT + 16, &mut id));
    assert_eq!(&id, testing::DEVICE_ID.as_bytes());
}

#[test]
fn a_call_cannot_write_to_flash() {
    let mut machine = machine(&calling(GET_DEVICE_ID, [0x0800_0100, 34, 0]));
    machine.run(1000);
    assert_eq!(ram(&machine, RESULT), 2, "MV_STATUS_PARAMETERFAULT");
    let mut flash = [0xAA; 4];
    assert!(machine.cpu.read_memory(0x0800_0100, &mut flash));
    assert_eq!(flash, [0; 4]);
}

/// Shows D72.
#[test]
fn clock_registers_are_peeked_through_the_kernel() {
    let mut machine = machine(&calling(PEEK, [0x4602_0C34, RESULT + 4, 0]));
    machine.run(1000);
    assert_eq!((ram(&machine, RESULT), ram(&machine, RESULT + 4)), (0, 0x0100_0013));
}

/// Shows D07, D73.
#[test]
fn a_branch_to_no_call_is_a_fault() {
    for entry in [UNASSIGNED, INTO_THE_MIDDLE] {
        let mut machine = machine(&calling(entry, [0; 3]));
        assert_eq!(machine.run(1000), RunResult::Idle);
        let [(fault, 10)] = faults(&mut machine)[..] else { panic!("one fault") };
        assert_eq!(fault.kind, FaultKind::NoSuchCall { address: entry & !1 });
    }
}

#[test]
fn time_is_the_processors_own() {
    let mut machine = machine(&calling(GET_MICROSECONDS, [RESULT + 8, 0, 0]));
    machine.pass_time(5 * MILLISECOND);
    machine.run(1000);
    let taken = CALL_CYCLES / CYCLES_PER_MICRO;
    assert_eq!((u64::from(ram(&machine, RESULT + 8)), ram(&machine, RESULT + 12)), (5000 + taken, 0));
}

/// TIM6 as a millisecond tick, counted by its handler, and nothing else but waiting.
fn ticking() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_1000));
    // The generated update takes the prescaler over; its flag is cleared again.
    for (offset, value) in [(0x28, 159), (0x2C, 999), (0x14, 1), (0x10, 0), (0x0C, 1), (0x00, 1)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    // NVIC_ISER1, bit 17: interrupt 49.
    program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 17)).add(str_(1, 0, 0));
    program.add(wfi()).add([0xE7FD]); // b to the wfi
    program.handler(16 + 49);
    program.add(mov32(0, 0x4000_1010)).add(movs(1, 0)).add(str_(1, 0, 0));
    program.add(mov32(0, RESULT)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0)); // adds r1, #1
    program.add([0x4770]); // bx lr
    program
}

#[test]
fn waiting_ends_when_the_timer_interrupts() {
    let mut machine = machine(&ticking());
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert!(machine.now() < 100);
    let due = machine.next_event().expect("the tick");
    assert!((MILLISECOND..MILLISECOND + 100).contains(&due), "{due}");
    machine.pass_time(due - 1);
    assert_eq!(machine.run(1000), RunResult::Idle);
    machine.pass_time(due + MILLISECOND);
    assert_eq!(machine.now(), due, "time passes to the next event only");
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert_eq!(ram(&machine, RESULT), 1);
}

#[test]
fn a_thousand_ticks_in_a_second_and_hardly_an_instruction() {
    let mut machine = machine(&ticking());
    run_until(&mut machine, 1000 * MILLISECOND + 1000);
    assert_eq!(ram(&machine, RESULT), 1000);
}

#[test]
fn no_tick_is_lost_by_a_long_run_without_time_passing() {
    let mut busy = ticking();
    busy.replace_wfi_with_count();
    let mut machine = machine(&busy);
    assert_eq!(machine.run(10 * MILLISECOND + 1000), RunResult::Busy);
    assert_eq!(ram(&machine, RESULT), 10);
}

/// Instructions executed in a second of guest time with a tick each millisecond.
fn cost_of_a_second(program: &Program) -> u64 {
    let mut machine = machine(program);
    run_until(&mut machine, 1000 * MILLISECOND + 1000);
    assert_eq!(ram(&machine, RESULT), 1000, "every tick arrived");
    machine.instructions()
}

#[test]
fn an_application_that_spins_between_ticks_costs_hardly_more_than_one_that_waits() {
    let waits = cost_of_a_second(&ticking());
    let mut program = ticking();
    program.replace_wfi_with_nop();
    let spins = cost_of_a_second(&program);
    let full = 1000 * MILLISECOND;
    println!("waits {waits}, spins {spins}, of {full} instructions");
    assert!(waits < full / 1000, "under a tenth of a percent: {waits}");
    assert!(spins < full / 100, "under a percent: {spins}");
}

/// Ticks, and between them delays as the vendor's library makes them: until the count, which a function reads, has
/// grown by
/// 100. The count of ticks is at [`RESULT`], that of delays in r6.
fn delaying() -> Program {
    let mut program = ticking();
    program.replace_wfi_with_branch_to_end();
    program.add([0x2600]); // movs r6, #0
    program.add([0xF000, 0xF80A, 0x4604]); // bl get_tick; mov r4, r0
    program.add([0xF000, 0xF807]); // bl get_tick
    program.add([0x1B00, 0x2864, 0xD3FA]); // subs r0, r0, r4; cmp r0, #100; blo to the call before
    program.add([0x3601, 0xE7F5]); // adds r6, #1; b to the first call
    program.add([0xBF00, 0xBF00, 0xBF00]);
    program.add([0xB580]); // get_tick: push {r7, lr}
    program.add(mov32(0, RESULT)).add(ldr(0, 0, 0)).add([0xBD80]); // pop {r7, pc}
    program
}

#[test]
fn a_delay_that_compares_ticks_costs_hardly_more_than_one_that_waits() {
    let mut machine = machine(&delaying());
    run_until(&mut machine, 1000 * MILLISECOND + 1000);
    assert_eq!((ram(&machine, RESULT), machine.cpu.register(Register::R(6))), (1000, 10));
    println!("delays {}", machine.instructions());
    assert!(machine.instructions() < 1000 * MILLISECOND / 100, "{}", machine.instructions());
}

/// Waits in a loop until a pin is high, then leaves a mark.
fn polling_a_pin() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, 0x4202_0800)).add(mov32(1, !(3 << 26))).add(str_(1, 0, 0)); // PC13: input
    let again = program.here();
    program.add(ldr(1, 0, 0x10)).add([0x0489, 0x0FCA, 0x2A01]).bne(again); // IDR; lsls #18; lsrs r2, #31; cmp r2, #1
    program.add(mov32(0, RESULT)).add(str_(2, 0, 0)).add(b_self());
    program
}

#[test]
fn an_application_that_polls_a_pin_waits_until_it_moves() {
    let mut machine = machine(&polling_a_pin());
    run_until(&mut machine, 1000 * MILLISECOND);
    assert!(machine.instructions() < 10_000, "{}", machine.instructions());
    machine.handle(&Input::Pin { pin: Pin { port: 2, pin: 12 }, level: true }).expect("accepted");
    machine.run(10_000);
    assert_eq!(ram(&machine, RESULT), 0, "it was another pin");
    machine.handle(&Input::Pin { pin: Pin { port: 2, pin: 13 }, level: true }).expect("accepted");
    machine.run(10_000);
    assert_eq!(ram(&machine, RESULT), 1);
}

#[test]
fn an_application_that_polls_its_serial_port_waits_until_something_comes() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_4400)).add(movs(1, 0xD)).add(str_(1, 0, 0)); // USART2: on, both ways
    let again = program.here();
    program.add(ldr(1, 0, 0x1C)).add([0x0689, 0x0FC9, 0x2901]).bne(again); // ISR; lsls #26; lsrs #31: RXNE
    program.add(ldr(1, 0, 0x24)).add(mov32(2, RESULT)).add(str_(1, 2, 0)).add(b_self());
    let mut machine = machine(&program);
    run_until(&mut machine, 1000 * MILLISECOND);
    assert!(machine.instructions() < 10_000, "{}", machine.instructions());
    assert!(machine.handle(&Input::Serial { port: 2, bytes: b"x".into() }).is_ok());
    let start = machine.now();
    run_until(&mut machine, start + MILLISECOND);
    assert_eq!(ram(&machine, RESULT), u32::from(b'x'));
    assert!(machine.instructions() < 20_000, "{}", machine.instructions());
}

/// Shows D215: a character takes 2.8 million cycles here, of which hardly any is executed.
#[test]
fn an_application_that_polls_its_transmitter_waits_without_cost() {
    let mut program = Program::new();
    program
        .add(mov32(0, 0x4000_4400))
        .add(mov32(1, 0xFFFF))
        .add(str_(1, 0, 0x0C))
        .add(movs(1, 4))
        .add(str_(1, 0, 0x2C));
    program.add(movs(1, 9)).add(str_(1, 0, 0)); // USART2: slow, on, sending
    let again = program.here();
    program.add(movs(1, 65)).add(str_(1, 0, 0x28));
    let poll = program.here();
    program.add(ldr(1, 0, 0x1C)).add([0x0649, 0x0FC9, 0x2901]).bne(poll); // ISR; lsls #25; lsrs #31: TC
    program.add([0x3301, 0x2B0A]).bne(again).add(b_self()); // adds r3, #1; cmp r3, #10
    let mut machine = machine(&program);
    run_until(&mut machine, 11 * 10 * 65_535 * 8);
    let sent = machine.take_events().into_iter().filter_map(|event| match event {
        DeviceEvent::Serial { bytes, .. } => Some(bytes.len()),
        _ => None,
    });
    assert_eq!(sent.sum::<usize>(), 10);
    assert!(machine.instructions() < 20_000, "{}", machine.instructions());
}

/// Nothing can be skipped where time itself is read.
#[test]
fn an_application_that_polls_a_timer_sees_it_move() {
    let mut program = Program::new();
    program.add(mov32(0, 0x4000_0000)); // TIM2
    program.add(movs(1, 1)).add(str_(1, 0, 0));
    let again = program.here();
    program.add(ldr(1, 0, 0x24)).add([0x0D0A]).add([0x2A01]).bne(again); // CNT; lsrs r2, r1, #20; cmp r2, #1
    program.add(mov32(0, RESULT)).add(str_(2, 0, 0)).add(b_self());
    let mut machine = machine(&program);
    run_until(&mut machine, (1 << 20) + 1000);
    assert_eq!(ram(&machine, RESULT), 1);
    assert!(machine.instructions() > 1 << 20);
}

/// What no proof can shorten: a delay that counts is time that passes, and costs what it executes.
#[test]
fn an_application_that_counts_between_ticks_costs_what_it_executes() {
    let mut program = ticking();
    program.replace_wfi_with_count();
    let counts = cost_of_a_second(&program);
    assert!(counts >= 1000 * MILLISECOND, "{counts}");
}

/// A notification centre on TIM1_BRK with three records at [`RECORDS`], whose handler counts its runs; then three
/// notifications posted, and the records' tags copied to [`RESULT`], while interrupts are held back.
fn notified(enabled: bool) -> Program {
    let mut program = Program::new();
    program.add(mov32(0, RESULT));
    for (offset, value) in [(0x40, 41), (0x44, RECORDS), (0x48, 48)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, RESULT + 0x40)).add(mov32(1, RESULT + 0x50));
    program.add(mov32(4, SETUP_NOTIFICATIONS)).add(blx(4));
    if enabled {
        program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 9)).add(str_(1, 0, 0)); // NVIC_ISER1: interrupt 41
    }
    program.add([0xB672]); // cpsid i
    for tag in 1..=3 {
        program.add(mov32(0, RESULT + 0x50)).add(ldr(0, 0, 0)).add(movs(1, 2)).add(movs(2, tag));
        program.add(mov32(4, TRIGGER_NOTIFICATION)).add(blx(4));
    }
    program.add(mov32(0, RECORDS)).add(mov32(1, RESULT));
    for record in 0..3 {
        program.add(ldr(2, 0, 16 * record + 12)).add(str_(2, 1, 4 * record)); // the tags as they are now
    }
    program.add([0xB662]).add(b_self()); // cpsie i
    program.handler(16 + 41);
    program.add(mov32(0, RESULT + 0x60)).add(ldr(1, 0, 0)).add([0x3101]).add(str_(1, 0, 0)).add([0x4770]);
    program
}

const RECORDS: u32 = RESULT + 0x100;

fn tags(machine: &Machine) -> [u32; 3] {
    [12, 28, 44].map(|offset| ram(machine, RECORDS + offset))
}

/// Shows D10, D11.
#[test]
fn each_record_has_an_interrupt_of_its_own() {
    let mut machine = machine(&notified(true));
    machine.run(20_000);
    let while_held = [0, 4, 8].map(|offset| ram(&machine, RESULT + offset));
    assert_eq!(while_held, [1, 0, 0], "the others wait for their interrupt");
    assert_eq!(tags(&machine), [1, 2, 3]);
    assert_eq!(ram(&machine, RESULT + 0x60), 3, "runs of the handler");
}

/// Shows D11.
#[test]
fn a_line_that_is_off_gets_its_records_at_once() {
    let mut machine = machine(&notified(false));
    machine.run(20_000);
    let while_held = [0, 4, 8].map(|offset| ram(&machine, RESULT + offset));
    assert_eq!((while_held, ram(&machine, RESULT + 0x60)), ([1, 2, 3], 0));
}

/// Shows D73.
#[test]
fn the_applications_own_fault_handler_makes_no_calls() {
    let mut program = Program::new();
    program.add([0xDE00]); // udf
    program.handler(3);
    program.add(mov32(0, RESULT)).add(movs(1, 34)).add(mov32(4, GET_DEVICE_ID)).add(blx(4)).add(b_self());
    let mut machine = machine(&program);
    assert_eq!(machine.run(10_000), RunResult::Idle);
    assert_eq!(faults(&mut machine).len(), 1);
    assert_eq!(ram(&machine, RESULT), 0);
}

/// A generator of arbitrary numbers that is the same in every run (xorshift, Marsaglia 2003).
struct Arbitrary(u32);

impl Arbitrary {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

#[test]
fn no_code_brings_the_machine_down() {
    for seed in 1..=150 {
        let mut arbitrary = Arbitrary(seed);
        let mut program = Program::new();
        for register in 0..8 {
            let near = [0x2000_1000, 0x4000_1000, 0x0C1F_E001, 0x4602_0C00, 0xE000_E100, arbitrary.next()];
            program.add(mov32(register, near[arbitrary.next() as usize % 6] + (arbitrary.next() & 0xFC)));
        }
        for _ in 0..400 {
            program.add([arbitrary.next() as u16]);
        }
        let mut machine = machine(&program);
        run_until(&mut machine, 30 * MILLISECOND);
        machine.take_events();
    }
}

#[test]
fn no_call_with_any_arguments_brings_the_machine_down() {
    let mut arbitrary = Arbitrary(7);
    for _ in 0..2000 {
        let slot = (arbitrary.next() % 0x250) & !7;
        let mut argument = || {
            [0, 1, 34, RESULT, 0x2007_FFFC, 0x0800_0000, u32::MAX, arbitrary.next()]
                [(arbitrary.next() % 8) as usize]
        };
        let arguments = [argument(), argument(), argument()];
        let mut machine = machine(&calling(ENTRY_PAGE.start + slot + 1, arguments));
        machine.run(2000);
    }
}

/// A device on I2C1 that acknowledges its address and nothing else.
struct Present;

impl Target for Present {
    fn address(&self) -> u8 {
        0x5F
    }
    fn write(&mut self, _byte: u8, _context: &mut Context<'_>) -> bool {
        false
    }
    fn read(&mut self, _context: &mut Context<'_>) -> u8 {
        0
    }
}

#[test]
fn what_is_wired_to_the_bus_is_found_and_nothing_else() {
    for (address, flags) in [(0x5F, 0x21), (0x5E, 0x31)] {
        let mut program = Program::new();
        program.add(mov32(0, 0x4000_5400)).add(movs(1, 1)).add(str_(1, 0, 0)); // I2C1 on
        program.add(mov32(1, 1 << 25 | 1 << 13 | address << 1)).add(str_(1, 0, 4)).add(ldr(1, 0, 0x18));
        program.add(mov32(0, RESULT)).add(str_(1, 0, 0)).add(b_self());
        let attachments =
            vec![Attachment::I2c { bus: 1, model: None, target: Box::new(Present), live: Vec::new() }];
        let mut machine = Machine::new(Settings { attachments, ..settings(&program) });
        machine.run(1000);
        assert_eq!(ram(&machine, RESULT), flags, "{address:#x}");
    }
}

/// A program that reads the word at `address`, with a handler for hard faults that leaves a mark.
fn reading(address: u32) -> Program {
    let mut program = Program::new();
    program.add(mov32(0, address)).add(ldr(1, 0, 0)).add(b_self());
    program.handler(3);
    program.add(b_self());
    program
}

/// Shows D73.
#[test]
fn a_fault_is_reported_with_its_place_and_cause() {
    let mut machine = machine(&reading(0));
    assert_eq!(machine.run(10_000), RunResult::Idle);
    let [(fault, 10)] = faults(&mut machine)[..] else { panic!("one fault") };
    assert_eq!(fault.pc, testing::CODE + 8);
    assert_eq!(
        fault.to_string(),
        "bus error: read or write at 0x00000000, through a null pointer (pc 0x08000240)"
    );
}

#[test]
fn the_secure_half_and_memory_beyond_the_applications_are_faults() {
    for address in [0x5000_0000, 0x2008_0000, 0x0810_0000, 0x0C00_0000, 0x0C1F_E000, 0x0BFA_0500] {
        let mut machine = machine(&reading(address));
        machine.run(10_000);
        assert_eq!(faults(&mut machine).len(), 1, "{address:#x}");
    }
}

#[test]
fn a_register_that_is_not_modelled_reads_zero_and_is_reported() {
    let mut machine = machine(&reading(0x4004_0000));
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert!(machine.take_events().contains(&DeviceEvent::UnknownRegister { address: 0x4004_0000 }));
}

/// Shows D73.
#[test]
fn an_application_that_faults_starts_again_after_a_growing_pause() {
    let mut machine = machine(&reading(0));
    run_until(&mut machine, 100 * MILLISECOND);
    let pauses: Vec<u64> = faults(&mut machine).into_iter().map(|(_, pause)| pause).collect();
    assert_eq!(pauses, [10, 20, 40, 40]);
}

/// Shows D73, N09.
#[test]
fn a_start_after_a_fault_knows_why() {
    let mut program = calling(GET_WAKE_REASON, [RESULT + 4, 0, 0]);
    program.replace_end_with_fault();
    let mut machine = machine(&program);
    machine.run(1000);
    assert_eq!(ram(&machine, RESULT + 4), 0, "cold boot");
    run_until(&mut machine, 11 * MILLISECOND);
    assert_eq!(ram(&machine, RESULT + 4), 8, "application crash");
    assert_eq!(
        machine.take_events()[..1],
        [DeviceEvent::Started { reason: WakeReason::ColdBoot }],
        "the first start is reported first"
    );
}

/// Notes the time, closes the notification centre its last start made, makes a new one with the same buffer, and
/// faults.
fn relapsing() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, RESULT)).call(GET_MICROSECONDS);
    program.add(mov32(0, CENTRE)).call(CLOSE_NOTIFICATIONS);
    program.add(mov32(5, RESULT)).add(str_(0, 5, 8));
    for (offset, value) in [(0x40, 41), (0x44, RECORDS), (0x48, 48)] {
        program.add(mov32(1, value)).add(str_(1, 5, offset));
    }
    program.add(mov32(0, RESULT + 0x40)).add(mov32(1, CENTRE)).call(SETUP_NOTIFICATIONS);
    program.add(mov32(5, RESULT)).add(str_(0, 5, 12));
    program.add([0xDE00]); // udf
    program
}

/// Handle of the centre that [`relapsing`] makes.
const CENTRE: u32 = RESULT + 0x50;

/// Shows D73, N09.
#[test]
fn a_start_after_a_fault_has_no_handles_but_time_continues() {
    let mut machine = machine(&relapsing());
    machine.run(2000);
    let first = ram(&machine, CENTRE);
    assert!(ram(&machine, RESULT) < 10 && first != 0);
    run_until(&mut machine, 10 * MILLISECOND + 4000);
    assert_eq!(ram(&machine, RESULT) / 1000, 10, "milliseconds since the device started");
    assert_eq!(ram(&machine, RESULT + 8), Status::InvalidHandle.raw(), "closing the centre of before");
    assert_eq!(ram(&machine, RESULT + 12), 0, "its buffer is free again");
    assert_ne!(ram(&machine, CENTRE), first);
}

/// Shows D73.
#[test]
fn returning_from_the_reset_handler_is_a_fault() {
    let mut program = Program::new();
    program.add([0x4770]); // bx lr
    let mut machine = machine(&program);
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert_eq!(faults(&mut machine).len(), 1);
}

/// Shows D73.
#[test]
fn a_hard_fault_stops_the_application_before_its_own_handler_does_anything() {
    let mut program = Program::new();
    program.add([0xDE00]); // udf
    program.handler(3);
    program.add(mov32(0, RESULT)).add(movs(1, 1)).add(str_(1, 0, 0)).add([0x4770]); // leaves a mark and returns
    let mut machine = machine(&program);
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert_eq!((faults(&mut machine).len(), ram(&machine, RESULT)), (1, 0));
}

/// Shows D73.
#[test]
fn a_fault_is_reported_with_its_place_though_there_is_no_handler() {
    let mut program = Program::new();
    program.add([0xBF00, 0xDE00]); // nop; udf; every vector is zero
    let mut machine = machine(&program);
    assert_eq!(machine.run(1000), RunResult::Idle);
    let [(fault, 10)] = faults(&mut machine)[..] else { panic!("one fault") };
    assert_eq!((fault.kind, fault.pc), (FaultKind::Hard, testing::CODE + 2));
}

#[test]
fn a_fault_handler_the_application_enabled_runs() {
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_ED24)).add(mov32(1, 1 << 18)).add(str_(1, 0, 0)); // SHCSR.USGFAULTENA
    program.add([0xDE00]); // udf
    program.handler(6);
    program.add(mov32(0, RESULT)).add(movs(1, 1)).add(str_(1, 0, 0)).add(b_self());
    let mut machine = machine(&program);
    assert_eq!(machine.run(1000), RunResult::Idle);
    assert_eq!((faults(&mut machine).len(), ram(&machine, RESULT)), (0, 1));
}

/// Shows D73.
#[test]
fn a_fault_where_no_handler_may_run_is_a_fault_too() {
    let mut program = Program::new();
    program.add([0xB671, 0xDE00]); // cpsid f; udf
    let mut machine = machine(&program);
    assert_eq!(machine.run(1000), RunResult::Idle);
    let [(fault, 10)] = faults(&mut machine)[..] else { panic!("one fault") };
    assert_eq!((fault.kind, fault.pc), (FaultKind::Lockup, testing::CODE + 2));
}

#[test]
fn a_requested_reset_starts_again_without_being_a_fault() {
    let mut program = Program::new();
    program.add(mov32(0, 0xE000_ED0C)).add(mov32(1, 0x05FA_0004)).add(str_(1, 0, 0)).add(b_self());
    let mut machine = machine(&program);
    run_until(&mut machine, 11 * MILLISECOND);
    let events = machine.take_events();
    assert!(events.contains(&DeviceEvent::ResetRequested { restart_in_ms: 10 }), "{events:?}");
}

#[test]
fn the_led_and_the_serial_port_are_reported() {
    let mut program = Program::new();
    let stores = [
        (0x4202_0000, 0xABFF_F7FF), // GPIOA MODER: pin 5 an output
        (0x4202_0018, 1 << 5),      // BSRR
        (0x4000_4400, 0x9),         // USART2 CR1
        (0x4000_4428, 0x68),
        (0x4000_4428, 0x69),
        (0x4202_0028, 1 << 5), // BRR
    ];
    for (address, value) in stores {
        program.add(mov32(0, address)).add(mov32(1, value)).add(str_(1, 0, 0));
    }
    program.add(b_self());
    let mut machine = machine(&program);
    run_until(&mut machine, MILLISECOND);
    assert_eq!(
        machine.take_events()[1..],
        [
            DeviceEvent::Led { on: true },
            DeviceEvent::Led { on: false },
            DeviceEvent::Serial { port: 2, bytes: b"hi".to_vec() },
        ],
        "characters take their time to leave"
    );
}

#[test]
fn every_call_is_reported_when_asked() {
    let mut settings = settings(&calling(NO_OP, [1, 2, 3]));
    settings.trace = true;
    let mut machine = Machine::new(settings);
    machine.run(1000);
    let called = machine.take_events().into_iter().find_map(|event| match event {
        DeviceEvent::Called { call, arguments, status } => Some((call, arguments, status)),
        _ => None,
    });
    assert_eq!(called, Some((Call::NoOp, [1, 2, 3, 0], abi::Status::Okay)));
}

/// Shows N12.
#[test]
fn a_machine_wants_the_link_from_its_start() {
    assert!(machine(&calling(NO_OP, [0; 3])).wants_link());
}
