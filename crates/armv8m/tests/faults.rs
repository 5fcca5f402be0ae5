//! Faults: which exception, which status, escalation, stack limits, lockup, and the MPU.

mod common;

use armv8m::{Bus, BusFault, Config, EmptyBus, Exit, Register, Signals, Width};
use common::{CODE, FLASH, Image, RAM, STACK, r, run_to_breakpoint, step_over, word};

const HARD_FAULT: u8 = 3;
const MEM_MANAGE: u8 = 4;
const BUS_FAULT: u8 = 5;
const USAGE_FAULT: u8 = 6;

/// Enables the three configurable faults, then falls into what follows at offset 8.
const ENABLE: &[u16] = &[
    0xF64E, 0x5024, // movw r0, #60708
    0xF2CE, 0x0000, // movt r0, #57344
    0xF44F, 0x21E0, // mov.w r1, #458752
    0x6001, // str r1, [r0, #0]
];

/// Runs `halfwords` with or without the configurable faults enabled, until the first BKPT, which a handler has.
fn fault_of(enabled: bool, halfwords: &[u16]) -> (u8, armv8m::Cpu) {
    let program = if enabled { [ENABLE, halfwords].concat() } else { halfwords.to_vec() };
    let mut cpu = Image::new(&program).boot();
    (run_to_breakpoint(&mut cpu), cpu)
}

#[test]
fn an_undefined_instruction_is_a_usage_fault_at_its_own_address() {
    let (handler, cpu) = fault_of(true, &[0xDE00]); // udf #0
    assert_eq!(handler, USAGE_FAULT);
    assert_eq!(cpu.fault_status().cfsr, 1 << 16);
    assert_eq!(cpu.fault_status().pc, CODE + 14);
    assert_eq!(word(&cpu, STACK - 8), CODE + 14);
}

#[test]
fn a_fault_without_its_handler_enabled_becomes_a_hard_fault() {
    let (handler, cpu) = fault_of(false, &[0xDE00]);
    assert_eq!(handler, HARD_FAULT);
    assert_eq!((cpu.fault_status().cfsr, cpu.fault_status().hfsr), (1 << 16, 1 << 30));
}

#[test]
fn a_fault_in_the_hard_fault_handler_locks_up() {
    let mut image = Image::new(&[0xDE00]);
    image.handler(3, &[0xDE01]);
    let mut cpu = image.boot();
    let lockup = Exit::Lockup { pc: Image::HANDLERS + 3 * 0x40 };
    assert_eq!(cpu.run(&mut EmptyBus, 100), lockup);
    assert_eq!(cpu.run(&mut EmptyBus, 100), lockup, "only a reset helps");
    cpu.reset().unwrap();
    assert_eq!(cpu.run(&mut EmptyBus, 1), Exit::Budget);
}

/// Runs until a HardFault is reported to the host, with `vector` as its handler's.
fn halted_at_hard_fault(halfwords: &[u16], vector: u32) -> (u32, armv8m::Cpu) {
    let mut image = Image::new(halfwords);
    image.word(0x0800_0000 + 3 * 4, vector);
    let mut cpu = image.boot_with(Config { halt_on_hard_fault: true, ..Config::default() });
    match cpu.run(&mut EmptyBus, 1000) {
        Exit::HardFault { pc } => (pc, cpu),
        exit => panic!("{exit:?}"),
    }
}

const GOOD_VECTOR: u32 = Image::HANDLERS + 3 * 0x40 + 1;

#[test]
fn a_hard_fault_is_reported_before_its_handler_runs_whatever_its_vector_is() {
    for vector in [GOOD_VECTOR, 0, GOOD_VECTOR - 1, 0x4000_0001, 0xFFFF_FFFF] {
        let (pc, cpu) = halted_at_hard_fault(&[0xBF00, 0xDE00], vector); // nop; udf
        assert_eq!((pc, cpu.cycles()), (CODE + 2, 2), "vector {vector:#x}");
        assert_eq!(cpu.exception_number(), u16::from(HARD_FAULT));
        let status = cpu.fault_status();
        assert_eq!((status.pc, status.cfsr, status.hfsr), (CODE + 2, 1 << 16, 1 << 30));
        assert_eq!(word(&cpu, STACK - 8), CODE + 2, "the frame is stacked");
    }
}

