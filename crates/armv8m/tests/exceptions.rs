//! Exceptions: entry, return, priorities, masks, tail-chaining, and the state that must survive them.

mod common;

use armv8m::{Config, EmptyBus, Exit, Register};
use common::{CODE, FLASH, Image, RAM, STACK, r, run_to_breakpoint, step_over, word};

/// Enables interrupts 0 to 3 and does nothing else until R0 becomes non-zero.
const IDLE: &[u16] = &[
    0x4803, // ldr r0, [pc, #12]
    0x210F, // movs r1, #15
    0x6001, // str r1, [r0, #0]
    0x2000, // movs r0, #0
    // wait:
    0x2800, // cmp r0, #0
    0xD0FD, // beq.n 8000408 <wait>
    0xBE01, // bkpt 0x0001
    0x0000, // .short 0x0000
    0xE100, 0xE000, // .word 0xe000e100
];

#[test]
fn an_interrupt_stacks_the_context_and_returns_to_it() {
    let mut image = Image::new(IDLE);
    image.handler(16, &[0xBE10, 0x4770]); // bkpt #16; bx lr
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    for n in [1, 2, 3, 12, 14] {
        cpu.set_register(Register::R(n), 0x1111_0000 + u32::from(n));
    }
    let (pc, xpsr) = (cpu.register(Register::PC), cpu.register(Register::Xpsr));
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(cpu.register(Register::SP), STACK - 32);
    let frame: Vec<u32> = (0..8).map(|at| word(&cpu, STACK - 32 + at * 4)).collect();
    assert_eq!(frame, [0, 0x1111_0001, 0x1111_0002, 0x1111_0003, 0x1111_000C, 0x1111_000E, pc, xpsr]);
    assert_eq!(cpu.register(Register::LR), 0xFFFF_FFB8);
    assert_eq!(cpu.exception_number(), 16);
    assert!(cpu.in_handler_mode() && cpu.is_active(0) && !cpu.is_pending(0));
    cpu.set_register(Register::R(1), 0);
    step_over(&mut cpu);
    assert_eq!(cpu.run(&mut EmptyBus, 1), Exit::Budget);
    assert_eq!((cpu.register(Register::PC), cpu.register(Register::Xpsr)), (pc, xpsr));
    assert_eq!((r(&cpu, 1), r(&cpu, 14)), (0x1111_0001, 0x1111_000E));
    assert_eq!(cpu.register(Register::SP), STACK);
    assert!(!cpu.in_handler_mode() && !cpu.is_active(0));
}

