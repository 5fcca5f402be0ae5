//! What the device reports of an application's mistakes.

use super::*;

/// The reasons of the calls that were refused.
fn refusals(machine: &mut Machine) -> Vec<String> {
    let reason = |event| match event {
        DeviceEvent::CallRefused(refused) => {
            Some(refused.reason.clone().unwrap_or_else(|| refused.meaning().into()))
        }
        _ => None,
    };
    machine.take_events().into_iter().filter_map(reason).collect()
}

/// Shows D222, D280.
#[test]
fn a_refused_call_names_the_argument_to_blame() {
    let cases = [
        (GET_DEVICE_ID, [0x0800_0100, 34, 0], "buf 0x08000100 with 34 bytes is not in the application's RAM"),
        (GET_DEVICE_ID, [RESULT, 10, 0], "len is 10; it has to be 34"),
        (
            TRIGGER_NOTIFICATION,
            [0, 2, 3],
            "handle is 0: it was not set by a call that succeeded, or has been closed",
        ),
        (PEEK, [0x4002_0000, RESULT, 0], "register 0x40020000 cannot be accessed by this call"),
    ];
    for (entry, arguments, expected) in cases {
        let mut machine = machine(&calling(entry, arguments));
        machine.run(10_000);
        assert_eq!(refusals(&mut machine), [expected]);
    }
}

/// A program that has a notification centre on line 41, whose handle is at RESULT + 0x50, and continues.
fn with_centre() -> Program {
    let mut program = Program::new();
    program.add(mov32(0, RESULT));
    for (offset, value) in [(0x40, 41), (0x44, RECORDS), (0x48, 48)] {
        program.add(mov32(1, value)).add(str_(1, 0, offset));
    }
    program.add(mov32(0, RESULT + 0x40)).add(mov32(1, RESULT + 0x50)).call(SETUP_NOTIFICATIONS);
    program
}

/// Shows D222, D280.
#[test]
fn a_closed_handle_is_distinguished_from_one_that_was_never_set() {
    let mut program = with_centre();
    program.add(mov32(0, RESULT + 0x50)).add(ldr(5, 0, 0)).call(CLOSE_NOTIFICATIONS);
    program.add(mov32(0, RESULT + 0x54)).add(str_(5, 0, 0)).call(CLOSE_NOTIFICATIONS).add(b_self());
    let mut machine = machine(&program);
    machine.run(20_000);
    let [refused] = &refusals(&mut machine)[..] else { panic!("one") };
    assert!(refused.starts_with("handle_in_out 0x") && refused.ends_with(" has been closed"), "{refused}");
}

/// The text of the first fault.
fn fault_text(program: &Program) -> String {
    let mut machine = machine(program);
    run_until(&mut machine, MILLISECOND);
    faults(&mut machine).first().expect("a fault").0.to_string()
}

/// Shows D281.
#[test]
fn a_stack_that_has_grown_beyond_ram_is_named() {
    let mut program = Program::new();
    program.add(mov32(0, 0x2000_0010)).add([0x4685]); // mov sp, r0
    let again = program.here();
    program.add([0xB500, 0x4281]).bne(again); // push {lr}; cmp r1, r0
    let text = fault_text(&program);
    assert!(
        text.starts_with("stack overflow: the stack has grown beyond the beginning of RAM (pc 0x0800"),
        "{text}"
    );
}

/// Shows D281.
#[test]
fn a_call_through_a_null_function_pointer_is_named_with_its_place() {
    for null in [0, 1] {
        let mut program = Program::new();
        program.add(movs(3, null)).add(blx(3)).add(b_self());
        let expected = format!(
            "call through a null function pointer, from the instruction before {:#010x} (pc 0x00000000)",
            testing::CODE + 4
        );
        assert_eq!(fault_text(&program), expected);
    }
}

/// Shows D281: line 41 is pended by the notification, is enabled, and has a vector that is zero, or that of a handler
/// that stops.
#[test]
fn an_interrupt_without_a_handler_is_reported_by_its_number() {
    for is_default in [false, true] {
        let mut program = with_centre();
        program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 9)).add(str_(1, 0, 0)); // NVIC_ISER1: interrupt 41
        program.add(mov32(0, RESULT + 0x50)).add(ldr(0, 0, 0)).add(movs(1, 2)).add(movs(2, 3));
        program.call(TRIGGER_NOTIFICATION).add(b_self());
        if is_default {
            program.handler(16 + 41).add([0xDE00]); // udf
        }
        let text = fault_text(&program);
        assert!(text.starts_with("no handler for interrupt 41 (exception 57) (pc 0x"), "{text}");
    }
}