#[test]
fn a_hard_fault_without_a_fault_status_has_its_location() {
    let breakpoint = halted_at_hard_fault(&[0xBF00, 0xBE2A], GOOD_VECTOR); // bkpt
    let supervisor = halted_at_hard_fault(&[0xB672, 0xDF00], GOOD_VECTOR); // cpsid i; svc
    assert_eq!((breakpoint.0, supervisor.0), (CODE + 2, CODE + 2));
    assert_eq!(breakpoint.1.fault_status().hfsr, 1 << 31);
}

#[test]
fn after_a_hard_fault_was_reported_its_handler_can_run() {
    let (_, mut cpu) = halted_at_hard_fault(&[0xDE00], GOOD_VECTOR);
    assert_eq!(
        cpu.run(&mut EmptyBus, 1),
        Exit::Lockup { pc: GOOD_VECTOR - 1 },
        "at its BKPT, which has no handler"
    );
}

#[test]
fn handlers_the_application_enabled_run_and_are_not_reported() {
    let program = [ENABLE, &[0xDE00]].concat();
    let config = Config { halt_on_hard_fault: true, halt_on_breakpoint: true, ..Config::default() };
    let mut cpu = Image::new(&program).boot_with(config);
    assert_eq!(run_to_breakpoint(&mut cpu), USAGE_FAULT);
}

#[test]
fn reading_where_there_is_nothing_is_a_precise_bus_fault() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x4080, // mov.w r0, #1073741824
            0x6881, // ldr r1, [r0, #8]
        ],
    );
    assert_eq!(handler, BUS_FAULT);
    let faults = cpu.fault_status();
    assert_eq!((faults.cfsr, faults.bfar), (1 << 15 | 1 << 9, 0x4000_0008));
}

#[test]
fn writing_to_flash_is_a_precise_bus_fault() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x6000, // mov.w r0, #134217728
            0x6000, // str r0, [r0, #0]
        ],
    );
    assert_eq!((handler, cpu.fault_status().bfar), (BUS_FAULT, FLASH));
}

#[test]
fn branching_to_a_peripheral_is_an_instruction_access_violation() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x4080, // mov.w r0, #1073741824
            0x3001, // adds r0, #1
            0x4700, // bx r0
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (MEM_MANAGE, 1));
    assert_eq!(word(&cpu, STACK - 8), 0x4000_0000);
}

#[test]
fn branching_to_where_there_is_no_memory_is_an_instruction_bus_fault() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0x2001, // movs r0, #1
            0x4700, // bx r0
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (BUS_FAULT, 1 << 8));
}

#[test]
fn branching_to_an_even_address_is_an_invalid_state() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x6000, // mov.w r0, #134217728
            0x4700, // bx r0
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 17));
    assert_eq!(word(&cpu, STACK - 4) & 1 << 24, 0, "the stacked T bit is clear");
}

#[test]
fn an_exc_return_value_in_thread_mode_is_only_an_address() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF06F, 0x0042, // mvn.w r0, #66
            0x4700, // bx r0
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (MEM_MANAGE, 1));
}

#[test]
fn division_by_zero_gives_zero_until_it_is_trapped() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0x2107, // movs r1, #7
            0x2200, // movs r2, #0
            0xF04F, 0x0309, // mov.w r3, #9
            0xF04F, 0x0409, // mov.w r4, #9
            0xFB91, 0xF3F2, // sdiv r3, r1, r2
            0xFBB1, 0xF4F2, // udiv r4, r1, r2
            0xF64E, 0x5014, // movw r0, #60692
            0xF2CE, 0x0000, // movt r0, #57344
            0x2510, // movs r5, #16
            0x6005, // str r5, [r0, #0]
            0xFBB1, 0xF6F2, // udiv r6, r1, r2
        ],
    );
    assert_eq!(handler, USAGE_FAULT);
    assert_eq!((r(&cpu, 3), r(&cpu, 4)), (0, 0));
    assert_eq!(cpu.fault_status().cfsr, 1 << 25);
}

