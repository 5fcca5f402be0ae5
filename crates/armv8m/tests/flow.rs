//! Loads, stores, branches and special registers, in small programs.

mod common;

use armv8m::{Cpu, Register};
use common::{CODE, Image, RAM, STACK, r, run_to_breakpoint, word};

/// Runs `program` until BKPT 1, with RAM containing 00 01 02 … FF repeatedly, and R0 at its offset 0x40.
fn run(program: &[u16]) -> Cpu {
    let mut cpu = Image::new(program).boot();
    let pattern: Vec<u8> = (0..0x200u32).map(|at| at as u8).collect();
    assert!(cpu.write_memory(RAM, &pattern));
    cpu.set_register(Register::R(0), RAM + 0x40);
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    cpu
}

/// The word of the pattern at `offset`.
fn pattern(offset: u32) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|i| (offset + i) as u8))
}

#[test]
fn immediate_offsets_reach_up_and_down() {
    let cpu = run(&[
        0x6841, // ldr r1, [r0, #4]
        0xF8D0, 0x2101, // ldr.w r2, [r0, #257]
        0xF850, 0x3C08, // ldr.w r3, [r0, #-8]
        0x8FC4, // ldrh r4, [r0, #62]
        0xF830, 0x5C01, // ldrh.w r5, [r0, #-1]
        0x7FC6, // ldrb r6, [r0, #31]
        0xF810, 0x7C40, // ldrb.w r7, [r0, #-64]
        0xBE01, // bkpt 0x0001
    ]);
    let expected = [pattern(0x44), pattern(0x141), pattern(0x38), 0x7F7E, 0x403F, 0x5F, 0];
    assert_eq!([1, 2, 3, 4, 5, 6, 7].map(|n| r(&cpu, n)), expected);
}

#[test]
fn signed_loads_extend_the_sign() {
    let cpu = run(&[
        0x2660, // movs r6, #96
        0x5781, // ldrsb r1, [r0, r6]
        0xF990, 0x203F, // ldrsb.w r2, [r0, #63]
        0x5F83, // ldrsh r3, [r0, r6]
        0xF9B0, 0x403E, // ldrsh.w r4, [r0, #62]
        0xF910, 0x5D01, // ldrsb.w r5, [r0, #-1]!
        0xF930, 0x7B42, // ldrsh.w r7, [r0], #66
        0xBE01, // bkpt 0x0001
    ]);
    let expected = [0xFFFF_FFA0, 0x7F, 0xFFFF_A1A0, 0x7F7E, 0x3F, 0x403F];
    assert_eq!([1, 2, 3, 4, 5, 7].map(|n| r(&cpu, n)), expected);
    assert_eq!(r(&cpu, 0), RAM + 0x81);
}

#[test]
fn register_offsets_shift_by_up_to_three() {
    let cpu = run(&[
        0x2103, // movs r1, #3
        0x5842, // ldr r2, [r0, r1]
        0xF850, 0x3021, // ldr.w r3, [r0, r1, lsl #2]
        0xF830, 0x4011, // ldrh.w r4, [r0, r1, lsl #1]
        0xF810, 0x5031, // ldrb.w r5, [r0, r1, lsl #3]
        0xF800, 0x1031, // strb.w r1, [r0, r1, lsl #3]
        0xF840, 0x1021, // str.w r1, [r0, r1, lsl #2]
        0x5241, // strh r1, [r0, r1]
        0xBE01, // bkpt 0x0001
    ]);
    let expected = [pattern(0x43), pattern(0x4C), 0x4746, 0x58];
    assert_eq!([2, 3, 4, 5].map(|n| r(&cpu, n)), expected);
    assert_eq!(word(&cpu, RAM + 0x58), 0x5B5A_5903);
    assert_eq!(word(&cpu, RAM + 0x4C), 3);
    assert_eq!(word(&cpu, RAM + 0x40), 0x0342_4140);
    assert_eq!(word(&cpu, RAM + 0x44), 0x4746_4500);
}

