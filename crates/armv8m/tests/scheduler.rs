//! A small pre-emptive scheduler, interrupted at random instructions, never corrupts the state of any task.

mod common;

use armv8m::{Cpu, EmptyBus, Exit};
use common::{FLASH, Image, RAM, STACK, word};
use test_rng::Rng;

const TASKS: u32 = 4;
/// Interrupts that this test pends; the first one's handler uses the floating-point unit.
const INTERRUPTS: u16 = 4;
/// The addresses of the program's state, as in its literals.
const RESULTS: u32 = RAM + 0x100;
const INTERRUPT_COUNTS: u32 = RAM + 0x200;
const TASK_STACKS: u32 = RAM + 0x1000;

/// Sets up priorities, SysTick and the unit, then starts task 0 by SVC. R4 upwards come from the initial frames.
const PROGRAM: &[u16] = &[
    0x480D, // ldr r0, [pc, #52]
    0xF44F, 0x0170, // mov.w r1, #15728640
    0x6001, // str r1, [r0, #0]
    0x480C, // ldr r0, [pc, #48]
    0x490D, // ldr r1, [pc, #52]
    0x6001, // str r1, [r0, #0]
    0x480D, // ldr r0, [pc, #52]
    0xF44F, 0x0181, // mov.w r1, #4227072
    0x6001, // str r1, [r0, #0]
    0x480C, // ldr r0, [pc, #48]
    0x210F, // movs r1, #15
    0x6001, // str r1, [r0, #0]
    0x480B, // ldr r0, [pc, #44]
    0xF44F, 0x7174, // mov.w r1, #976
    0x6041, // str r1, [r0, #4]
    0x6081, // str r1, [r0, #8]
    0x2107, // movs r1, #7
    0x6001, // str r1, [r0, #0]
    0xF3BF, 0x8F4F, // dsb sy
    0xF3BF, 0x8F6F, // isb sy
    0xDF00, // svc 0
    0xBE01, // bkpt 0x0001
    0x0000, // .short 0x0000
    0xED88, 0xE000, // .word 0xe000ed88
    0xED20, 0xE000, // .word 0xe000ed20
    0x0000, 0xF0F0, // .word 0xf0f00000
    0xE400, 0xE000, // .word 0xe000e400
    0xE100, 0xE000, // .word 0xe000e100
    0xE010, 0xE000, // .word 0xe000e010
];

const SVC: &[u16] = &[
    0x4805, // ldr r0, [pc, #20]
    0x6801, // ldr r1, [r0, #0]
    0xE8B1, 0x4FF0, // ldmia.w r1!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}
    0xF381, 0x8809, // msr PSP, r1
    0xF3BF, 0x8F6F, // isb sy
    0x2000, // movs r0, #0
    0xF380, 0x8811, // msr BASEPRI, r0
    0x4770, // bx lr
    0x0010, 0x2000, // .word 0x20000010
];

const PENDSV: &[u16] = &[
    0xF3EF, 0x8009, // mrs r0, PSP
    0xF01E, 0x0F10, // tst.w lr, #16
    0xBF08, // it eq
    0xED20, 0x8A10, // vstmdbeq r0!, {s16-s31}
    0xE920, 0x4FF0, // stmdb r0!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}
    0xF04F, 0x5200, // mov.w r2, #536870912
    0x6811, // ldr r1, [r2, #0]
    0xF102, 0x0310, // add.w r3, r2, #16
    0xF843, 0x0021, // str.w r0, [r3, r1, lsl #2]
    0xF04F, 0x0050, // mov.w r0, #80
    0xF380, 0x8811, // msr BASEPRI, r0
    0xF3BF, 0x8F4F, // dsb sy
    0xF3BF, 0x8F6F, // isb sy
    0x3101, // adds r1, #1
    0xF001, 0x0103, // and.w r1, r1, #3
    0x6011, // str r1, [r2, #0]
    0xE7FF, // b.n 80043ba <continue>
    // continue:
    0x2000, // movs r0, #0
    0xF380, 0x8811, // msr BASEPRI, r0
    0xF853, 0x0021, // ldr.w r0, [r3, r1, lsl #2]
    0xE8B0, 0x4FF0, // ldmia.w r0!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}
    0xF01E, 0x0F10, // tst.w lr, #16
    0xBF08, // it eq
    0xECB0, 0x8A10, // vldmiaeq r0!, {s16-s31}
    0xF380, 0x8809, // msr PSP, r0
    0x4770, // bx lr
];