#[test]
fn unaligned_accesses_work_until_they_are_trapped_but_never_for_multiples() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x5000, // mov.w r0, #536870912
            0xF242, 0x2111, // movw r1, #8721
            0xF2C4, 0x4133, // movt r1, #17459
            0xF8C0, 0x1001, // str.w r1, [r0, #1]
            0xF8D0, 0x2001, // ldr.w r2, [r0, #1]
            0xF8B0, 0x3003, // ldrh.w r3, [r0, #3]
            0xE890, 0x0030, // ldmia.w r0, {r4, r5}
            0x3002, // adds r0, #2
            0xE890, 0x0030, // ldmia.w r0, {r4, r5}
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 24));
    assert_eq!([2, 3, 4].map(|n| r(&cpu, n)), [0x4433_2211, 0x4433, 0x3322_1100]);
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF64E, 0x5014, // movw r0, #60692
            0xF2CE, 0x0000, // movt r0, #57344
            0x2508, // movs r5, #8
            0x6005, // str r5, [r0, #0]
            0xF04F, 0x5000, // mov.w r0, #536870912
            0x6841, // ldr r1, [r0, #4]
            0xF8D0, 0x1002, // ldr.w r1, [r0, #2]
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 24));
}

#[test]
fn a_coprocessor_that_is_absent_or_disabled_is_a_usage_fault() {
    let (handler, cpu) = fault_of(true, &[0xEE30, 0x0A20]); // vadd.f32 s0, s0, s1
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 19));
    let (handler, cpu) = fault_of(true, &[0xEE01, 0x0710]); // mcr p7, 0, r0, c1, c0, 0
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 19));
}

#[test]
fn an_svc_that_cannot_be_taken_is_a_hard_fault() {
    let (handler, cpu) = fault_of(true, &[0xB672, 0xDF00]); // cpsid i; svc #0
    assert_eq!((handler, cpu.fault_status().hfsr), (HARD_FAULT, 1 << 30));
}

#[test]
fn a_breakpoint_without_a_debugger_is_a_hard_fault_or_a_debug_monitor() {
    let config = Config { ram_size: 0x10000, ..Config::default() };
    let mut image = Image::new(&[0xBE00]);
    image.handler(3, &[0xE7FE]); // b .
    let mut cpu = image.boot_with(config.clone());
    assert_eq!(cpu.run(&mut EmptyBus, 10), Exit::Budget);
    assert_eq!((cpu.exception_number(), cpu.fault_status().hfsr), (3, 1 << 31));

    let mut image = Image::new(&[
        0xF64E, 0x50FC, // movw r0, #60924
        0xF2CE, 0x0000, // movt r0, #57344
        0xF44F, 0x3180, // mov.w r1, #65536
        0x6001, // str r1, [r0, #0]
        0xBE00, // bkpt 0x0000
    ]);
    image.handler(12, &[0xE7FE]);
    let mut cpu = image.boot_with(config);
    assert_eq!(cpu.run(&mut EmptyBus, 10), Exit::Budget);
    assert_eq!(cpu.exception_number(), 12);
}

#[test]
fn a_push_below_the_stack_limit_faults_and_writes_nothing() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x5100, // mov.w r1, #536870912
            0xF501, 0x5140, // add.w r1, r1, #12288
            0xF381, 0x8809, // msr PSP, r1
            0xF1A1, 0x0208, // sub.w r2, r1, #8
            0xF382, 0x880B, // msr PSPLIM, r2
            0x2302, // movs r3, #2
            0xF383, 0x8814, // msr CONTROL, r3
            0xF3BF, 0x8F6F, // isb sy
            0xB406, // push {r1, r2}
            0xB402, // push {r1}
        ],
    );
    assert_eq!((handler, cpu.fault_status().cfsr), (USAGE_FAULT, 1 << 20));
    assert_eq!(word(&cpu, 0x2000_2FF4), 0);
    assert_eq!(cpu.register(Register::Psp), 0x2000_2FF8, "a frame does not fit either: SP is at the limit");
}

#[test]
fn sub_and_writeback_respect_the_stack_limit() {
    let codes: [&[u16]; 4] = [
        &[
            0xB084, // sub sp, #16
        ],
        &[
            0xF84D, 0x0D10, // str.w r0, [sp, #-16]!
        ],
        &[
            0x469D, // mov sp, r3
        ],
        &[
            0xE92D, 0x0017, // stmdb sp!, {r0, r1, r2, r4}
        ],
    ];
    for code in codes {
        let set = &[
            0xF04F, 0x5100, // mov.w r1, #536870912
            0xF501, 0x42FE, // add.w r2, r1, #32512
            0xF382, 0x880A, // msr MSPLIM, r2
            0x4695, // mov sp, r2
            0xB022, // add sp, #136
            0x466B, // mov r3, sp
            0xB0A0, // sub sp, #128
            0x460B, // mov r3, r1
        ];
        let (handler, cpu) = fault_of(true, &[set, code].concat());
        assert_eq!((handler, cpu.fault_status().cfsr & 1 << 20), (USAGE_FAULT, 1 << 20), "{code:x?}");
    }
}

