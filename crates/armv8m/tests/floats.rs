//! The floating-point unit in exception frames: lazy stacking and whose FPSCR is whose.

mod common;

use armv8m::{EmptyBus, Exit, Register};
use common::{Image, STACK, r, run_to_breakpoint, step_over, word};

/// Enables the unit and interrupt 0, sets FPSCR to round up with all condition flags, S0 = 1.0, S15 = 2.0, S16 = 0.5.
const SETUP: &[u16] = &[
    0xF64E, 0x5088, // movw r0, #60808
    0xF2CE, 0x0000, // movt r0, #57344
    0xF44F, 0x0170, // mov.w r1, #15728640
    0x6001, // str r1, [r0, #0]
    0xF3BF, 0x8F4F, // dsb sy
    0xF3BF, 0x8F6F, // isb sy
    0xF24E, 0x1000, // movw r0, #57600
    0xF2CE, 0x0000, // movt r0, #57344
    0x2101, // movs r1, #1
    0x6001, // str r1, [r0, #0]
    0xF04F, 0x4170, // mov.w r1, #4026531840
    0xF441, 0x0180, // orr.w r1, r1, #4194304
    0xEEE1, 0x1A10, // vmsr fpscr, r1
    0xEEB7, 0x0A00, // vmov.f32 s0, #112
    0xEEF0, 0x7A00, // vmov.f32 s15, #0
    0xEEB6, 0x8A00, // vmov.f32 s16, #96
    0xBE01, // bkpt 0x0001
    0xEE70, 0x0A27, // vadd.f32 s1, s0, s15
    0xBE02, // bkpt 0x0002
];

/// Reads a system register by running `LDR R1, [R0]; BKPT` in RAM.
fn read_ppb(cpu: &mut armv8m::Cpu, address: u32) -> u32 {
    let saved = [Register::R(0), Register::R(1), Register::PC].map(|name| (name, cpu.register(name)));
    assert!(cpu.write_memory(0x2000_0400, &[0x01, 0x68, 0x63, 0xBE])); // ldr r1, [r0]; bkpt #0x63
    cpu.set_register(Register::R(0), address);
    cpu.set_register(Register::PC, 0x2000_0400);
    assert_eq!(run_to_breakpoint(cpu), 0x63);
    let value = r(cpu, 1);
    for (name, value) in saved {
        cpu.set_register(name, value);
    }
    value
}

const PENDING_SETUP: u32 = 0x00C0_0000;

fn running(handler: &[u16]) -> armv8m::Cpu {
    let mut image = Image::new(SETUP);
    image.handler(16, handler);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    step_over(&mut cpu);
    cpu
}

#[test]
fn a_context_that_used_the_unit_gets_an_extended_frame_that_is_filled_lazily() {
    let mut cpu = running(&[0xBE10, 0x4770]);
    assert_eq!(cpu.register(Register::Control), 4, "FPCA");
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(cpu.register(Register::LR), 0xFFFF_FFA8);
    assert_eq!(cpu.register(Register::SP), STACK - 0x68);
    assert_eq!(cpu.register(Register::Control), 0);
    assert_eq!(word(&cpu, STACK - 0x68 + 0x20), 0, "S0 is not written yet");
    let fpccr = read_ppb(&mut cpu, 0xE000_EF34);
    assert_eq!(fpccr, 0xC000_0019, "ASPEN, LSPEN; HFRDY, THREAD, LSPACT");
    assert_eq!(read_ppb(&mut cpu, 0xE000_EF38), STACK - 0x68 + 0x20, "FPCAR");
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), 2);
    assert_eq!(cpu.register(Register::S(1)), 0x4040_0000, "1.0 + 2.0");
    assert_eq!(cpu.register(Register::SP), STACK);
    assert_eq!(cpu.register(Register::Control), 4);
}

/// Guards the bug "FPSCR reset before the lazy save": the frame must contain the interrupted FPSCR, the handler a reset
/// one.
#[test]
fn the_lazy_save_keeps_the_interrupted_fpscr_and_only_then_resets_it() {
    let mut cpu = running(&[
        0xEEF1, 0x0A10, // vmrs r0, fpscr
        0x2200, // movs r2, #0
        0xEE00, 0x2A10, // vmov s0, r2
        0xEE07, 0x2A90, // vmov s15, r2
        0xF44F, 0x0140, // mov.w r1, #12582912
        0xEEE1, 0x1A10, // vmsr fpscr, r1
        0xBE10, // bkpt 0x0010
        0x4770, // bx lr
    ]);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(r(&cpu, 0), 0, "the handler's own FPSCR, from FPDSCR");
    assert_eq!(cpu.register(Register::Fpscr), PENDING_SETUP);
    let frame = STACK - 0x68 + 0x20;
    assert_eq!(word(&cpu, frame), 0x3F80_0000, "S0");
    assert_eq!(word(&cpu, frame + 60), 0x4000_0000, "S15");
    assert_eq!(word(&cpu, frame + 64), 0xF040_0000, "FPSCR");
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), 2);
    assert_eq!(cpu.register(Register::Fpscr), 0xF040_0000);
    assert_eq!(cpu.register(Register::S(0)), 0x3F80_0000);
    assert_eq!(cpu.register(Register::S(1)), 0x4040_0000);
    assert_eq!(cpu.register(Register::S(16)), 0x3F00_0000);
}