#[test]
fn a_stack_that_is_not_a_multiple_of_eight_is_aligned_and_restored() {
    let mut image = Image::new(IDLE);
    image.handler(16, &[0xBE10, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    cpu.set_register(Register::SP, STACK - 4);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(cpu.register(Register::SP), STACK - 40);
    assert_eq!(word(&cpu, STACK - 40 + 28) & 1 << 9, 1 << 9);
    step_over(&mut cpu);
    assert_eq!(cpu.run(&mut EmptyBus, 1), Exit::Budget);
    assert_eq!(cpu.register(Register::SP), STACK - 4);
}

/// Guards the bug "IT state lost in the stacked xPSR": a block of four, interrupted before each of its instructions,
/// must still choose the right ones.
#[test]
fn it_state_survives_an_exception_at_every_instruction_of_the_block() {
    let program = &[
        0x4808, // ldr r0, [pc, #32]
        0x2101, // movs r1, #1
        0x6001, // str r1, [r0, #0]
        0x2200, // movs r2, #0
        0x2300, // movs r3, #0
        0x2405, // movs r4, #5
        0x2C05, // cmp r4, #5
        0xBF05, // ittet eq
        0x3201, // addeq r2, #1
        0x3202, // addeq r2, #2
        0x3204, // addne r2, #4
        0x3208, // addeq r2, #8
        0xBF15, // itete ne
        0x3301, // addne r3, #1
        0x3302, // addeq r3, #2
        0x3304, // addne r3, #4
        0x3308, // addeq r3, #8
        0xBE01, // bkpt 0x0001
        0xE100, 0xE000, // .word 0xe000e100
    ];
    // Spoils the flags, so that a condition evaluated too late or without IT state shows.
    let handler = &[
        0x4280, // cmp r0, r0
        0xBF08, // it eq
        0x2100, // moveq r1, #0
        0x3101, // adds r1, #1
        0x4770, // bx lr
    ];
    let mut inside = 0;
    for before in 4..18 {
        let mut image = Image::new(program);
        image.handler(16, handler);
        let mut cpu = image.boot();
        assert_eq!(cpu.run(&mut EmptyBus, before), Exit::Budget);
        inside += u32::from(cpu.register(Register::Xpsr) & 0x0600_FC00 != 0);
        cpu.pend_interrupt(0);
        assert_eq!(run_to_breakpoint(&mut cpu), 1, "interrupted before instruction {before}");
        assert_eq!((r(&cpu, 2), r(&cpu, 3)), (11, 10), "interrupted before instruction {before}");
    }
    assert_eq!(inside, 8);
}

#[test]
fn the_stacked_xpsr_has_the_it_state_of_the_interrupted_instruction() {
    let program = &[
        0x4804, // ldr r0, [pc, #16]
        0x2101, // movs r1, #1
        0x6001, // str r1, [r0, #0]
        0x2901, // cmp r1, #1
        0xBF06, // itte eq
        0x2201, // moveq r2, #1
        0x2202, // moveq r2, #2
        0x2203, // movne r2, #3
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xE100, 0xE000, // .word 0xe000e100
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(cpu.run(&mut EmptyBus, 6), Exit::Budget);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    // ITTE EQ is 0x06; after one instruction ITSTATE is 0b0000_1100.
    assert_eq!(word(&cpu, STACK - 4) & 0x0600_FC00, 0b11 << 10);
    assert_eq!(word(&cpu, STACK - 8), CODE + 12);
}

#[test]
fn interrupt_continuation_bits_survive_and_continue_a_load_multiple() {
    let program = &[
        0xDF00, // svc 0
        0xE890, 0x001E, // ldmia.w r0, {r1, r2, r3, r4}
        0xBE01, // bkpt 0x0001
    ];
    // Returns into the load with ICI = 3: R1 and R2 count as loaded.
    let svc = &[
        0x9907, // ldr r1, [sp, #28]
        0xF441, 0x5140, // orr.w r1, r1, #12288
        0x9107, // str r1, [sp, #28]
        0x4770, // bx lr
    ];
    let mut image = Image::new(program);
    image.handler(11, svc);
    let mut cpu = image.boot();
    let data: Vec<u8> = [10u32, 20, 30, 40].iter().flat_map(|w| w.to_le_bytes()).collect();
    assert!(cpu.write_memory(RAM, &data));
    for (n, value) in [(0, RAM), (1, 1), (2, 2), (3, 3), (4, 4)] {
        cpu.set_register(Register::R(n), value);
    }
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!([1, 2, 3, 4].map(|n| r(&cpu, n)), [1, 2, 30, 40]);
}

/// Sets priorities from R4 (IPR0), enables interrupts 0 to 3, and waits.
fn with_priorities(priorities: u32) -> armv8m::Cpu {
    let mut image = Image::new(IDLE);
    image.word(FLASH + 0x7000, priorities);
    let mut cpu = image.boot();
    set_priorities(&mut cpu, priorities);
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    cpu
}

/// Runs three instructions in RAM that write IPR0.
fn set_priorities(cpu: &mut armv8m::Cpu, priorities: u32) {
    let code = &[
        0x6001, // str r1, [r0, #0]
        0xBE00, // bkpt 0x0000
    ];
    let bytes: Vec<u8> = code.iter().flat_map(|half: &u16| half.to_le_bytes()).collect();
    assert!(cpu.write_memory(RAM + 0x400, &bytes));
    cpu.set_register(Register::R(0), 0xE000_E400);
    cpu.set_register(Register::R(1), priorities);
    cpu.set_register(Register::PC, RAM + 0x400);
    assert_eq!(run_to_breakpoint(cpu), 0);
    cpu.set_register(Register::PC, CODE);
}

#[test]
fn a_higher_priority_pre_empts_and_a_lower_one_waits() {
    let mut cpu = with_priorities(0x4060_8020);
    cpu.pend_interrupt(1);
    assert_eq!(run_to_breakpoint(&mut cpu), 17);
    cpu.pend_interrupt(2);
    assert_eq!(run_to_breakpoint(&mut cpu), 18, "0x60 is above 0x80");
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16, "0x20 is above 0x60");
    assert_eq!(cpu.register(Register::LR), 0xFFFF_FFB0);
    cpu.pend_interrupt(3);
    assert_eq!(run_to_breakpoint(&mut cpu), 16, "0x40 waits for 0x20");
    assert!(cpu.is_pending(3) && cpu.is_active(0) && cpu.is_active(1) && cpu.is_active(2));
}

#[test]
fn equal_priorities_do_not_pre_empt_and_go_by_number() {
    let mut cpu = with_priorities(0x4040_4040);
    cpu.pend_interrupt(3);
    cpu.pend_interrupt(2);
    assert_eq!(run_to_breakpoint(&mut cpu), 18);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 18);
}

#[test]
fn the_priority_group_decides_pre_emption_and_the_rest_only_order() {
    let mut cpu = with_priorities(0x0000_3020);
    // AIRCR with key and PRIGROUP 5: two bits of group priority, 0x20 and 0x30 are in one group.
    let code = &[
        0x6001, // str r1, [r0, #0]
        0xBE00, // bkpt 0x0000
    ];
    let bytes: Vec<u8> = code.iter().flat_map(|half: &u16| half.to_le_bytes()).collect();
    assert!(cpu.write_memory(RAM + 0x500, &bytes));
    let resume = cpu.register(Register::PC);
    cpu.set_register(Register::R(0), 0xE000_ED0C);
    cpu.set_register(Register::R(1), 0x05FA_0500);
    cpu.set_register(Register::PC, RAM + 0x500);
    assert_eq!(run_to_breakpoint(&mut cpu), 0);
    cpu.set_register(Register::R(0), 0);
    cpu.set_register(Register::PC, resume);
    cpu.pend_interrupt(1);
    assert_eq!(run_to_breakpoint(&mut cpu), 17);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 17, "the same group does not pre-empt");
}