#[test]
fn a_stack_overflow_on_entry_is_taken_first_and_the_interrupt_stays_pending() {
    let mut image = Image::new(
        &[
            ENABLE,
            &[
                0xF04F, 0x5100, // mov.w r1, #536870912
                0xF501, 0x5140, // add.w r1, r1, #12288
                0xF381, 0x8809, // msr PSP, r1
                0xF1A1, 0x0218, // sub.w r2, r1, #24
                0xF382, 0x880B, // msr PSPLIM, r2
                0x2302, // movs r3, #2
                0xF383, 0x8814, // msr CONTROL, r3
                0xF24E, 0x4000, // movw r0, #58368
                0xF2CE, 0x0000, // movt r0, #57344
                0x2180, // movs r1, #128
                0x6001, // str r1, [r0, #0]
                0xF5A0, 0x7040, // sub.w r0, r0, #768
                0x2101, // movs r1, #1
                0x6001, // str r1, [r0, #0]
                // wait:
                0xE7FE, // b.n 800043c <wait>
            ],
        ]
        .concat(),
    );
    image.handler(6, &[0xBE06, 0x4770]);
    let mut cpu = image.boot();
    assert_eq!(cpu.run(&mut EmptyBus, 30), Exit::Budget);
    cpu.pend_interrupt(0);
    assert_eq!(run_to_breakpoint(&mut cpu), USAGE_FAULT);
    assert!(cpu.is_pending(0) && !cpu.is_active(0));
    assert_eq!(cpu.register(Register::Psp), 0x2000_2FE8, "the limit");
}

#[test]
fn stacking_to_where_there_is_no_ram_is_a_bus_fault() {
    let mut image = Image::new(
        &[
            ENABLE,
            &[
                0xF04F, 0x5140, // mov.w r1, #805306368
                0xF381, 0x8809, // msr PSP, r1
                0x2302, // movs r3, #2
                0xF383, 0x8814, // msr CONTROL, r3
                0xDF00, // svc 0
            ],
        ]
        .concat(),
    );
    image.handler(5, &[0xBE05]);
    let mut cpu = image.boot();
    // Equal priorities: SVCall is taken, then the bus fault when it may; here its handler is a BKPT.
    assert_eq!(run_to_breakpoint(&mut cpu), 11);
    assert_eq!(cpu.fault_status().cfsr, 1 << 12);
}

#[test]
fn a_broken_exc_return_is_an_invalid_pc() {
    for broken in [0xFFFF_FFFDu32, 0xFFFF_FFF9, 0xFFFF_FFBA, 0xFF00_00BC] {
        let mut image = Image::new(&[ENABLE, &[0xDF00, 0xBE01]].concat());
        image.handler(11, &[0x4800, 0x4700]).word(Image::HANDLERS + 11 * 0x40 + 4, broken); // ldr r0, [pc]; bx r0
        let mut cpu = image.boot();
        assert_eq!(run_to_breakpoint(&mut cpu), USAGE_FAULT, "{broken:x}");
        assert_eq!(cpu.fault_status().cfsr, 1 << 18);
    }
}

#[test]
fn returning_to_thread_mode_with_a_handler_s_ipsr_is_an_invalid_pc() {
    let mut image = Image::new(&[ENABLE, &[0xDF00, 0xBE01]].concat());
    image.handler(
        11,
        &[
            0x2005, // movs r0, #5
            0xF8AD, 0x001C, // strh.w r0, [sp, #28]
            0x4770, // bx lr
        ],
    );
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), USAGE_FAULT);
    assert_eq!(cpu.fault_status().cfsr, 1 << 18);
}