#[test]
fn writeback_happens_before_or_after_the_access() {
    let cpu = run(&[
        0x2177, // movs r1, #119
        0xF840, 0x1F08, // str.w r1, [r0, #8]!
        0x4602, // mov r2, r0
        0xF800, 0x1904, // strb.w r1, [r0], #-4
        0x4603, // mov r3, r0
        0xF820, 0x1D04, // strh.w r1, [r0, #-4]!
        0xE9D0, 0x4501, // ldrd r4, r5, [r0, #4]
        0xE9F0, 0x6702, // ldrd r6, r7, [r0, #8]!
        0xE8E0, 0x6102, // strd r6, r1, [r0], #8
        0xBE01, // bkpt 0x0001
    ]);
    assert_eq!([2, 3].map(|n| r(&cpu, n)), [RAM + 0x48, RAM + 0x44]);
    assert_eq!([4, 5, 6, 7].map(|n| r(&cpu, n)), [pattern(0x44), 0x77, 0x77, pattern(0x4C)]);
    assert_eq!(r(&cpu, 0), RAM + 0x50);
    assert_eq!([0x40, 0x48, 0x4C].map(|at| word(&cpu, RAM + at)), [0x4342_0077, 0x77, 0x77]);
}

#[test]
fn literals_are_relative_to_the_aligned_pc() {
    let cpu = run(&[
        0xBF00, // nop
        0x4906, // ldr r1, [pc, #24]
        0xF8DF, 0x2014, // ldr.w r2, [pc, #20]
        0xE9DF, 0x3404, // ldrd r3, r4, [pc, #16]
        0xF8BF, 0x500E, // ldrh.w r5, [pc, #14]
        0xF99F, 0x600B, // ldrsb.w r6, [pc, #11]
        0xA701, // add r7, pc, #4
        0xF20F, 0x0004, // addw r0, pc, #4
        0xBE01, // bkpt 0x0001
        // data:
        0x2233, 0x8011, // .word 0x80112233
        0x7788, 0x5566, // .word 0x55667788
    ]);
    let data = CODE + 0x1C;
    let expected = [data, 0x8011_2233, 0x8011_2233, 0x8011_2233, 0x5566_7788, 0x8011, 0xFFFF_FF80, data];
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|n| r(&cpu, n)), expected);
}

#[test]
fn multiples_transfer_in_register_order_both_ways() {
    let cpu = run(&[
        0xC806, // ldmia r0!, {r1, r2}
        0xE910, 0x0038, // ldmdb r0, {r3, r4, r5}
        0xE920, 0x0012, // stmdb r0!, {r1, r4}
        0xF100, 0x0640, // add.w r6, r0, #64
        0xC607, // stmia r6!, {r0, r1, r2}
        0xB506, // push {r1, r2, lr}
        0x9F01, // ldr r7, [sp, #4]
        0xBC04, // pop {r2}
        0xB002, // add sp, #8
        0xC803, // ldmia r0, {r0, r1}
        0xBE01, // bkpt 0x0001
    ]);
    assert_eq!([3, 4, 5].map(|n| r(&cpu, n)), [pattern(0x3C), pattern(0x40), pattern(0x44)]);
    assert_eq!(word(&cpu, RAM + 0x40), pattern(0x40));
    assert_eq!(word(&cpu, RAM + 0x44), pattern(0x40));
    assert_eq!(r(&cpu, 6), RAM + 0x8C);
    assert_eq!(word(&cpu, RAM + 0x80), RAM + 0x40);
    assert_eq!((r(&cpu, 7), r(&cpu, 2)), (pattern(0x44), pattern(0x40)));
    assert_eq!((r(&cpu, 0), r(&cpu, 1)), (pattern(0x40), pattern(0x40)), "the base is in the list");
    assert_eq!(cpu.register(Register::SP), STACK);
}

#[test]
fn calls_set_lr_and_returns_use_it() {
    let cpu = run(&[
        0x2100, // movs r1, #0
        0xF000, 0xF807, // bl 8000414 <first>
        0x3101, // adds r1, #1
        0xF20F, 0x0215, // addw r2, pc, #21
        0x4790, // blx r2
        0x3102, // adds r1, #2
        0xF000, 0xB80A, // b.w 8000428 <end>
        // first:
        0x4673, // mov r3, lr
        0xB500, // push {lr}
        0xF000, 0xF804, // bl 8000424 <third>
        0xBD00, // pop {pc}
        0xBF00, // nop
        // second:
        0x4674, // mov r4, lr
        0x46F7, // mov pc, lr
        // third:
        0x3110, // adds r1, #16
        0x4770, // bx lr
        // end:
        0xBE01, // bkpt 0x0001
        0xBF00, // nop
    ]);
    assert_eq!(r(&cpu, 1), 19);
    assert_eq!([3, 4].map(|n| r(&cpu, n)), [CODE + 7, CODE + 15]);
}

