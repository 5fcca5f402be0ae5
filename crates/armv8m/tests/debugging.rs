//! Breakpoints, watchpoints, steps and recorded exceptions, for debuggers and tracers.

mod common;

use armv8m::{Config, Cpu, EmptyBus, ExceptionEvent, Exit, HaltCause, Register, Watchpoint};
use common::{CODE, Image, RAM, STACK, run_to_breakpoint};

const LONG: u64 = 10_000;

const BREAKPOINT: Exit = Exit::Halted { cause: HaltCause::Breakpoint };

fn pc(cpu: &Cpu) -> u32 {
    cpu.register(Register::PC)
}

/// movs r0, #1; movs r0, #2; movs r0, #3; bkpt.
const COUNT: &[u16] = &[0x2001, 0x2002, 0x2003, 0xBE00];

#[test]
fn a_breakpoint_halts_before_its_instruction_and_takes_no_time() {
    let mut cpu = Image::new(COUNT).boot();
    assert!(cpu.insert_breakpoint(CODE + 4));
    assert!(!cpu.insert_breakpoint(CODE + 4), "there is one");
    for _ in 0..2 {
        assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
        assert_eq!((pc(&cpu), cpu.register(Register::R(0)), cpu.cycles()), (CODE + 4, 2, 2));
    }
    assert!(cpu.remove_breakpoint(CODE + 4));
    assert!(!cpu.remove_breakpoint(CODE + 4));
    assert_eq!(run_to_breakpoint(&mut cpu), 0);
    assert_eq!(cpu.register(Register::R(0)), 3);
}

#[test]
fn a_breakpoint_on_an_instruction_that_is_decoded_already_halts() {
    let mut cpu = Image::new(&[0x3001, 0xE7FD]).boot(); // adds r0, #1; b to it
    cpu.run(&mut EmptyBus, 100);
    cpu.insert_breakpoint(CODE);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
    assert_eq!(pc(&cpu), CODE);
}

#[test]
fn a_breakpoint_in_code_in_ram_halts_and_leaves_the_code_as_it_is() {
    let mut cpu = Image::new(&[0x4700]).boot(); // bx r0
    cpu.write_memory(RAM, &[0x01, 0x21, 0x00, 0xBE]); // movs r1, #1; bkpt
    cpu.set_register(Register::R(0), RAM | 1);
    cpu.insert_breakpoint(RAM);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
    assert_eq!(cpu.memory(RAM, 2), Some(&[0x01, 0x21][..]));
    cpu.remove_breakpoint(RAM);
    run_to_breakpoint(&mut cpu);
    assert_eq!(cpu.register(Register::R(1)), 1);
}

#[test]
fn a_breakpoint_inside_an_it_block_halts_and_the_block_continues() {
    // cmp r0, r0; itte eq; moveq r1, #1; moveq r2, #2; movne r3, #3; bkpt
    let mut cpu = Image::new(&[0x4280, 0xBF06, 0x2101, 0x2202, 0x2303, 0xBE00]).boot();
    cpu.insert_breakpoint(CODE + 6);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
    assert_eq!((pc(&cpu), cpu.register(Register::R(1)), cpu.register(Register::R(2))), (CODE + 6, 1, 0));
    cpu.step(&mut EmptyBus);
    assert_eq!((cpu.register(Register::R(2)), cpu.register(Register::R(3))), (2, 0));
    cpu.run(&mut EmptyBus, LONG);
    assert_eq!(cpu.register(Register::R(3)), 0, "its condition fails");
}

#[test]
fn a_step_executes_one_instruction_also_at_a_breakpoint() {
    let mut cpu = Image::new(COUNT).boot();
    cpu.insert_breakpoint(CODE);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
    for count in 1..=3 {
        cpu.step(&mut EmptyBus);
        assert_eq!((cpu.register(Register::R(0)), pc(&cpu)), (count, CODE + 2 * count));
    }
    assert!(cpu.has_breakpoint(CODE));
}

#[test]
fn a_step_takes_no_interrupt_and_the_next_run_does() {
    let mut image = Image::new(COUNT);
    image.handler(16 + 5, &[0x2407, 0x4770]); // movs r4, #7; bx lr
    let mut cpu = image.boot();
    cpu.set_enabled(5, true);
    cpu.pend_interrupt(5);
    assert!(cpu.will_take_interrupt());
    cpu.step(&mut EmptyBus);
    assert_eq!((pc(&cpu), cpu.exception_number()), (CODE + 2, 0));
    assert_eq!(run_to_breakpoint(&mut cpu), 0);
    assert_eq!(cpu.register(Register::R(4)), 7);
}

#[test]
fn a_step_goes_past_a_wait() {
    let mut cpu = Image::new(&[0xBF30, 0x2001, 0xBE00]).boot(); // wfi; movs r0, #1
    for _ in 0..2 {
        cpu.step(&mut EmptyBus);
    }
    assert_eq!(cpu.register(Register::R(0)), 1);
}

