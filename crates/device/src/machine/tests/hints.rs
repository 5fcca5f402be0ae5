//! What the device tells of an application's mistakes.

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
fn a_closed_handle_is_told_from_one_that_was_never_set() {
    let mut program = with_centre();
    program.add(mov32(0, RESULT + 0x50)).add(ldr(5, 0, 0)).call(CLOSE_NOTIFICATIONS);
    program.add(mov32(0, RESULT + 0x54)).add(str_(5, 0, 0)).call(CLOSE_NOTIFICATIONS).add(b_self());
    let mut machine = machine(&program);
    machine.run(20_000);
    let [refused] = &refusals(&mut machine)[..] else { panic!("one") };
    assert!(refused.starts_with("handle_in_out 0x") && refused.ends_with(" has been closed"), "{refused}");
}