#[test]
fn a_load_to_pc_branches() {
    let cpu = run(&[
        0xA102, // add r1, pc, #8
        0x3101, // adds r1, #1
        0x6001, // str r1, [r0, #0]
        0xF850, 0xFB04, // ldr.w pc, [r0], #4
        0xBE02, // bkpt 0x0002
        // there:
        0xF8DF, 0xF004, // ldr.w pc, [pc, #4]
        0xBE03, // bkpt 0x0003
        0xBF00, // nop
        // literal:
        0x0419, 0x0800, // .word 0x08000419
        // end:
        0xBE01, // bkpt 0x0001
        0xBF00, // nop
    ]);
    assert_eq!(r(&cpu, 0), RAM + 0x44);
}

#[test]
fn table_branches_pick_the_entry() {
    for (index, expected) in [(0, 10), (1, 20), (2, 30)] {
        let program = &[
            0xE8DF, 0xF001, // tbb [pc, r1]
            // table:
            0x0402, 0x0006, // .word 0x00060402
            // zero:
            0x220A, // movs r2, #10
            0xE002, // b.n 8000412 <half>
            // one:
            0x2214, // movs r2, #20
            0xE000, // b.n 8000412 <half>
            // two:
            0x221E, // movs r2, #30
            // half:
            0xA401, // add r4, pc, #4
            0xE8D4, 0xF011, // tbh [r4, r1, lsl #1]
            // table2:
            0x0003, 0x0005, // .word 0x00050003
            0x0007, // .short 0x0007
            // zero2:
            0x230A, // movs r3, #10
            0xBE01, // bkpt 0x0001
            // one2:
            0x2314, // movs r3, #20
            0xBE01, // bkpt 0x0001
            // two2:
            0x231E, // movs r3, #30
            0xBE01, // bkpt 0x0001
            0xBF00, // nop
        ];
        let mut cpu = Image::new(program).boot();
        cpu.set_register(Register::R(1), index);
        assert_eq!(run_to_breakpoint(&mut cpu), 1);
        assert_eq!((r(&cpu, 2), r(&cpu, 3)), (expected, expected));
    }
}

#[test]
fn every_condition_follows_the_flags() {
    for flags in 0..16u32 {
        let mut taken = 0;
        let mut let_through = 0;
        for condition in 0..14u16 {
            let program = [
                0xF04F,
                0x0201,                  // mov.w r2, #1
                0xD001 | condition << 8, // b<c> over the next instruction
                0xF04F,
                0x0200, // mov.w r2, #0
                0xF04F,
                0x0300,                  // mov.w r3, #0
                0xBF08 | condition << 4, // it <c>
                0x2301,                  // mov<c> r3, #1
                0xBE01,                  // bkpt #1
            ];
            let mut cpu = Image::new(&program).boot();
            cpu.set_register(Register::Xpsr, flags << 28);
            assert_eq!(run_to_breakpoint(&mut cpu), 1);
            taken |= r(&cpu, 2) << condition;
            let_through |= r(&cpu, 3) << condition;
        }
        let expected = expected_conditions(flags);
        assert_eq!((taken, let_through), (expected, expected), "flags {flags:04b}");
    }
}

/// Bit c set if condition c holds under NZCV `flags`, as in the Arm ARM's table.
fn expected_conditions(flags: u32) -> u32 {
    let [v, c, z, n] = [0, 1, 2, 3].map(|at| flags >> at & 1 != 0);
    let basic = [z, c, n, v, c && !z, n == v, n == v && !z];
    basic.iter().enumerate().map(|(at, &holds)| (if holds { 1 } else { 2 }) << (at * 2)).sum()
}