#[test]
fn tail_chaining_does_not_unstack() {
    let mut image = Image::new(IDLE);
    image.handler(16, &[0x2055, 0x4770]); // movs r0, #0x55; bx lr
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    cpu.pend_interrupt(0);
    cpu.pend_interrupt(1);
    assert_eq!(run_to_breakpoint(&mut cpu), 17);
    assert_eq!(cpu.register(Register::SP), STACK - 32);
    assert_eq!(cpu.register(Register::LR), 0xFFFF_FFB8);
    assert_eq!(r(&cpu, 0), 0x55, "registers are not restored in between");
    assert!(!cpu.is_active(0) && cpu.is_active(1));
}

#[test]
fn a_handler_for_a_process_returns_to_the_process_stack() {
    let program = &[
        0x4805, // ldr r0, [pc, #20]
        0xF380, 0x8809, // msr PSP, r0
        0x2002, // movs r0, #2
        0xF380, 0x8814, // msr CONTROL, r0
        0xF3BF, 0x8F6F, // isb sy
        0x2507, // movs r5, #7
        0xDF03, // svc 3
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0x4000, 0x2000, // .word 0x20004000
    ];
    let mut image = Image::new(program);
    image.handler(11, &[0xBE0B, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 11);
    assert_eq!(cpu.register(Register::LR), 0xFFFF_FFBC);
    assert_eq!(cpu.register(Register::Psp), 0x2000_3FE0);
    assert_eq!(cpu.register(Register::SP), STACK);
    assert_eq!(word(&cpu, 0x2000_3FE0 + 24), CODE + 20, "the instruction after SVC");
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(cpu.register(Register::SP), 0x2000_4000);
    assert_eq!(cpu.register(Register::Control), 2);
}

#[test]
fn pendsv_is_taken_at_once_when_basepri_drops() {
    let program = &[
        0x4807, // ldr r0, [pc, #28]
        0x4908, // ldr r1, [pc, #32]
        0x6001, // str r1, [r0, #0]
        0x2250, // movs r2, #80
        0xF382, 0x8811, // msr BASEPRI, r2
        0x4806, // ldr r0, [pc, #24]
        0xF04F, 0x5180, // mov.w r1, #268435456
        0x6001, // str r1, [r0, #0]
        0x2301, // movs r3, #1
        0x2200, // movs r2, #0
        0xF382, 0x8811, // msr BASEPRI, r2
        0x2302, // movs r3, #2
        0xBE01, // bkpt 0x0001
        0xED20, 0xE000, // .word 0xe000ed20
        0x0000, 0xF0F0, // .word 0xf0f00000
        0xED04, 0xE000, // .word 0xe000ed04
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 14);
    assert_eq!(r(&cpu, 3), 1, "after the critical section and before the next instruction");
    assert_eq!(cpu.register(Register::Basepri), 0);
}

#[test]
fn basepri_max_only_ever_raises() {
    let program = &[
        0x2080, // movs r0, #128
        0xF380, 0x8812, // msr BASEPRI_MAX, r0
        0xF3EF, 0x8111, // mrs r1, BASEPRI
        0x20A0, // movs r0, #160
        0xF380, 0x8812, // msr BASEPRI_MAX, r0
        0xF3EF, 0x8211, // mrs r2, BASEPRI
        0x2047, // movs r0, #71
        0xF380, 0x8812, // msr BASEPRI_MAX, r0
        0xF3EF, 0x8311, // mrs r3, BASEPRI
        0x2000, // movs r0, #0
        0xF380, 0x8812, // msr BASEPRI_MAX, r0
        0xF3EF, 0x8411, // mrs r4, BASEPRI
        0xBE01, // bkpt 0x0001
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!([1, 2, 3, 4].map(|n| r(&cpu, n)), [0x80, 0x80, 0x40, 0x40]);
}

#[test]
fn masked_interrupts_are_taken_when_they_are_unmasked() {
    for (mask, unmask) in [(0xB672, 0xB662), (0xB671, 0xB661)] {
        // cpsid i or f
        let program = &[
            0x4804, // ldr r0, [pc, #16]
            0x2101, // movs r1, #1
            0x6001, // str r1, [r0, #0]
            0xBF00, // nop
            0xF8C0, 0x1100, // str.w r1, [r0, #256]
            0x2301, // movs r3, #1
            0xBF00, // nop
            0x2302, // movs r3, #2
            0xBE01, // bkpt 0x0001
            0xE100, 0xE000, // .word 0xe000e100
        ];
        let mut halves = program.to_vec();
        (halves[3], halves[7]) = (mask, unmask);
        let mut cpu = Image::new(&halves).boot();
        assert_eq!(run_to_breakpoint(&mut cpu), 16);
        assert_eq!(r(&cpu, 3), 1);
    }
}

#[test]
fn an_unimplemented_priority_bit_reads_as_zero() {
    let program = &[
        0x4807, // ldr r0, [pc, #28]
        0x21FF, // movs r1, #255
        0x70C1, // strb r1, [r0, #3]
        0x6802, // ldr r2, [r0, #0]
        0x4806, // ldr r0, [pc, #24]
        0xF04F, 0x31FF, // mov.w r1, #4294967295
        0x6081, // str r1, [r0, #8]
        0x6883, // ldr r3, [r0, #8]
        0x71C1, // strb r1, [r0, #7]
        0x79C4, // ldrb r4, [r0, #7]
        0x4804, // ldr r0, [pc, #16]
        0x6001, // str r1, [r0, #0]
        0x6805, // ldr r5, [r0, #0]
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xE400, 0xE000, // .word 0xe000e400
        0xED18, 0xE000, // .word 0xe000ed18
        0xE47C, 0xE000, // .word 0xe000e47c
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 2), 0xF000_0000);
    assert_eq!(r(&cpu, 3), 0xF0F0_00F0, "PendSV, SysTick, DebugMonitor; 13 is reserved");
    assert_eq!(r(&cpu, 4), 0xF0, "SVCall");
    assert_eq!(r(&cpu, 5), 0x0000_F0F0, "interrupts 124 and 125 are the last of 126");
}

#[test]
fn a_line_that_stays_high_pends_again_after_its_handler() {
    let mut image = Image::new(IDLE);
    image.handler(16, &[0xBE10, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    cpu.set_level(0, true);
    for _ in 0..3 {
        assert_eq!(run_to_breakpoint(&mut cpu), 16);
        assert!(cpu.is_active(0) && !cpu.is_pending(0));
        step_over(&mut cpu);
    }
    cpu.set_level(0, false);
    assert_eq!(cpu.run(&mut EmptyBus, 50), Exit::Budget);
    assert!(!cpu.in_handler_mode() && !cpu.is_pending(0));
}

#[test]
fn software_pends_clears_and_reads_interrupts_through_the_nvic() {
    let program = &[
        0x480D, // ldr r0, [pc, #52]
        0xF04F, 0x5100, // mov.w r1, #536870912
        0x60C1, // str r1, [r0, #12]
        0xF8D0, 0x208C, // ldr.w r2, [r0, #140]
        0xB672, // cpsid i
        0x4B0B, // ldr r3, [pc, #44]
        0x247D, // movs r4, #125
        0x601C, // str r4, [r3, #0]
        0xF8D0, 0x310C, // ldr.w r3, [r0, #268]
        0x4C09, // ldr r4, [pc, #36]
        0x6824, // ldr r4, [r4, #0]
        0xF8C0, 0x118C, // str.w r1, [r0, #396]
        0xF8D0, 0x510C, // ldr.w r5, [r0, #268]
        0xF8C0, 0x108C, // str.w r1, [r0, #140]
        0x68C6, // ldr r6, [r0, #12]
        0x277E, // movs r7, #126
        0x4903, // ldr r1, [pc, #12]
        0x600F, // str r7, [r1, #0]
        0xF8D0, 0x710C, // ldr.w r7, [r0, #268]
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xE100, 0xE000, // .word 0xe000e100
        0xEF00, 0xE000, // .word 0xe000ef00
        0xED04, 0xE000, // .word 0xe000ed04
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 2), 0x2000_0000, "enabled");
    assert_eq!(r(&cpu, 3), 0x2000_0000, "pended by STIR");
    assert_eq!(r(&cpu, 4), 1 << 22 | (125 + 16) << 12, "ICSR");
    assert_eq!((r(&cpu, 5), r(&cpu, 6)), (0, 0), "cleared, disabled");
    assert_eq!(r(&cpu, 7), 0, "interrupt 126 does not exist");
}

#[test]
fn wfi_waits_for_an_interrupt_even_a_masked_one() {
    let program = &[
        0x4803, // ldr r0, [pc, #12]
        0x2101, // movs r1, #1
        0x6001, // str r1, [r0, #0]
        0xB672, // cpsid i
        0xBF30, // wfi
        0x2201, // movs r2, #1
        0xB662, // cpsie i
        0xBE01, // bkpt 0x0001
        0xE100, 0xE000, // .word 0xe000e100
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForInterrupt);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForInterrupt);
    assert_eq!(cpu.cycles(), 5);
    cpu.pend_interrupt(1);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForInterrupt, "1 is not enabled");
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert_eq!(r(&cpu, 2), 1, "PRIMASK masked it until CPSIE");
}