/// Counts the tick and pends PendSV, which switches tasks.
const SYSTICK: &[u16] = &[
    0x4804, // ldr r0, [pc, #16]
    0x6801, // ldr r1, [r0, #0]
    0x3101, // adds r1, #1
    0x6001, // str r1, [r0, #0]
    0x4803, // ldr r0, [pc, #12]
    0xF04F, 0x5180, // mov.w r1, #268435456
    0x6001, // str r1, [r0, #0]
    0x4770, // bx lr
    0x0000, // .short 0x0000
    0x0004, 0x2000, // .word 0x20000004
    0xED04, 0xE000, // .word 0xe000ed04
];

/// Counts, and overwrites every register that a handler may overwrite.
const PLAIN_INTERRUPT: &[u16] = &[
    0xF3EF, 0x8005, // mrs r0, IPSR
    0x3810, // subs r0, #16
    0x4906, // ldr r1, [pc, #24]
    0xF851, 0x2020, // ldr.w r2, [r1, r0, lsl #2]
    0x3201, // adds r2, #1
    0xF841, 0x2020, // str.w r2, [r1, r0, lsl #2]
    0xEA6F, 0x0302, // mvn.w r3, r2
    0x469C, // mov ip, r3
    0xF383, 0x8800, // msr CPSR_f, r3
    0x4770, // bx lr
    0x0000, // .short 0x0000
    0x0200, 0x2000, // .word 0x20000200
];

/// The same with the floating-point unit: it has to start with a reset FPSCR, and leaves another rounding mode in it.
const FLOAT_INTERRUPT: &[u16] = &[
    0x490A, // ldr r1, [pc, #40]
    0x680A, // ldr r2, [r1, #0]
    0x3201, // adds r2, #1
    0x600A, // str r2, [r1, #0]
    0xEEF1, 0x3A10, // vmrs r3, fpscr
    0xB963, // cbnz r3, 8006128 <broken>
    0xEE00, 0x2A10, // vmov s0, r2
    0xEE07, 0x2A90, // vmov s15, r2
    0xEEF8, 0x0A40, // vcvt.f32.u32 s1, s0
    0xF44F, 0x0340, // mov.w r3, #12582912
    0xEEE1, 0x3A10, // vmsr fpscr, r3
    0xEE80, 0x1AA0, // vdiv.f32 s2, s1, s1
    0x4770, // bx lr
    // broken:
    0xBE02, // bkpt 0x0002
    0x0000, // .short 0x0000
    0x0200, 0x2000, // .word 0x20000200
];