#[test]
fn compare_and_branch_depends_on_one_register_and_no_flags() {
    let cpu = run(&[
        0x2100, // movs r1, #0
        0x2205, // movs r2, #5
        0xB101, // cbz r1, 8000408 <one>
        0xBE02, // bkpt 0x0002
        // one:
        0xB901, // cbnz r1, 800040c <wrong>
        0xB902, // cbnz r2, 800040e <two>
        // wrong:
        0xBE03, // bkpt 0x0003
        // two:
        0xD0FD, // beq.n 800040c <wrong>
        0xB102, // cbz r2, 8000414 <worse>
        0xBE01, // bkpt 0x0001
        // worse:
        0xBE04, // bkpt 0x0004
    ]);
    assert_eq!(r(&cpu, 2), 5);
}

#[test]
fn special_registers_read_back_their_implemented_bits() {
    let cpu = run(&[
        0xF04F, 0x30FF, // mov.w r0, #4294967295
        0xF380, 0x8809, // msr PSP, r0
        0xF3EF, 0x8109, // mrs r1, PSP
        0xF380, 0x880A, // msr MSPLIM, r0
        0xF3EF, 0x820A, // mrs r2, MSPLIM
        0x2000, // movs r0, #0
        0xF380, 0x880A, // msr MSPLIM, r0
        0xF04F, 0x30FF, // mov.w r0, #4294967295
        0xF380, 0x880B, // msr PSPLIM, r0
        0xF3EF, 0x830B, // mrs r3, PSPLIM
        0xF380, 0x8811, // msr BASEPRI, r0
        0xF3EF, 0x8411, // mrs r4, BASEPRI
        0xF380, 0x8810, // msr PRIMASK, r0
        0xF3EF, 0x8510, // mrs r5, PRIMASK
        0xF380, 0x8813, // msr FAULTMASK, r0
        0xF3EF, 0x8613, // mrs r6, FAULTMASK
        0xB663, // cpsie if
        0xF3EF, 0x8710, // mrs r7, PRIMASK
        0xF3EF, 0x8813, // mrs r8, FAULTMASK
        0xF380, 0x8C00, // msr CPSR_fs, r0
        0xF3EF, 0x8903, // mrs r9, PSR
        0xBE01, // bkpt 0x0001
    ]);
    let expected = [0xFFFF_FFFC, 0xFFFF_FFF8, 0xFFFF_FFF8, 0xF0, 1, 1, 0, 0, 0xF80F_0000];
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 9].map(|n| r(&cpu, n)), expected);
}

#[test]
fn loads_with_acquire_and_stores_with_release_work_and_need_alignment() {
    let cpu = run(&[
        0xE8D0, 0x1FAF, // lda r1, [r0]
        0xE8D0, 0x2F9F, // ldah r2, [r0]
        0xE8D0, 0x3F8F, // ldab r3, [r0]
        0xF100, 0x0410, // add.w r4, r0, #16
        0xE8C4, 0x3FAF, // stl r3, [r4]
        0xE8D4, 0x5FEF, // ldaex r5, [r4]
        0xE8C4, 0x1FE6, // stlex r6, r1, [r4]
        0xE8D4, 0x7FCF, // ldaexb r7, [r4]
        0xE8C4, 0x2FC8, // stlexb r8, r2, [r4]
        0xF3BF, 0x8F5F, // dmb sy
        0xBE01, // bkpt 0x0001
    ]);
    assert_eq!([1, 2, 3].map(|n| r(&cpu, n)), [pattern(0x40), 0x4140, 0x40]);
    assert_eq!([5, 6, 7, 8].map(|n| r(&cpu, n)), [0x40, 0, 0x40, 0]);
    assert_eq!(word(&cpu, RAM + 0x50), pattern(0x40));
}

#[test]
fn code_continues_across_the_end_of_a_page_of_decoded_code() {
    // 3000 bytes of adds r2, #1 cross it, and the last one before it may be half of a 32-bit instruction.
    for shift in [0, 1] {
        let mut program = vec![0xBF00; shift];
        program.extend([0xF102, 0x0201].repeat(1500)); // add.w r2, r2, #1
        program.push(0xBE01);
        let mut cpu = Image::new(&program).boot();
        assert_eq!(run_to_breakpoint(&mut cpu), 1);
        assert_eq!(r(&cpu, 2), 1500);
    }
}