/// The lines that were reported as pending and not enabled.
fn unserved(machine: &mut Machine) -> Vec<u16> {
    let line = |event| match event {
        DeviceEvent::LineNotEnabled { line } => Some(line),
        _ => None,
    };
    machine.take_events().into_iter().filter_map(line).collect()
}

/// Shows D345: of a program that sleeps, and of one that is busy; however the time is cut.
#[test]
fn a_notification_line_that_is_not_enabled_is_reported_once_after_a_second() {
    for (is_busy, step) in [(false, MILLISECOND), (true, 7 * MILLISECOND), (true, 1000 * MILLISECOND)] {
        let mut program = with_centre();
        program.add(mov32(0, RESULT + 0x50)).add(ldr(0, 0, 0)).add(movs(1, 2)).add(movs(2, 3));
        program.call(TRIGGER_NOTIFICATION);
        if is_busy {
            let again = program.here();
            program.add([0x3001, 0x4281]).bne(again).add([0xE7FB]); // adds r0, #1; cmp r1, r0; bne; b again
        } else {
            program.add(wfi()).add(b_self());
        }
        let mut machine = machine(&program);
        for until in (0..=999 * MILLISECOND).step_by(step as usize) {
            run_until(&mut machine, until);
        }
        assert_eq!(unserved(&mut machine), [0; 0]);
        run_until(&mut machine, 1001 * MILLISECOND);
        assert_eq!(unserved(&mut machine), [41], "{is_busy} {step}");
        run_until(&mut machine, 3000 * MILLISECOND);
        assert_eq!(unserved(&mut machine), [0; 0]);
    }
}

/// Shows D345: USART2 is ready to send at once, and asks for its interrupt, line 62.
#[test]
fn a_line_of_a_peripheral_that_is_not_enabled_is_reported_too() {
    for is_enabled in [false, true] {
        let mut program = Program::new();
        if is_enabled {
            program.add(mov32(0, 0xE000_E104)).add(mov32(1, 1 << 30)).add(str_(1, 0, 0)); // NVIC_ISER1
        }
        program.add(mov32(0, 0x4000_4400)).add(mov32(1, 1 << 7 | 1 << 3 | 1)).add(str_(1, 0, 0)); // TXEIE, TE, UE
        program.add(b_self()).handler(16 + 62).add(b_self());
        let mut machine = machine(&program);
        run_until(&mut machine, 1001 * MILLISECOND);
        assert_eq!(unserved(&mut machine), if is_enabled { vec![] } else { vec![62] });
    }
}

/// Shows D281: the reset handler calls `main`, and stops when it returns.
#[test]
fn that_main_has_returned_is_reported() {
    let mut program = Program::new();
    program.add([0xF000, 0xF801]).add([0xDE00]).add([0x4770]); // bl main; udf; main: bx lr
    assert!(fault_text(&program).starts_with("main returned (pc 0x0800"), "{}", fault_text(&program));
    let mut other = Program::new();
    other.add([0xDE00]);
    assert!(fault_text(&other).starts_with("undefined instruction (pc 0x0800"), "{}", fault_text(&other));
}

/// Shows D281: `main` is called, and returns to a branch to the default handler.
#[test]
fn that_main_has_returned_is_reported_through_the_default_handler() {
    let mut program = Program::new();
    program.add([0xF000, 0xF802]).add([0xE001, 0xBF00]).add([0x4770]); // bl main; b over it; main: bx lr
    program.handler(3).add([0xDE00]);
    assert!(fault_text(&program).starts_with("main returned (pc 0x0800"), "{}", fault_text(&program));
}

/// Shows D281.
#[test]
fn equal_calls_are_counted_in_a_backtrace() {
    let mut program = Program::new();
    program.add([0xDE00]);
    let mut machine = machine(&program);
    run_until(&mut machine, MILLISECOND);
    let mut crash = machine.last_crash().expect("a crash").clone();
    let frame = crash.frames[0].clone();
    crash.frames = vec![frame.clone(); 32];
    crash.frames.push(crate::debug::backtrace::Frame { address: 0x0800_1000, ..frame });
    let lines = crash.lines();
    let at = lines.iter().position(|line| line == "backtrace:").expect("a backtrace");
    assert_eq!(lines.len() - at - 1, 5, "{lines:#?}");
    assert_eq!(lines[at + 4], "  … 29 more of unknown");
    assert!(lines[at + 5].starts_with("  #32 0x08001000"), "{lines:#?}");
}