/// Integer task: R1 its result, R8 its seed, R9 the complement. One iteration is what `next` computes.
const INTEGER_TASK: &[u16] = &[
    0x2200, // movs r2, #0
    0x4643, // mov r3, r8
    // loop:
    0xF246, 0x640D, // movw r4, #26125
    0xF2C0, 0x0419, // movt r4, #25
    0xF24F, 0x355F, // movw r5, #62303
    0xF6C3, 0x456E, // movt r5, #15470
    0xFB03, 0x5304, // mla r3, r3, r4, r5
    0xF013, 0x4F00, // tst.w r3, #2147483648
    0xBF47, // ittee mi
    0xEA83, 0x03C2, // eormi.w r3, r3, r2, lsl #3
    0x3301, // addmi r3, #1
    0x189B, // addpl r3, r3, r2
    0xF083, 0x0355, // eorpl.w r3, r3, #85
    0x3201, // adds r2, #1
    0xE9C1, 0x2300, // strd r2, r3, [r1]
    0xB43C, // push {r2, r3, r4, r5}
    0xBCF0, // pop {r4, r5, r6, r7}
    0x4294, // cmp r4, r2
    0xBF08, // it eq
    0x429D, // cmpeq r5, r3
    0xD10B, // bne.n 8001054 <broken>
    0xEA6F, 0x0609, // mvn.w r6, r9
    0x4546, // cmp r6, r8
    0xD107, // bne.n 8001054 <broken>
    0xF012, 0x0FFF, // tst.w r2, #255
    0xD1DC, // bne.n 8001004 <loop>
    0x4E03, // ldr r6, [pc, #12]
    0xF04F, 0x5780, // mov.w r7, #268435456
    0x6037, // str r7, [r6, #0]
    0xE7D7, // b.n 8001004 <loop>
    // broken:
    0xBE03, // bkpt 0x0003
    0x0000, // .short 0x0000
    0xED04, 0xE000, // .word 0xe000ed04
];

/// The same with the unit: S0 and S16 count too, with the task's own rounding mode.
const FLOAT_TASK: &[u16] = &[
    0x2200, // movs r2, #0
    0x4643, // mov r3, r8
    0xF44F, 0x0A80, // mov.w sl, #4194304
    0xEEE1, 0xAA10, // vmsr fpscr, sl
    0xEEF7, 0x0A00, // vmov.f32 s1, #112
    0xEE30, 0x0AE0, // vsub.f32 s0, s1, s1
    0xEEB0, 0x8A40, // vmov.f32 s16, s0
    // loop:
    0xF246, 0x640D, // movw r4, #26125
    0xF2C0, 0x0419, // movt r4, #25
    0xF24F, 0x355F, // movw r5, #62303
    0xF6C3, 0x456E, // movt r5, #15470
    0xFB03, 0x5304, // mla r3, r3, r4, r5
    0xF013, 0x4F00, // tst.w r3, #2147483648
    0xBF47, // ittee mi
    0xEA83, 0x03C2, // eormi.w r3, r3, r2, lsl #3
    0x3301, // addmi r3, #1
    0x189B, // addpl r3, r3, r2
    0xF083, 0x0355, // eorpl.w r3, r3, #85
    0x3201, // adds r2, #1
    0xEE30, 0x0A20, // vadd.f32 s0, s0, s1
    0xEE38, 0x8A20, // vadd.f32 s16, s16, s1
    0xE9C1, 0x2300, // strd r2, r3, [r1]
    0xEEB4, 0x0A48, // vcmp.f32 s0, s16
    0xEEF1, 0xFA10, // vmrs APSR_nzcv, fpscr
    0xD10C, // bne.n 8002070 <broken>
    0xEEBC, 0x1AC0, // vcvt.u32.f32 s2, s0
    0xEE11, 0x6A10, // vmov r6, s2
    0x4296, // cmp r6, r2
    0xD106, // bne.n 8002070 <broken>
    0xEEF1, 0x6A10, // vmrs r6, fpscr
    0xF026, 0x4670, // bic.w r6, r6, #4026531840
    0x4556, // cmp r6, sl
    0xD100, // bne.n 8002070 <broken>
    0xE7D3, // b.n 8002018 <loop>
    // broken:
    0xBE04, // bkpt 0x0004
];

fn image() -> Image {
    let mut image = Image::new(PROGRAM);
    image.handler(11, SVC).handler(14, PENDSV);
    image.word(FLASH + 15 * 4, 0x0800_6001).code(0x0800_6000, SYSTICK);
    for number in 17..20 {
        image.word(FLASH + number * 4, 0x0800_6081);
    }
    image.code(0x0800_6080, PLAIN_INTERRUPT);
    image.word(FLASH + 16 * 4, 0x0800_6101).code(0x0800_6100, FLOAT_INTERRUPT);
    image.code(0x0800_1000, INTEGER_TASK).code(0x0800_2000, FLOAT_TASK);
    image
}