#[test]
fn fault_status_bits_clear_by_writing_ones() {
    let mut image = Image::new(&[ENABLE, &[0xDE00, 0xBE01]].concat());
    image.handler(
        6,
        &[
            0xF64E, 0x5028, // movw r0, #60712
            0xF2CE, 0x0000, // movt r0, #57344
            0x6801, // ldr r1, [r0, #0]
            0x8842, // ldrh r2, [r0, #2]
            0x8042, // strh r2, [r0, #2]
            0x6803, // ldr r3, [r0, #0]
            0xBE06, // bkpt 0x0006
        ],
    );
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), USAGE_FAULT);
    assert_eq!([1, 2, 3].map(|n| r(&cpu, n)), [1 << 16, 1, 0]);
}

#[test]
fn unprivileged_code_cannot_reach_the_system_registers_or_masks() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0x2001, // movs r0, #1
            0xF380, 0x8814, // msr CONTROL, r0
            0xF3BF, 0x8F6F, // isb sy
            0xB672, // cpsid i
            0xF380, 0x8810, // msr PRIMASK, r0
            0xF380, 0x8808, // msr MSP, r0
            0xF3EF, 0x8208, // mrs r2, MSP
            0xF3EF, 0x8314, // mrs r3, CONTROL
            0xF3EF, 0x8405, // mrs r4, IPSR
            0xF64E, 0x5100, // movw r1, #60672
            0xF2CE, 0x0100, // movt r1, #57344
            0x6809, // ldr r1, [r1, #0]
        ],
    );
    assert_eq!(handler, BUS_FAULT);
    assert_eq!(cpu.fault_status().bfar, 0xE000_ED00);
    assert_eq!(cpu.register(Register::Primask), 0);
    assert_eq!([2, 3, 4].map(|n| r(&cpu, n)), [0, 1, 0]);
}

/// Region 0: RAM from 0x20001000 to 0x2000101F, with the RBAR bits in R6; the background map for privileged code.
const ONE_REGION: &[u16] = &[
    0xF64E, 0x5090, // movw r0, #60816
    0xF2CE, 0x0000, // movt r0, #57344
    0x6805, // ldr r5, [r0, #0]
    0x2100, // movs r1, #0
    0x6081, // str r1, [r0, #8]
    0xF04F, 0x5200, // mov.w r2, #536870912
    0xF502, 0x5280, // add.w r2, r2, #4096
    0xEA52, 0x0106, // orrs.w r1, r2, r6
    0x60C1, // str r1, [r0, #12]
    0xF042, 0x0101, // orr.w r1, r2, #1
    0x6101, // str r1, [r0, #16]
    0x2105, // movs r1, #5
    0x6041, // str r1, [r0, #4]
    0xF3BF, 0x8F4F, // dsb sy
    0xF3BF, 0x8F6F, // isb sy
];

fn with_region(bits: u16, halfwords: &[u16]) -> (u8, armv8m::Cpu) {
    fault_of(true, &[&[0x2600 | bits][..], ONE_REGION, halfwords].concat()) // movs r6, #bits
}

#[test]
fn the_mpu_refuses_writes_to_a_read_only_region() {
    let (handler, cpu) = with_region(
        0b111,
        &[
            0xF842, 0x3C04, // str.w r3, [r2, #-4]
            0x6813, // ldr r3, [r2, #0]
            0x6213, // str r3, [r2, #32]
            0x61D3, // str r3, [r2, #28]
        ],
    );
    assert_eq!(r(&cpu, 5), 8 << 8, "eight regions");
    assert_eq!(handler, MEM_MANAGE);
    let faults = cpu.fault_status();
    assert_eq!((faults.cfsr, faults.mmfar), (1 << 7 | 1 << 1, 0x2000_101C));
}

#[test]
fn the_mpu_restricts_unprivileged_code_to_its_regions() {
    // The program itself is outside every region: the fetch after dropping privilege faults.
    let (handler, cpu) = with_region(
        0b011,
        &[
            0x6813, // ldr r3, [r2, #0]
            0xF852, 0x3E00, // ldrt r3, [r2]
            0x2001, // movs r0, #1
            0xF380, 0x8814, // msr CONTROL, r0
            0xBF00, // nop
        ],
    );
    assert_eq!(handler, MEM_MANAGE);
    assert_eq!(
        cpu.fault_status().cfsr,
        1 << 4 | 1,
        "the fetch, and then the frame: the stack is outside as well"
    );
    let (handler, cpu) = with_region(
        0b001,
        &[
            0x6813, // ldr r3, [r2, #0]
            0xF852, 0x3E00, // ldrt r3, [r2]
        ],
    );
    assert_eq!((handler, cpu.fault_status().mmfar), (MEM_MANAGE, 0x2000_1000));
}