#[test]
fn fpdscr_gives_a_new_context_its_modes() {
    let mut cpu = running(&[
        0xF64E, 0x703C, // movw r0, #61244
        0xF2CE, 0x0000, // movt r0, #57344
        0xF04F, 0x31FF, // mov.w r1, #4294967295
        0x6001, // str r1, [r0, #0]
        0xEEF1, 0x0A10, // vmrs r0, fpscr
        0xBE10, // bkpt 0x0010
    ]);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(r(&cpu, 0), 0x07C0_0000);
}

#[test]
fn without_lazy_stacking_the_frame_is_filled_at_once() {
    let mut image = Image::new(
        &[
            &[
                0xF64E, 0x7034, // movw r0, #61236
                0xF2CE, 0x0000, // movt r0, #57344
                0xF04F, 0x4100, // mov.w r1, #2147483648
                0x6001, // str r1, [r0, #0]
            ],
            SETUP,
        ]
        .concat(),
    );
    image.handler(16, &[0xBE10, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    step_over(&mut cpu);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(word(&cpu, STACK - 0x68 + 0x20), 0x3F80_0000);
    assert_eq!(word(&cpu, STACK - 0x68 + 0x60), 0xF040_0000);
    cpu.set_register(Register::S(0), 7);
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), 2);
    assert_eq!(cpu.register(Register::S(0)), 0x3F80_0000);
}

#[test]
fn a_context_that_never_used_the_unit_has_a_short_frame() {
    let mut image = Image::new(&[0x2001, 0xE7FE]); // movs r0, #1; b .
    image.handler(2, &[0xBE02]);
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 5), Exit::Budget);
    assert_eq!(cpu.register(Register::Control), 0);
    assert_eq!(cpu.register(Register::SP), STACK);
}

#[test]
fn loads_and_stores_of_double_registers_move_two_words() {
    let mut cpu = Image::new(&[
        0xF64E, 0x5088, // movw r0, #60808
        0xF2CE, 0x0000, // movt r0, #57344
        0xF44F, 0x0170, // mov.w r1, #15728640
        0x6001, // str r1, [r0, #0]
        0xF04F, 0x5000, // mov.w r0, #536870912
        0x210B, // movs r1, #11
        0x2216, // movs r2, #22
        0xEC42, 0x1B13, // vmov d3, r1, r2
        0xED80, 0x3B02, // vstr d3, [r0, #8]
        0xEDD0, 0x0A02, // vldr s1, [r0, #8]
        0xED90, 0x0A03, // vldr s0, [r0, #12]
        0xED2D, 0x0B02, // vpush {d0}
        0xECBD, 0x5A02, // vpop {s10-s11}
        0xED20, 0x5A02, // vstmdb r0!, {s10-s11}
        0xBE01, // bkpt 0x0001
    ]);
    let mut cpu = {
        let cpu = &mut cpu;
        cpu.boot()
    };
    // VSTMDB writes below RAM: a bus fault that became a HardFault, after everything else worked.
    assert_eq!(run_to_breakpoint(&mut cpu), 3);
    assert_eq!([6, 7, 10, 11].map(|n| cpu.register(Register::S(n))), [11, 22, 22, 11]);
    assert_eq!(r(&cpu, 0), 0x2000_0000, "no writeback after a fault");
}

#[test]
fn the_unit_is_cleared_on_return_where_fpccr_asks_for_it() {
    let mut image = Image::new(&[
        0xF64E, 0x7034, // movw r0, #61236
        0xF2CE, 0x0000, // movt r0, #57344
        0xF04F, 0x4150, // mov.w r1, #3489660928
        0x6001, // str r1, [r0, #0]
        0xF64E, 0x5088, // movw r0, #60808
        0xF2CE, 0x0000, // movt r0, #57344
        0xF44F, 0x0170, // mov.w r1, #15728640
        0x6001, // str r1, [r0, #0]
        0xDF00, // svc 0
        0xBE01, // bkpt 0x0001
    ]);
    // vmov.f32 s3, #1.0; vmov.f32 s16, #1.0; bx lr
    image.handler(11, &[0xEEF7, 0x1A00, 0xEEB7, 0x8A00, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(cpu.register(Register::S(3)), 0);
    assert_eq!(cpu.register(Register::S(16)), 0x3F80_0000);
}
