//! Busy loops without effect are found, and no others.

mod common;

use armv8m::{Bus, BusFault, Config, Cpu, EmptyBus, Exit, Register, Signals, Width};
use common::{CODE, Image, RAM};
use test_rng::Rng;

/// Far more cycles than it takes to find a loop.
const LONG: u64 = 20_000_000;

fn boot(image: &Image) -> Cpu {
    image.boot_with(Config {
        ram_size: 0x10000,
        halt_on_spin: true,
        halt_on_breakpoint: true,
        ..Config::default()
    })
}

fn run(program: &[u16]) -> (Exit, Cpu) {
    let mut cpu = boot(&Image::new(program));
    (cpu.run(&mut EmptyBus, LONG), cpu)
}

/// Runs a loop that has to be found, and soon.
fn spins(program: &[u16]) -> Cpu {
    let (exit, cpu) = run(program);
    assert_eq!(exit, Exit::Spin, "{program:04x?}");
    assert!(cpu.instructions() < 5000, "{} instructions", cpu.instructions());
    cpu
}

/// Runs a loop that has an effect in each iteration, to the end of the budget.
fn runs(program: &[u16]) -> Cpu {
    let (exit, cpu) = run(program);
    assert_eq!((exit, cpu.instructions()), (Exit::Budget, LONG), "{program:04x?}");
    cpu
}

#[test]
fn a_branch_to_itself_spins() {
    spins(&[0xE7FE]);
}

#[test]
fn waiting_for_a_variable_spins() {
    spins(&[
        0xF04F, 0x5000, // mov.w r0, #0x20000000
        0x6801, // ldr r1, [r0]
        0x2900, // cmp r1, #0
        0xD0FC, // beq to the load
        0xBE00, // bkpt
    ]);
}

#[test]
fn a_loop_with_calls_that_save_registers_in_one_place_spins() {
    spins(&[
        0xF000, 0xF803, // bl first
        0xF000, 0xF804, // bl second
        0xE7FA, // b to the first bl
        0xB510, 0x2401, 0xBD10, // first: push {r4, lr}; movs r4, #1; pop {r4, pc}
        0xB510, 0x2402, 0xBD10, // second: the same with 2, and another return address in the same word
    ]);
}

#[test]
fn a_loop_with_a_counted_loop_inside_spins() {
    spins(&[
        0x2000, // movs r0, #0
        0x3001, // adds r0, #1
        0x2825, // cmp r0, #37
        0xD1FC, // bne to the adds
        0xE7FA, // b to the movs
    ]);
}

#[test]
fn a_loop_that_takes_and_drops_a_lock_spins() {
    spins(&[
        0xF04F, 0x5000, // mov.w r0, #0x20000000
        0xB672, // cpsid i
        0xE850, 0x1F00, // ldrex r1, [r0]
        0xE840, 0x1200, // strex r2, r1, [r0]
        0xB662, // cpsie i
        0xE7F8, // b to the cpsid
    ]);
}

#[test]
fn a_loop_that_counts_in_a_register_runs() {
    let cpu = runs(&[0x3001, 0xE7FD]); // adds r0, #1; b
    assert_eq!(u64::from(cpu.register(Register::R(0))), LONG / 2);
}

#[test]
fn a_loop_that_counts_in_memory_runs() {
    runs(&[
        0xF04F, 0x5000, // mov.w r0, #0x20000000
        0x6801, // ldr r1, [r0]
        0x3101, // adds r1, #1
        0x6001, // str r1, [r0]
        0x2100, // movs r1, #0
        0xE7FA, // b to the load
    ]);
}

#[test]
fn a_loop_that_counts_in_a_floating_point_register_runs() {
    runs(&[
        0xF64E, 0x5088, // movw r0, #0xED88
        0xF2CE, 0x0000, // movt r0, #0xE000
        0xF44F, 0x0170, // mov.w r1, #0xF00000
        0x6001, // str r1, [r0]: the unit is on
        0x3201, // adds r2, #1
        0xEE00, 0x2A10, // vmov s0, r2
        0x2000, // movs r0, #0
        0xEE10, 0x2A10, // vmov r2, s0
        0xE7F8, // b to the adds
    ]);
}

#[test]
fn a_loop_that_reads_a_system_register_runs() {
    // SysTick's counter, whether it counts or not.
    runs(&[
        0xF24E, 0x0018, // movw r0, #0xE018
        0xF2CE, 0x0000, // movt r0, #0xE000
        0x6801, // ldr r1, [r0]
        0xE7FD, // b to the load
    ]);
}

#[test]
fn a_loop_that_ends_after_long_is_not_cut_short() {
    let (exit, cpu) = run(&[
        0xF24C, 0x3050, // movw r0, #50000
        0x3801, // subs r0, #1
        0xD1FD, // bne
        0xBE07, // bkpt
    ]);
    assert_eq!(exit, Exit::Breakpoint { address: CODE + 8, comment: 7 });
    assert_eq!((cpu.register(Register::R(0)), cpu.instructions()), (0, 100_002), "the BKPT counts too");
}

