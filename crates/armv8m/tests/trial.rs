//! Trial runs: what they find, and that nothing of them remains but the cycles.

use std::sync::Arc;

use armv8m::{Bus, BusFault, Config, Cpu, EmptyBus, Exit, Register, Signals, Width};

const RAM: u32 = 0x2000_0000;
/// The page whose addresses are traps.
const TRAP: u32 = 0x0C1F_E000;

/// A processor before the first instruction of `program`, r4 on the trap page and r5 in RAM.
fn processor(program: &[u16]) -> Cpu {
    let mut flash = vec![0; 0x400];
    flash[..8].copy_from_slice(&[0x00, 0x10, 0x00, 0x20, 0x01, 0x02, 0x00, 0x08]);
    for (at, instruction) in program.iter().enumerate() {
        flash[0x200 + 2 * at..][..2].copy_from_slice(&instruction.to_le_bytes());
    }
    let config = Config {
        flash_base: 0x0800_0000,
        ram_base: RAM,
        ram_size: 0x1000,
        vtor: 0x0800_0000,
        trap: TRAP..TRAP + 0x1000,
        halt_on_hard_fault: true,
        halt_on_spin: true,
        ..Config::default()
    };
    let mut cpu = Cpu::new(config, Arc::from(flash));
    cpu.reset().expect("a vector table");
    cpu.set_register(Register::R(4), TRAP | 1);
    cpu.set_register(Register::R(5), RAM);
    cpu
}

/// Runs to the first call.
fn at_its_call(program: &[u16]) -> Cpu {
    let mut cpu = processor(program);
    assert_eq!(cpu.run(&mut EmptyBus, 1000), Exit::Trap { address: TRAP });
    cpu
}

/// Everything that the host can read.
fn state(cpu: &Cpu) -> (Vec<u32>, Vec<u8>) {
    use Register as R;
    let special =
        [R::Xpsr, R::Msp, R::Psp, R::Msplim, R::Psplim, R::Primask, R::Basepri, R::Control, R::Fpscr];
    let all = (0..16).map(R::R).chain((0..32).map(R::S)).chain(special);
    let registers = all.map(|register| cpu.register(register)).collect();
    (registers, cpu.memory(RAM, 0x1000).expect("RAM").to_vec())
}

/// Runs the program on trial, with `answer` to each call, until it repeats a state or cannot continue.
fn repeats(cpu: &mut Cpu, answer: u32) -> bool {
    assert!(cpu.begin_trial());
    let found = loop {
        if !cpu.return_on_trial(answer) {
            break false;
        }
        if cpu.trial_repeats() {
            break true;
        }
        if cpu.run_trial(&mut EmptyBus, 1000) != Some(TRAP) {
            break false;
        }
    };
    cpu.end_trial();
    found
}

#[test]
fn a_polling_loop_repeats_whatever_it_does_with_the_answer() {
    // blx r4; str r0, [r5]; ldr r1, [r5, #4]; str r0, [r5, #4]; subs r1, r0, r1; str r1, [r5, #8]; push {r0, r1}; pop
    // {r0, r1}; b
    let program = [0x47A0, 0x6028, 0x6869, 0x6068, 0x1A41, 0x60A9, 0xB403, 0xBC03, 0xE7F6];
    for answer in [0, 1, 0x8000_0000, u32::MAX] {
        let mut cpu = at_its_call(&program);
        let (before, cycles) = (state(&cpu), cpu.cycles());
        assert!(repeats(&mut cpu, answer));
        assert_eq!(state(&cpu), before, "nothing of the trial remains");
        assert!(cpu.cycles() > cycles, "but its cycles");
    }
}

#[test]
fn a_loop_that_counts_does_not_repeat_and_is_rolled_back() {
    // blx r4; adds r6, #1; ldr r1, [r5]; adds r1, #1; str r1, [r5]; b
    for program in [vec![0x47A0, 0x3601, 0xE7FC], vec![0x47A0, 0x6829, 0x3101, 0x6029, 0xE7FA]] {
        let mut cpu = at_its_call(&program);
        let before = state(&cpu);
        assert!(cpu.begin_trial());
        for _ in 0..50 {
            assert!(cpu.return_on_trial(7));
            assert!(!cpu.trial_repeats());
            assert_eq!(cpu.run_trial(&mut EmptyBus, 1000), Some(TRAP));
        }
        cpu.end_trial();
        assert_eq!(state(&cpu), before);
    }
}

/// A peripheral that records whether it was written.
struct WriteDetector(bool);