#[test]
fn wfe_does_not_wait_for_an_event_that_is_registered_already() {
    let program = &[
        0xBF40, // sev
        0xBF20, // wfe
        0xBF20, // wfe
        0xBE01, // bkpt 0x0001
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForEvent);
    assert_eq!(cpu.cycles(), 3);
    cpu.signal_event();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
}

#[test]
fn an_exclusive_store_fails_after_an_exception() {
    let program = &[
        0xF04F, 0x5000, // mov.w r0, #536870912
        0x2105, // movs r1, #5
        0xE850, 0x2F00, // ldrex r2, [r0]
        0xE840, 0x1300, // strex r3, r1, [r0]
        0xE850, 0x2F00, // ldrex r2, [r0]
        0xDF00, // svc 0
        0xE840, 0x1400, // strex r4, r1, [r0]
        0xE8D0, 0x2F4F, // ldrexb r2, [r0]
        0xF3BF, 0x8F2F, // clrex
        0xE8C0, 0x1F45, // strexb r5, r1, [r0]
        0xBE01, // bkpt 0x0001
    ];
    let mut image = Image::new(program);
    image.handler(11, &[0x4770]);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!([2, 3, 4, 5].map(|n| r(&cpu, n)), [5, 0, 1, 1]);
}

#[test]
fn the_trap_range_exits_and_the_host_returns_from_it() {
    let program = &[
        0x4C02, // ldr r4, [pc, #8]
        0x2001, // movs r0, #1
        0x47A0, // blx r4
        0x3001, // adds r0, #1
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0x0101, 0x0BF0, // .word 0x0bf00101
    ];
    let mut cpu = Image::new(program).boot_with(Config {
        trap: 0x0BF0_0000..0x0BF1_0000,
        halt_on_breakpoint: true,
        ..Config::default()
    });
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: 0x0BF0_0100 });
    assert_eq!(r(&cpu, 0), 1);
    cpu.return_from_trap(41);
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 0), 42);
}