#[test]
fn the_mpu_refuses_to_execute_where_xn_is_set() {
    for (bits, handler) in [(0b011, MEM_MANAGE), (0b010, 9)] {
        // bkpt #9 in the region; bx there.
        let (stopped, _) = with_region(
            bits,
            &[
                0xF64B, 0x6309, // movw r3, #48649
                0x8113, // strh r3, [r2, #8]
                0xF102, 0x0309, // add.w r3, r2, #9
                0x4718, // bx r3
            ],
        );
        assert_eq!(stopped, handler);
    }
}

#[test]
fn test_target_reports_region_and_permissions() {
    let (handler, cpu) = with_region(
        0b110,
        &[
            0xE842, 0xF300, // tt r3, r2
            0xE842, 0xF440, // ttt r4, r2
            0xF04F, 0x5000, // mov.w r0, #536870912
            0xE840, 0xF700, // tt r7, r0
            0xBE09, // bkpt 0x0009
        ],
    );
    assert_eq!(handler, 9);
    assert_eq!([3, 4, 7].map(|n| r(&cpu, n)), [1 << 16 | 1 << 18, 1 << 16 | 1 << 18, 1 << 18 | 1 << 19]);
}

/// A peripheral that records accesses and drives interrupt lines.
#[derive(Default)]
struct Recorder(Vec<(u32, Width, Option<u32>, u64)>);