impl Bus for WriteDetector {
    fn read(&mut self, _: u32, _: Width, _: &mut Signals<'_>) -> Result<u32, BusFault> {
        Err(BusFault)
    }
    fn write(&mut self, _: u32, _: Width, _: u32, _: &mut Signals<'_>) -> Result<(), BusFault> {
        self.0 = true;
        Ok(())
    }
}

#[test]
fn what_cannot_be_rolled_back_ends_a_trial_before_it_happens() {
    let programs: [(&str, &[u16]); 8] = [
        ("a supervisor call", &[0x47A0, 0xDF00]),
        ("an undefined instruction", &[0x47A0, 0xDE00]),
        ("a breakpoint", &[0x47A0, 0xBE00]),
        ("WFI", &[0x47A0, 0xBF30]),
        ("a read where nothing is", &[0x47A0, 0x2001, 0x0780, 0x6800]), // ldr r0, [0x40000000]
        ("a system register", &[0x47A0, 0xF04F, 0x20E0, 0x6800]),       // mov.w r0, #0xE000E000
        ("a write to a system register", &[0x47A0, 0xF04F, 0x20E0, 0xF8C0, 0x1D08]), // str r1, [r0, #0xD08]: VTOR
        ("a branch to nowhere", &[0x47A0, 0x2001, 0x4700]),
    ];
    for (what, program) in programs {
        let mut cpu = at_its_call(program);
        let (before, vectors) = (state(&cpu), cpu.vector_table());
        assert!(cpu.begin_trial());
        assert!(cpu.return_on_trial(0));
        let called = cpu.run_trial(&mut EmptyBus, 100);
        assert_eq!(called, None, "{what}");
        cpu.end_trial();
        assert_eq!((state(&cpu), cpu.vector_table()), (before, vectors), "{what}");
        assert!(!cpu.in_handler_mode());
        // The trial does not prevent the instruction's normal execution.
        cpu.return_from_trap(0);
        let _exit = cpu.run(&mut WriteDetector(false), 100);
    }
}

#[test]
fn floating_point_stack_pointers_and_masks_are_taken_back() {
    // blx r4; cpsid i; msr psp, r5; vmov s0, r5; msr control, r6 (SPSEL, FPCA); push {r0}; blx r4
    let program = [0x47A0, 0xB672, 0xF385, 0x8809, 0x47A0];
    let mut cpu = at_its_call(&program);
    let before = state(&cpu);
    assert!(cpu.begin_trial());
    assert!(cpu.return_on_trial(0));
    assert_eq!(cpu.run_trial(&mut EmptyBus, 100), Some(TRAP));
    assert_eq!((cpu.register(Register::Primask), cpu.register(Register::Psp)), (1, RAM));
    cpu.end_trial();
    assert_eq!(state(&cpu), before);
}

#[test]
fn code_in_ram_that_a_trial_overwrites_is_the_old_code_afterwards() {
    // movs r1, #0x11 written over by movs r1, #0x22 (0x2122) in RAM, called as a function: blx r7; blx r4; strh r6,
    // [r5]; blx r7; blx r4
    let program = [0x47B8, 0x47A0, 0x802E, 0x47B8, 0x47A0, 0xE7FE];
    let mut cpu = processor(&program);
    cpu.write_memory(RAM, &[0x11, 0x21, 0x70, 0x47]);
    cpu.set_register(Register::R(7), RAM | 1);
    cpu.set_register(Register::R(6), 0x2122);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: TRAP });
    assert_eq!(cpu.register(Register::R(1)), 0x11);
    assert!(cpu.begin_trial());
    assert!(cpu.return_on_trial(0));
    assert_eq!(cpu.run_trial(&mut EmptyBus, 100), Some(TRAP));
    assert_eq!(cpu.register(Register::R(1)), 0x22);
    cpu.end_trial();
    // Past the store: the old code runs.
    cpu.set_register(Register::R(1), 0);
    cpu.set_register(Register::PC, 0x0800_0200);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: TRAP });
    assert_eq!(cpu.register(Register::R(1)), 0x11);
}

#[test]
fn an_interrupt_that_is_due_or_a_handler_that_runs_forbid_a_trial() {
    let mut cpu = at_its_call(&[0x47A0, 0xE7FD]);
    cpu.set_enabled(3, true);
    cpu.pend_interrupt(3);
    assert!(!cpu.begin_trial());
    cpu.clear_pending(3);
    assert!(cpu.begin_trial());
    cpu.end_trial();
}

#[test]
fn external_activity_is_reported_once() {
    let mut cpu = at_its_call(&[0x47A0, 0xE7FD]);
    let _host = cpu.take_external_activity();
    cpu.return_from_trap(0);
    assert!(cpu.take_external_activity().interrupted);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: TRAP });
    assert_eq!(cpu.take_external_activity(), armv8m::ExternalActivity::default());
}