#[test]
fn a_tail_call_of_a_handler_that_traps_returns_from_the_exception() {
    let program = &[
        0x2009, // movs r0, #9
        0xDF00, // svc 0
        0xBE01, // bkpt 0x0001
    ];
    // ldr r1, [pc]; bx r1; the trap's address: a tail jump with LR = EXC_RETURN.
    let mut image = Image::new(program);
    image.handler(11, &[0x4900, 0x4708, 0x0101, 0x0BF0]);
    let mut cpu = image.boot_with(Config {
        trap: 0x0BF0_0000..0x0BF1_0000,
        halt_on_breakpoint: true,
        ..Config::default()
    });
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: 0x0BF0_0100 });
    assert!(cpu.in_handler_mode());
    cpu.return_from_trap(0);
    assert!(!cpu.in_handler_mode());
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 0), 9, "the frame's R0, not the call's result");
}

#[test]
fn a_reset_request_needs_the_key() {
    let program = &[
        0x4803, // ldr r0, [pc, #12]
        0x4904, // ldr r1, [pc, #16]
        0x6001, // str r1, [r0, #0]
        0x6802, // ldr r2, [r0, #0]
        0x4903, // ldr r1, [pc, #12]
        0x6001, // str r1, [r0, #0]
        0x2301, // movs r3, #1
        0x0000, // .short 0x0000
        0xED0C, 0xE000, // .word 0xe000ed0c
        0x0004, 0x05FB, // .word 0x05fb0004
        0x0304, 0x05FA, // .word 0x05fa0304
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Reset);
    assert_eq!(r(&cpu, 2), 0xFA05_0000);
    assert_eq!(r(&cpu, 3), 0);
    cpu.reset().unwrap();
    assert_eq!((cpu.register(Register::PC), cpu.register(Register::SP)), (CODE, STACK));
}

#[test]
fn systick_interrupts_every_reload_plus_one_cycles() {
    let program = &[
        0x4803, // ldr r0, [pc, #12]
        0x2163, // movs r1, #99
        0x6041, // str r1, [r0, #4]
        0x6081, // str r1, [r0, #8]
        0x2107, // movs r1, #7
        0x6001, // str r1, [r0, #0]
        // wait:
        0xE7FE, // b.n 800040c <wait>
        0x0000, // .short 0x0000
        0xE010, 0xE000, // .word 0xe000e010
    ];
    let mut image = Image::new(program);
    image.handler(15, &[0x3501, 0x4770]); // adds r5, #1; bx lr
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 6), Exit::Budget);
    let start = cpu.cycles();
    assert_eq!(cpu.next_timeout(), Some(start + 100));
    assert_eq!(cpu.run(&mut EmptyBus, 10_050), Exit::Budget);
    assert_eq!(r(&cpu, 5), 100);
    cpu.skip_cycles(100_000);
    assert_eq!(cpu.run(&mut EmptyBus, 10), Exit::Budget);
    assert_eq!(r(&cpu, 5), 101, "however much time passes unseen, it pends once");
}