fn seed(task: u32) -> u32 {
    0x1234_5678u32.wrapping_mul(task + 1)
}

/// A task's initial frame: R4 to R11 and EXC_RETURN, then what the hardware unstacks.
fn prepare(cpu: &mut Cpu, task: u32) {
    let top = TASK_STACKS + (task + 1) * 0x400;
    let entry = if task < 2 { 0x0800_1000 } else { 0x0800_2000 };
    let software = [0, 0, 0, 0, seed(task), !seed(task), 0, 0, 0xFFFF_FFBC];
    let hardware = [0, RESULTS + task * 8, 0, 0, 0, 0, entry, 0x0100_0000];
    let frame: Vec<u8> = software.iter().chain(&hardware).flat_map(|word: &u32| word.to_le_bytes()).collect();
    let start = top - frame.len() as u32;
    assert!(cpu.write_memory(start, &frame));
    assert!(cpu.write_memory(RAM + 0x10 + task * 4, &start.to_le_bytes()));
}

/// One iteration of a task, as the host computes it.
fn next(iteration: u32, value: u32) -> u32 {
    let value = value.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
    if value >> 31 != 0 {
        (value ^ iteration << 3).wrapping_add(1)
    } else {
        value.wrapping_add(iteration) ^ 0x55
    }
}

/// Runs for `instructions`, pending an interrupt every few of them, and returns how often each should have run.
fn run_with_interrupts(cpu: &mut Cpu, instructions: u64, seed: u64) -> [u32; INTERRUPTS as usize] {
    let mut rng = Rng::new(seed);
    let mut expected = [0; INTERRUPTS as usize];
    while cpu.cycles() < instructions {
        let exit = cpu.run(&mut EmptyBus, rng.below(150) + 1);
        assert_eq!(exit, Exit::Budget, "after {} cycles", cpu.cycles());
        let irq = rng.below(u64::from(INTERRUPTS)) as u16;
        expected[irq as usize] += u32::from(!cpu.is_pending(irq));
        cpu.pend_interrupt(irq);
    }
    expected
}

fn check_tasks(cpu: &Cpu) {
    for task in 0..TASKS {
        let (iterations, value) = (word(cpu, RESULTS + task * 8), word(cpu, RESULTS + task * 8 + 4));
        let expected = (0..iterations).fold(seed(task), |value, iteration| next(iteration, value));
        assert!(iterations > 1000, "task {task} ran only {iterations} iterations");
        assert_eq!(value, expected, "task {task} after {iterations} iterations");
    }
}

#[test]
fn four_tasks_survive_interrupts_at_random_instructions() {
    let mut cpu = image().boot();
    (0..TASKS).for_each(|task| prepare(&mut cpu, task));
    let expected = run_with_interrupts(&mut cpu, 4_000_000, 0x2545_F491);
    assert_eq!(cpu.run(&mut EmptyBus, 1_000), Exit::Budget);
    check_tasks(&cpu);
    for (irq, count) in (0..).zip(expected) {
        assert_eq!(word(&cpu, INTERRUPT_COUNTS + irq * 4), count, "interrupt {irq}");
    }
    assert!(word(&cpu, RAM + 4) > 3_000, "SysTick ticked too rarely");
}

#[test]
fn the_main_stack_is_empty_again_in_thread_mode() {
    let mut cpu = image().boot();
    (0..TASKS).for_each(|task| prepare(&mut cpu, task));
    run_with_interrupts(&mut cpu, 300_000, 77);
    while cpu.in_handler_mode() {
        assert_eq!(cpu.run(&mut EmptyBus, 1), Exit::Budget);
    }
    // The frame of the SVC that started the first task remains, since nothing returns to that thread.
    assert_eq!(cpu.register(armv8m::Register::Msp), STACK - 32);
}