#[test]
fn a_step_ends_a_spin() {
    let config = Config { ram_size: 0x10000, halt_on_spin: true, ..Config::default() };
    let mut cpu = Image::new(&[0xBF00, 0xE7FD]).boot_with(config); // nop; b to it
    assert_eq!(cpu.run(&mut EmptyBus, 1_000_000), Exit::Spin);
    let before = pc(&cpu);
    assert_eq!(cpu.step(&mut EmptyBus), Exit::Budget);
    assert_ne!(pc(&cpu), before);
    cpu.insert_breakpoint(before);
    assert_eq!(cpu.run(&mut EmptyBus, 1_000_000), BREAKPOINT);
}

fn watch(reads: bool, writes: bool) -> Watchpoint {
    Watchpoint { range: RAM + 4..RAM + 8, reads, writes }
}

/// r0 is RAM: str r1, [r0]; str r1, [r0, #4]; ldr r2, [r0, #4]; bkpt.
const ACCESSES: &[u16] = &[0x6001, 0x6041, 0x6842, 0xBE00];

fn accessing() -> Cpu {
    let mut cpu = Image::new(ACCESSES).boot();
    cpu.set_register(Register::R(0), RAM);
    cpu.set_register(Register::R(1), 9);
    cpu
}

#[test]
fn a_watchpoint_halts_before_the_access() {
    for (reads, writes, at) in [(false, true, CODE + 2), (true, false, CODE + 4), (true, true, CODE + 2)] {
        let mut cpu = accessing();
        cpu.insert_watchpoint(watch(reads, writes));
        let cause = HaltCause::Watchpoint { address: RAM + 4, write: at == CODE + 2 };
        assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Halted { cause });
        assert_eq!(pc(&cpu), at);
        let value = u32::from(at == CODE + 4) * 9;
        assert_eq!(cpu.memory(RAM + 4, 1), Some(&[value as u8][..]), "written only after the watchpoint");
        assert!(cpu.remove_watchpoint(&watch(reads, writes)));
        assert!(!cpu.remove_watchpoint(&watch(reads, writes)));
        run_to_breakpoint(&mut cpu);
        assert_eq!(cpu.register(Register::R(2)), 9);
    }
}

#[test]
fn a_store_of_several_registers_is_done_whole_after_the_watchpoint() {
    let mut cpu = Image::new(&[0xB403, 0xBE00]).boot(); // push {r0, r1}
    cpu.set_register(Register::R(0), 1);
    cpu.set_register(Register::R(1), 2);
    let watched = Watchpoint { range: STACK - 4..STACK, reads: false, writes: true };
    cpu.insert_watchpoint(watched.clone());
    assert!(matches!(cpu.run(&mut EmptyBus, LONG), Exit::Halted { cause: HaltCause::Watchpoint { .. } }));
    assert_eq!((pc(&cpu), cpu.register(Register::SP)), (CODE, STACK));
    cpu.remove_watchpoint(&watched);
    run_to_breakpoint(&mut cpu);
    assert_eq!(cpu.memory(STACK - 8, 8), Some(&[1, 0, 0, 0, 2, 0, 0, 0][..]));
}

#[test]
fn a_reset_keeps_breakpoints_and_watchpoints() {
    let mut cpu = accessing();
    cpu.insert_breakpoint(CODE);
    cpu.insert_watchpoint(watch(false, true));
    cpu.reset().expect("vectors");
    cpu.set_register(Register::R(0), RAM);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), BREAKPOINT);
    cpu.step(&mut EmptyBus);
    assert!(matches!(cpu.run(&mut EmptyBus, LONG), Exit::Halted { cause: HaltCause::Watchpoint { .. } }));
    cpu.detach_debugger();
    cpu.set_halt_on_breakpoint(true);
    assert_eq!(run_to_breakpoint(&mut cpu), 0);
}

#[test]
fn the_registers_of_a_fault_are_those_at_its_instruction() {
    for sp in [STACK, RAM + 8] {
        // r0 is 0x60000000: ldr r1, [r0]. With the second stack pointer the frame cannot be stacked either.
        let config = Config { ram_size: 0x10000, halt_on_hard_fault: true, ..Config::default() };
        let mut cpu = Image::new(&[0xBF00, 0x6801]).boot_with(config);
        cpu.set_register(Register::R(0), 0x6000_0000);
        cpu.set_register(Register::R(3), 3);
        cpu.set_register(Register::SP, sp);
        assert!(matches!(cpu.run(&mut EmptyBus, LONG), Exit::HardFault { .. }));
        cpu.undo_fault_entry();
        let registers = [Register::SP, Register::LR, Register::PC, Register::R(3)];
        assert_eq!(registers.map(|one| cpu.register(one)), [sp, 0xFFFF_FFFF, CODE + 2, 3]);
        assert_eq!(cpu.exception_number(), 0);
    }
}

#[test]
fn exceptions_are_recorded_with_their_cycles() {
    let mut image = Image::new(&[0xBF00, 0xDF00, 0xBE00]); // nop; svc
    image.handler(11, &[0xBF00, 0x4770]);
    let mut cpu = image.boot();
    cpu.record_exceptions(true);
    run_to_breakpoint(&mut cpu);
    let event = |cycle, entered| ExceptionEvent { cycle, number: 11, entered };
    assert_eq!(cpu.take_exception_events(), [event(2, true), event(4, false)]);
    assert_eq!(cpu.take_exception_events(), []);
}