/// A peripheral of one register that counts how often it is read.
struct Reads(u32);

impl Bus for Reads {
    fn read(&mut self, _: u32, _: Width, _: &mut Signals<'_>) -> Result<u32, BusFault> {
        self.0 += 1;
        Ok(self.0 / 1000)
    }
    fn write(&mut self, _: u32, _: Width, _: u32, _: &mut Signals<'_>) -> Result<(), BusFault> {
        Ok(())
    }
}

#[test]
fn a_loop_that_reads_a_peripheral_runs_until_it_has_its_answer() {
    let image = Image::new(&[
        0xF04F, 0x4080, // mov.w r0, #0x40000000
        0x6801, // ldr r1, [r0]
        0x2907, // cmp r1, #7
        0xD1FC, // bne to the load
        0xBE00, // bkpt
    ]);
    let mut bus = Reads(0);
    assert!(matches!(boot(&image).run(&mut bus, LONG), Exit::Breakpoint { .. }));
    assert_eq!(bus.0, 7000);
}

/// A register that has the same value until the host changes it.
struct Steady(u32);

impl Bus for Steady {
    fn read(&mut self, _: u32, _: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault> {
        signals.mark_steady();
        Ok(self.0)
    }
    fn write(&mut self, _: u32, _: Width, _: u32, _: &mut Signals<'_>) -> Result<(), BusFault> {
        Ok(())
    }
}

#[test]
fn a_loop_that_reads_what_is_steady_spins_until_the_host_says_that_it_changed() {
    let image = Image::new(&[
        0xF04F, 0x4080, // mov.w r0, #0x40000000
        0x6801, // ldr r1, [r0]
        0x2907, // cmp r1, #7
        0xD1FC, // bne to the load
        0xBE00, // bkpt
    ]);
    let (mut cpu, mut bus) = (boot(&image), Steady(0));
    assert_eq!(cpu.run(&mut bus, LONG), Exit::Spin);
    bus.0 = 7;
    cpu.input_changed();
    assert!(matches!(cpu.run(&mut bus, 100), Exit::Breakpoint { .. }));
}

#[test]
fn a_loop_that_writes_to_a_peripheral_runs() {
    let mut cpu = boot(&Image::new(&[0xF04F, 0x4080, 0x6001, 0xE7FD])); // mov.w; str r1, [r0]; b to the store
    assert_eq!(cpu.run(&mut Steady(0), 1_000_000), Exit::Budget);
}

/// Spins until the interrupt's handler has written RAM; then stops at a BKPT.
fn waiting_for_an_interrupt() -> Image {
    let mut image = Image::new(&[
        0xF24E, 0x1000, // movw r0, #0xE100
        0xF2CE, 0x0000, // movt r0, #0xE000
        0x2120, // movs r1, #32: interrupt 5
        0x6001, // str r1, [r0]
        0xF04F, 0x5000, // mov.w r0, #0x20000000
        0x6801, // ldr r1, [r0]
        0x2900, // cmp r1, #0
        0xD0FC, // beq to the load
        0xBE2A, // bkpt
    ]);
    image.handler(16 + 5, &[0x2101, 0x6001, 0x4770]); // movs r1, #1; str r1, [r0]; bx lr
    image
}

#[test]
fn a_loop_ends_when_an_interrupt_comes() {
    let mut cpu = boot(&waiting_for_an_interrupt());
    assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    let executed = cpu.instructions();
    for _ in 0..1000 {
        cpu.skip_cycles(100_000);
        assert_eq!(cpu.run(&mut EmptyBus, 1), Exit::Spin);
    }
    assert_eq!(cpu.instructions(), executed, "spinning costs nothing");
    cpu.pend_interrupt(5);
    assert!(matches!(cpu.run(&mut EmptyBus, 100), Exit::Breakpoint { comment: 42, .. }));
}

#[test]
fn a_loop_ends_when_the_host_changes_what_it_waits_for() {
    let mut cpu = boot(&waiting_for_an_interrupt());
    assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    cpu.write_memory(RAM, &[1]);
    assert!(matches!(cpu.run(&mut EmptyBus, 100), Exit::Breakpoint { comment: 42, .. }));
}

#[test]
fn a_reset_ends_a_spin() {
    let mut cpu = boot(&waiting_for_an_interrupt());
    assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    cpu.reset().expect("vectors");
    assert_eq!(cpu.run(&mut EmptyBus, 3), Exit::Budget);
    assert_eq!(cpu.register(Register::PC), CODE + 8 + 2);
}

#[test]
fn an_interrupt_that_is_masked_where_the_loop_was_found_is_taken_where_it_is_not() {
    // The interrupt is masked most of the time, so that the loop is most likely found there.
    let mut image = Image::new(&[
        0xF24E, 0x1000, 0xF2CE, 0x0000, 0x2120, 0x6001, // interrupt 5 is on
        0xB662, 0xBF00, 0xB672, // cpsie i; nop; cpsid i
        0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xBF00, 0xE7F4, // nops; b to the cpsie
    ]);
    image.handler(16 + 5, &[0xBE05]);
    let mut cpu = boot(&image);
    assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    cpu.pend_interrupt(5);
    assert!(matches!(cpu.run(&mut EmptyBus, 100), Exit::Breakpoint { comment: 5, .. }));
}

#[test]
fn a_loop_with_interrupts_off_spins_however_many_are_pending() {
    let mut cpu = boot(&Image::new(&[
        0xF24E, 0x1000, 0xF2CE, 0x0000, 0x2120, 0x6001, // interrupt 5 is on
        0xB672, 0xE7FE, // cpsid i; b .
    ]));
    assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    let executed = cpu.instructions();
    for _ in 0..100 {
        cpu.pend_interrupt(5);
        assert_eq!(cpu.run(&mut EmptyBus, LONG), Exit::Spin);
    }
    assert!(cpu.instructions() - executed < 1000, "found again after the first only");
}

/// An observation that is not finished at the end of a run continues in the next.
#[test]
fn a_loop_is_found_in_runs_of_any_length() {
    for budget in [1, 2, 3, 7, 100] {
        let mut cpu = boot(&waiting_for_an_interrupt());
        while cpu.run(&mut EmptyBus, budget) == Exit::Budget {
            assert!(cpu.instructions() < 5000);
        }
    }
}

/// The same program with and without detection: after the same number of cycles everything is the same, as long as the
/// host skips none.
#[test]
fn detection_changes_nothing() {
    let programs: [&[u16]; 2] = [
        &[0x3001, 0xF04F, 0x5400, 0x6020, 0x6825, 0x1A6D, 0xE7F8],
        &[0x3001, 0xB501, 0xF85D, 0x1B08, 0x0FC1, 0xE7F9],
    ];
    for program in programs {
        let image = Image::new(program);
        let (mut watched, mut plain) = (boot(&image), image.boot());
        assert_eq!(watched.run(&mut EmptyBus, 300_000), plain.run(&mut EmptyBus, 300_000));
        for n in 0..16 {
            assert_eq!(watched.register(Register::R(n)), plain.register(Register::R(n)));
        }
        assert_eq!(watched.memory(RAM, 0x10000), plain.memory(RAM, 0x10000));
    }
}

/// Random programs.
struct Programs(Rng);

impl Programs {
    fn next(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A loop of a few instructions: arithmetic, and loads and stores near R7's address.
    fn program(&mut self) -> Vec<u16> {
        let mut program = vec![0xF04F, 0x5700]; // mov.w r7, #0x20000000
        let length = 1 + self.next() % 8;
        for _ in 0..length {
            let fields = self.next() as u16;
            program.push(match self.next() % 8 {
                0 => 0x2000 | fields & 0x06FF, // movs r0, r2, r4 or r6
                1 => 0x3000 | fields & 0x0607, // adds of a small number
                2 => 0x4000 | fields & 0x03DB, // logic, shifts, multiplication among r0 to r3
                3 => 0x6038 | fields & 0x0083, // str
                4 => 0x6838 | fields & 0x0083, // ldr
                5 => 0x1800 | fields & 0x02DB, // adds, subs of registers
                6 => 0xB401 | fields & 0x000E, // push, which leaves RAM in the end
                _ => 0xBF00,                   // nop
            });
        }
        let back = program.len() as u16; // to the instruction after the mov.w
        program.push(0xE000 | (0x800 - back));
        program
    }
}

fn registers(cpu: &Cpu) -> Vec<u32> {
    let named = [Register::Xpsr, Register::Msp, Register::Control];
    (0..16).map(Register::R).chain(named).map(|register| cpu.register(register)).collect()
}

/// A loop that was found reaches the same state again, and soon, when it is run on.
#[test]
fn every_loop_that_is_found_repeats_its_state() {
    let mut programs = Programs(Rng::new(0x5EED));
    let mut found = 0;
    for _ in 0..300 {
        let program = programs.program();
        let image = Image::new(&program);
        let mut watched = boot(&image);
        if watched.run(&mut EmptyBus, 20_000) != Exit::Spin {
            continue;
        }
        found += 1;
        let mut plain = image.boot();
        assert_eq!(plain.run(&mut EmptyBus, watched.instructions()), Exit::Budget);
        assert_eq!(registers(&plain), registers(&watched), "{program:04x?}");
        let repeats = (0..2048).any(|_| {
            plain.run(&mut EmptyBus, 1) == Exit::Budget
                && registers(&plain) == registers(&watched)
                && plain.memory(RAM, 0x10000) == watched.memory(RAM, 0x10000)
        });
        assert!(repeats, "{program:04x?}");
    }
    assert!((30..285).contains(&found), "both kinds of loops occur: {found}");
}