#[test]
fn systick_counts_down_and_flags_the_end_once() {
    let program = &[
        0x4809, // ldr r0, [pc, #36]
        0x2109, // movs r1, #9
        0x6041, // str r1, [r0, #4]
        0x6081, // str r1, [r0, #8]
        0x2105, // movs r1, #5
        0x6001, // str r1, [r0, #0]
        0x6882, // ldr r2, [r0, #8]
        0x6883, // ldr r3, [r0, #8]
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0xBF00, // nop
        0x6804, // ldr r4, [r0, #0]
        0x6805, // ldr r5, [r0, #0]
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xE010, 0xE000, // .word 0xe000e010
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 2) - r(&cpu, 3), 1);
    assert_eq!((r(&cpu, 4), r(&cpu, 5)), (0x1_0005, 5));
}

#[test]
fn the_cycle_counter_counts_instructions_when_enabled() {
    let program = &[
        0x4805, // ldr r0, [pc, #20]
        0xF04F, 0x7180, // mov.w r1, #16777216
        0x6001, // str r1, [r0, #0]
        0x4804, // ldr r0, [pc, #16]
        0x2101, // movs r1, #1
        0x6001, // str r1, [r0, #0]
        0x6842, // ldr r2, [r0, #4]
        0xBF00, // nop
        0xBF00, // nop
        0x6843, // ldr r3, [r0, #4]
        0xBE01, // bkpt 0x0001
        0xEDFC, 0xE000, // .word 0xe000edfc
        0x1000, 0xE000, // .word 0xe0001000
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 3) - r(&cpu, 2), 3);
}

#[test]
fn identification_says_cortex_m33_r0p4() {
    let program = &[
        0x4802, // ldr r0, [pc, #8]
        0x6801, // ldr r1, [r0, #0]
        0x6882, // ldr r2, [r0, #8]
        0x4B02, // ldr r3, [pc, #8]
        0x681B, // ldr r3, [r3, #0]
        0xBE01, // bkpt 0x0001
        0xED00, 0xE000, // .word 0xe000ed00
        0xE004, 0xE000, // .word 0xe000e004
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!([1, 2, 3].map(|n| r(&cpu, n)), [0x410F_D214, FLASH, 3]);
}

#[test]
fn code_written_to_ram_is_what_runs_next() {
    let program = &[
        0x4C05, // ldr r4, [pc, #20]
        0x4D06, // ldr r5, [pc, #24]
        0x4E06, // ldr r6, [pc, #24]
        0x602E, // str r6, [r5, #0]
        0x47A0, // blx r4
        0x4601, // mov r1, r0
        0x2602, // movs r6, #2
        0x702E, // strb r6, [r5, #0]
        0x47A0, // blx r4
        0x4602, // mov r2, r0
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0x0801, 0x2000, // .word 0x20000801
        0x0800, 0x2000, // .word 0x20000800
        0x2001, 0x4770, // .word 0x47702001
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!((r(&cpu, 1), r(&cpu, 2)), (1, 2));
}

#[test]
fn code_that_overwrites_the_instruction_after_itself_runs_the_new_one() {
    // strh r1, [r0]; movs r2, #1 (to be replaced by movs r2, #7); bkpt #1
    let code: Vec<u8> = [0x8001u16, 0x2201, 0xBE01].iter().flat_map(|half| half.to_le_bytes()).collect();
    let mut cpu = Image::new(&[0xBE00]).boot();
    assert!(cpu.write_memory(RAM + 0x900, &code));
    for round in 0..2 {
        cpu.set_register(Register::R(0), RAM + 0x902);
        cpu.set_register(Register::R(1), if round == 0 { 0x2201 } else { 0x2207 });
        cpu.set_register(Register::PC, RAM + 0x900);
        assert_eq!(run_to_breakpoint(&mut cpu), 1);
        assert_eq!(r(&cpu, 2), if round == 0 { 1 } else { 7 });
    }
}

#[test]
fn a_write_to_the_second_half_of_an_instruction_across_a_page_end_is_what_runs_next() {
    // blx r4; mov r1, r0; str r6, [r5]; blx r4; mov r2, r0; bkpt #1
    let image = Image::new(&[0x47A0, 0x4601, 0x602E, 0x47A0, 0x4602, 0xBE01]);
    // b.w RAM + 0x700 at RAM + 0x7FE, of which the last two bytes are rewritten (b.w RAM + 0x710) or the last one (b.w
    // RAM + 0x500).
    for (offset, patch) in [(0, 0xBF87), (1, 0xBE)] {
        let mut cpu = image.boot();
        assert!(cpu.write_memory(RAM + 0x700, &0x4770_2001u32.to_le_bytes())); // movs r0, #1; bx lr
        assert!(cpu.write_memory(RAM + 0x710, &0x4770_2002u32.to_le_bytes())); // movs r0, #2; bx lr
        assert!(cpu.write_memory(RAM + 0x500, &0x4770_2002u32.to_le_bytes()));
        assert!(cpu.write_memory(RAM + 0x7FE, &0xBF7F_F7FFu32.to_le_bytes()));
        cpu.set_register(Register::R(4), RAM + 0x7FF);
        cpu.set_register(Register::R(5), RAM + 0x800 + offset);
        cpu.set_register(Register::R(6), patch);
        assert_eq!(run_to_breakpoint(&mut cpu), 1);
        assert_eq!((r(&cpu, 1), r(&cpu, 2)), (1, 2), "a word written at RAM + 0x800 + {offset}");
    }
}

#[test]
fn data_next_to_code_in_ram_may_change() {
    let program = &[
        0x4C07, // ldr r4, [pc, #28]
        0x4D08, // ldr r5, [pc, #32]
        0x4E08, // ldr r6, [pc, #32]
        0x602E, // str r6, [r5, #0]
        0x2000, // movs r0, #0
        0xF240, 0x37E8, // movw r7, #1000
        // again:
        0x47A0, // blx r4
        0x606F, // str r7, [r5, #4]
        0xF805, 0x7C01, // strb.w r7, [r5, #-1]
        0xF8C5, 0x77FC, // str.w r7, [r5, #2044]
        0x3F01, // subs r7, #1
        0xD1F7, // bne.n 800040e <again>
        0xBE01, // bkpt 0x0001
        0x0801, 0x2000, // .word 0x20000801
        0x0800, 0x2000, // .word 0x20000800
        0x3001, 0x4770, // .word 0x47703001
    ];
    let mut cpu = Image::new(program).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 0), 1000);
}