impl Bus for Recorder {
    fn read(&mut self, address: u32, width: Width, signals: &mut Signals<'_>) -> Result<u32, BusFault> {
        self.0.push((address, width, None, signals.cycles()));
        if address == 0x4000_0004 { Err(BusFault) } else { Ok(0x8182_8384) }
    }
    fn write(
        &mut self,
        address: u32,
        width: Width,
        value: u32,
        signals: &mut Signals<'_>,
    ) -> Result<(), BusFault> {
        self.0.push((address, width, Some(value), signals.cycles()));
        match address {
            0x4000_0010 => signals.pend(value as u16),
            0x4000_0014 => signals.set_level(0, value != 0),
            0x4000_0018 => signals.request_yield(),
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn peripherals_see_each_access_with_its_width_and_cycle() {
    let mut cpu = Image::new(&[
        0xF04F, 0x4080, // mov.w r0, #1073741824
        0x6801, // ldr r1, [r0, #0]
        0x7842, // ldrb r2, [r0, #1]
        0xF9B0, 0x3002, // ldrsh.w r3, [r0, #2]
        0x244D, // movs r4, #77
        0x8104, // strh r4, [r0, #8]
        0xBE01, // bkpt 0x0001
    ])
    .boot();
    let mut bus = Recorder::default();
    assert!(matches!(cpu.run(&mut bus, 100), Exit::Breakpoint { comment: 1, .. }));
    let expected = [
        (0x4000_0000, Width::Word, None, 2),
        (0x4000_0001, Width::Byte, None, 3),
        (0x4000_0002, Width::Half, None, 4),
        (0x4000_0008, Width::Half, Some(77), 6),
    ];
    assert_eq!(bus.0, expected);
    assert_eq!([1, 2, 3].map(|n| r(&cpu, n)), [0x8182_8384, 0x84, 0xFFFF_8384]);
}

#[test]
fn a_peripherals_signals_take_effect_before_the_next_instruction() {
    let mut image = Image::new(&[
        0xF24E, 0x1000, // movw r0, #57600
        0xF2CE, 0x0000, // movt r0, #57344
        0x2103, // movs r1, #3
        0x6001, // str r1, [r0, #0]
        0xF04F, 0x4080, // mov.w r0, #1073741824
        0x2101, // movs r1, #1
        0x6101, // str r1, [r0, #16]
        0x2201, // movs r2, #1
        0x6141, // str r1, [r0, #20]
        0x2202, // movs r2, #2
        0x6181, // str r1, [r0, #24]
        0x2203, // movs r2, #3
        0xBE01, // bkpt 0x0001
    ]);
    image.handler(17, &[0xBE11, 0x4770]);
    let mut cpu = image.boot();
    let mut bus = Recorder::default();
    assert!(matches!(cpu.run(&mut bus, 100), Exit::Breakpoint { comment: 17, .. }));
    assert_eq!(r(&cpu, 2), 0);
    step_over(&mut cpu);
    assert!(matches!(cpu.run(&mut bus, 100), Exit::Breakpoint { comment: 16, .. }));
    assert_eq!(r(&cpu, 2), 1);
    cpu.set_level(0, false);
    cpu.set_register(Register::PC, Image::HANDLERS + 17 * 0x40 + 2);
    assert_eq!(cpu.run(&mut bus, 100), Exit::Yield);
    assert_eq!(r(&cpu, 2), 2);
    assert!(matches!(cpu.run(&mut bus, 100), Exit::Breakpoint { comment: 1, .. }));
}

#[test]
fn a_peripheral_that_refuses_is_a_bus_fault_and_an_unaligned_access_to_one_a_usage_fault() {
    for (offset, handler) in [(4, BUS_FAULT), (2, USAGE_FAULT)] {
        // mov.w r0, #0x40000000; adds r0, #offset; ldr r1, [r0]
        let program = [ENABLE, &[0xF04F, 0x4080, 0x3000 | offset, 0x6801]].concat();
        let mut cpu = Image::new(&program).boot();
        let exit = cpu.run(&mut Recorder::default(), 100);
        assert!(matches!(exit, Exit::Breakpoint { comment, .. } if comment == handler), "{exit:?}");
    }
}

#[test]
fn memory_at_the_very_end_of_ram_is_reachable_and_beyond_is_not() {
    let (handler, cpu) = fault_of(
        true,
        &[
            0xF04F, 0x5000, // mov.w r0, #536870912
            0xF500, 0x407C, // add.w r0, r0, #64512
            0xF8C0, 0x03FC, // str.w r0, [r0, #1020]
            0xF8D0, 0x13FC, // ldr.w r1, [r0, #1020]
            0xF8D0, 0x23FE, // ldr.w r2, [r0, #1022]
        ],
    );
    assert_eq!(handler, USAGE_FAULT, "half outside: not plain memory");
    assert_eq!(r(&cpu, 1), RAM + 0xFC00);
}

#[test]
fn a_trap_the_host_refuses_is_an_instruction_bus_fault() {
    let program = &[
        0x4C00, // ldr r4, [pc, #0]
        0x4720, // bx r4
        0x0101, 0x0BF0, // .word 0x0bf00101
    ];
    let config = Config { trap: 0x0BF0_0000..0x0BF1_0000, halt_on_breakpoint: true, ..Config::default() };
    let mut cpu = Image::new(program).boot_with(config);
    assert_eq!(cpu.run(&mut EmptyBus, 100), Exit::Trap { address: 0x0BF0_0100 });
    cpu.refuse_trap();
    assert_eq!(run_to_breakpoint(&mut cpu), HARD_FAULT);
    assert_eq!((cpu.fault_status().cfsr, cpu.fault_status().pc), (1 << 8, 0x0BF0_0100));
}

#[test]
fn a_reset_handler_that_returns_faults() {
    let (handler, cpu) = fault_of(false, &[0x4770]); // bx lr
    assert_eq!((handler, cpu.fault_status().cfsr), (HARD_FAULT, 1));
    assert_eq!(cpu.fault_status().pc, 0xFFFF_FFFE);
}

#[test]
fn a_handler_at_negative_priority_may_probe_the_bus_with_bfhfnmign() {
    let mut image = Image::new(&[0xDE00]);
    image.handler(
        3,
        &[
            0xF64E, 0x5014, // movw r0, #60692
            0xF2CE, 0x0000, // movt r0, #57344
            0xF44F, 0x7180, // mov.w r1, #256
            0x6001, // str r1, [r0, #0]
            0xF04F, 0x4080, // mov.w r0, #1073741824
            0x2107, // movs r1, #7
            0x6801, // ldr r1, [r0, #0]
            0x6001, // str r1, [r0, #0]
            0xBE03, // bkpt 0x0003
        ],
    );
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), HARD_FAULT);
    assert_eq!(r(&cpu, 1), 0);
}

#[test]
fn unprivileged_code_may_pend_by_stir_with_usersetmpend() {
    let mut image = Image::new(&[
        0xF24E, 0x1000, // movw r0, #57600
        0xF2CE, 0x0000, // movt r0, #57344
        0x2101, // movs r1, #1
        0x6001, // str r1, [r0, #0]
        0xF64E, 0x5014, // movw r0, #60692
        0xF2CE, 0x0000, // movt r0, #57344
        0x2102, // movs r1, #2
        0x6001, // str r1, [r0, #0]
        0x2101, // movs r1, #1
        0xF381, 0x8814, // msr CONTROL, r1
        0xF3BF, 0x8F6F, // isb sy
        0xF64E, 0x7000, // movw r0, #61184
        0xF2CE, 0x0000, // movt r0, #57344
        0x2100, // movs r1, #0
        0x6001, // str r1, [r0, #0]
        0xBE01, // bkpt 0x0001
    ]);
    image.handler(16, &[0xBE10]);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 16);
    assert!(cpu.is_privileged(), "handlers are");
}

#[test]
fn a_vector_that_cannot_be_read_is_a_hard_fault() {
    // VTOR to the last 128 bytes of flash: the SVC vector is within, that of an interrupt beyond.
    let mut image = Image::new(&[
        0xF64E, 0x5008, // movw r0, #60680
        0xF2CE, 0x0000, // movt r0, #57344
        0xF647, 0x71C0, // movw r1, #32704
        0xF6C0, 0x0100, // movt r1, #2048
        0x6001, // str r1, [r0, #0]
        0x6802, // ldr r2, [r0, #0]
        0xF24E, 0x1000, // movw r0, #57600
        0xF2CE, 0x0000, // movt r0, #57344
        0xF44F, 0x3180, // mov.w r1, #65536
        0x6001, // str r1, [r0, #0]
        0xF8C0, 0x1100, // str.w r1, [r0, #256]
        0xBF00, // nop
    ]);
    image.word(0x0800_7F80 + 12, (Image::HANDLERS + 3 * 0x40) | 1);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), HARD_FAULT);
    assert_eq!(r(&cpu, 2), 0x0800_7F80, "VTOR is a multiple of 128");
    assert_eq!(cpu.fault_status().hfsr, 1 << 1);
}

#[test]
fn a_literal_is_no_longer_readable_once_the_mpu_forbids_it() {
    let mut image = Image::new(&[
        0xF64E, 0x5024, // movw r0, #60708
        0xF2CE, 0x0000, // movt r0, #57344
        0xF44F, 0x21E0, // mov.w r1, #458752
        0x6001, // str r1, [r0, #0]
        0xF64E, 0x5098, // movw r0, #60824
        0xF2CE, 0x0000, // movt r0, #57344
        0xF240, 0x4202, // movw r2, #1026
        0xF6C0, 0x0200, // movt r2, #2048
        0xF240, 0x43E1, // movw r3, #1249
        0xF6C0, 0x0300, // movt r3, #2048
        0xF244, 0x0402, // movw r4, #16386
        0xF6C0, 0x0400, // movt r4, #2048
        0xF645, 0x75E1, // movw r5, #24545
        0xF6C0, 0x0500, // movt r5, #2048
        0xF240, 0x0603, // movw r6, #3
        0xF2C2, 0x0600, // movt r6, #8192
        0xF64F, 0x77E1, // movw r7, #65505
        0xF2C2, 0x0700, // movt r7, #8192
        0x2100, // movs r1, #0
        0xF840, 0x1B04, // str.w r1, [r0], #4
        0xC0FC, // stmia r0!, {r2, r3, r4, r5, r6, r7}
        0x2201, // movs r2, #1
        0x2300, // movs r3, #0
        // again:
        0xF8DF, 0x1190, // ldr.w r1, [pc, #400]
        0xBE09, // bkpt 0x0009
        0xF64E, 0x5094, // movw r0, #60820
        0xF2CE, 0x0000, // movt r0, #57344
        0x6002, // str r2, [r0, #0]
        0x3301, // adds r3, #1
        0xE7F5, // b.n 8000452 <again>
    ]);
    let literal = CODE + 0x54 + 0x190;
    image.word(literal, 1234);
    let mut cpu = image.boot();
    assert_eq!(run_to_breakpoint(&mut cpu), 9);
    assert_eq!(r(&cpu, 1), 1234);
    step_over(&mut cpu);
    assert_eq!(run_to_breakpoint(&mut cpu), MEM_MANAGE);
    assert_eq!((cpu.fault_status().mmfar, r(&cpu, 3)), (literal, 1));
}