#[test]
fn the_host_may_patch_flash_of_one_processor_only() {
    let image = Image::new(&[0x2001, 0xBE01]); // movs r0, #1; bkpt #1
    let (mut one, mut other) = (image.boot(), image.boot());
    assert_eq!((run_to_breakpoint(&mut one), run_to_breakpoint(&mut other)), (1, 1));
    assert!(one.write_memory(CODE, &[5]));
    for cpu in [&mut one, &mut other] {
        cpu.set_register(Register::PC, CODE);
        assert_eq!(run_to_breakpoint(cpu), 1);
    }
    assert_eq!((r(&one, 0), r(&other, 0)), (5, 1));
}

#[test]
fn interrupts_that_are_not_configured_are_ignored() {
    let mut cpu = Image::new(&[0xBE01]).boot();
    for irq in [126, 480, u16::MAX] {
        cpu.pend_interrupt(irq);
        cpu.set_level(irq, true);
        cpu.clear_pending(irq);
        assert!(!cpu.is_pending(irq) && !cpu.is_enabled(irq) && !cpu.is_active(irq));
    }
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
}

#[test]
fn a_line_that_rises_while_its_handler_runs_pends_even_if_it_falls_again() {
    let mut image = Image::new(IDLE);
    image.handler(16, &[0xBE10, 0x4770]); // bkpt #16; bx lr
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 20), Exit::Budget);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    cpu.set_level(0, true);
    cpu.set_level(0, false);
    assert!(cpu.is_active(0) && cpu.is_pending(0));
    cpu.clear_pending(0);
    assert!(!cpu.is_pending(0));
}

#[test]
fn a_breakpoint_in_an_it_block_ignores_the_condition() {
    // cmp r0, r0; it ne; bkpt #5
    let mut cpu = Image::new(&[0x4280, 0xBF18, 0xBE05]).boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 5);
}

#[test]
fn a_processor_may_move_between_threads() {
    let mut cpu = Image::new(&[0xBE07]).boot();
    let stopped = std::thread::spawn(move || run_to_breakpoint(&mut cpu));
    assert_eq!(stopped.join().unwrap(), 7);
}

#[test]
fn an_nmi_ignores_every_mask_and_faultmask_survives_it() {
    let program = &[
        0xB673, // cpsid if
        0x4805, // ldr r0, [pc, #20]
        0xF04F, 0x4100, // mov.w r1, #2147483648
        0x6001, // str r1, [r0, #0]
        0xF3EF, 0x8213, // mrs r2, FAULTMASK
        0xB661, // cpsie f
        0xF3EF, 0x8310, // mrs r3, PRIMASK
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xED04, 0xE000, // .word 0xe000ed04
    ];
    let mut image = Image::new(program);
    image.handler(2, &[0x2505, 0x4770]); // movs r5, #5; bx lr
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!([2, 3, 5].map(|n| r(&cpu, n)), [1, 1, 5]);
}

#[test]
fn returning_from_any_other_handler_clears_faultmask() {
    let program = &[
        0xDF00, // svc 0
        0xF3EF, 0x8213, // mrs r2, FAULTMASK
        0xBE01, // bkpt 0x0001
    ];
    let mut image = Image::new(program);
    image.handler(11, &[0xB671, 0x4770]); // cpsid f; bx lr
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 1);
    assert_eq!(r(&cpu, 2), 0);
}

#[test]
fn sleep_on_exit_sleeps_when_the_last_handler_returns() {
    let program = &[
        0x4802, // ldr r0, [pc, #8]
        0x2102, // movs r1, #2
        0x6001, // str r1, [r0, #0]
        0xDF00, // svc 0
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xED10, 0xE000, // .word 0xe000ed10
    ];
    let mut image = Image::new(program);
    image.handler(11, &[0x4770]);
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForInterrupt);
    assert!(!cpu.in_handler_mode());
}

#[test]
fn with_sevonpend_an_interrupt_that_is_not_enabled_is_an_event() {
    for (scr, woken) in [(0x2110, true), (0x2100, false)] {
        // ldr r0, [pc, #12]; movs r1, #scr; str r1, [r0]; wfe; bkpt #1
        let program = [0x4803, scr, 0x6001, 0xBF20, 0xBE01, 0, 0, 0, 0xED10, 0xE000];
        let mut cpu = Image::new(&program).boot();
        assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::WaitForEvent);
        cpu.pend_interrupt(5);
        let exit = cpu.run(&mut EmptyBus, 100);
        assert_eq!(matches!(exit, Exit::Breakpoint { .. }), woken, "{exit:?}");
    }
}

#[test]
fn active_and_pending_system_exceptions_show_in_their_registers() {
    let program = &[
        0xB672, // cpsid i
        0x4806, // ldr r0, [pc, #24]
        0xF04F, 0x51A0, // mov.w r1, #335544320
        0x6001, // str r1, [r0, #0]
        0x6802, // ldr r2, [r0, #0]
        0xF04F, 0x6120, // mov.w r1, #167772160
        0x6001, // str r1, [r0, #0]
        0x6803, // ldr r3, [r0, #0]
        0xB662, // cpsie i
        0xDF00, // svc 0
        0xBE01, // bkpt 0x0001
        0x0000, // .short 0x0000
        0xED04, 0xE000, // .word 0xe000ed04
    ];
    let mut image = Image::new(program);
    image.handler(
        11,
        &[
            0x4801, // ldr r0, [pc, #4]
            0x6801, // ldr r1, [r0, #0]
            0x6A02, // ldr r2, [r0, #32]
            0xBE0B, // bkpt 0x000b
            0xED04, 0xE000, // .word 0xe000ed04
        ],
    );
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 11);
    assert_eq!(r(&cpu, 3), 0, "both were cleared again");
    assert_eq!(word(&cpu, STACK - 32 + 8), 1 << 28 | 1 << 26 | 14 << 12, "PendSV precedes SysTick");
    assert_eq!(r(&cpu, 1), 0x80B, "RETTOBASE, VECTACTIVE");
    assert_eq!(r(&cpu, 2), 1 << 7, "SVCALLACT");
}

/// Sets DEMCR.MON_PEND while PRIMASK masks the exception, reads DEMCR into R2, then unmasks it.
const PEND_MONITOR: &[u16] = &[
    0xB672, // cpsid i
    0x4804, // ldr r0, [pc, #16]
    0x4904, // ldr r1, [pc, #16]
    0x6001, // str r1, [r0, #0]
    0x6802, // ldr r2, [r0, #0]
    0xBF00, // nop, or str r3, [r0, #0] to take it back
    0xB662, // cpsie i
    0x6804, // ldr r4, [r0, #0]
    0xBE01, // bkpt 0x0001
    0xBF00, // nop
    0xEDFC, 0xE000, // .word 0xe000edfc
    0x0000, 0x0002, // .word 0x00020000
];

/// Shows D217. MON_EN is not needed (Armv8-M, DEMCR.MON_PEND).
#[test]
fn mon_pend_sets_and_clears_the_pending_state_of_the_debug_monitor() {
    let boot = |program: &[u16]| {
        let mut image = Image::new(program);
        image.handler(12, &[0xBE0C, 0x4770]); // bkpt #12; bx lr
        image.boot()
    };
    let mut cpu = boot(PEND_MONITOR);
    assert_eq!(run_to_breakpoint(&mut cpu), 12);
    assert_eq!((r(&cpu, 2), cpu.exception_number()), (1 << 17, 12));
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), 1, "it is taken once");
    assert_eq!(r(&cpu, 4), 0, "it is no longer pending");
    let mut program = PEND_MONITOR.to_vec();
    program[5] = 0x6003;
    assert_eq!(run_to_breakpoint(&mut boot(&program)), 1);
}
