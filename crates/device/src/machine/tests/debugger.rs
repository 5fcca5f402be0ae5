//! A debugger and the link: what the application does about the network does not matter while one is there.

use super::provisioning::{add_call, going_offline};
use super::*;

/// WELCOME: version 1, keepalive 60 s, window 16384, wall clock 0, logging on.
const WELCOME: [u8; 9] = [0x00, 0x0E, 0x01, 0x3C, 0x80, 0x80, 0x01, 0x00, 0x01];

/// MV_NETWORKREASON_DEBUGGERATTACHED
const ATTACHED: u32 = 0x100;
/// MV_NETWORKREASON_USINGNETWORK
const USING: u32 = 0x1;

const SECOND: u64 = 1000 * MILLISECOND;

/// Requests the network, releases it, and leaves the reasons for a link at [`RESULT`].
fn releasing() -> Program {
    let mut program = going_offline();
    add_call(&mut program, Call::GetNetworkReasons, &[RESULT, RESULT + 4], 0x60);
    program.add(b_self());
    program
}

fn connected(machine: &mut Machine) {
    machine.handle(&Input::LinkConnecting).expect("accepted");
    machine.handle(&Input::LinkConnected).expect("accepted");
    transmitted(machine);
    machine.handle(&Input::Received((&WELCOME).into())).expect("welcome");
}

fn transmitted(machine: &mut Machine) -> Vec<u8> {
    let mut out = vec![0; 16_384];
    let length = machine.transmit(&mut out);
    out.truncate(length);
    out
}

/// Shows N20, N23.
#[test]
fn a_debugger_keeps_the_link_though_the_application_releases_it() {
    for attached in [false, true] {
        let mut machine = machine(&releasing());
        connected(&mut machine);
        if attached {
            machine.attach_debugger();
            machine.resume();
        }
        machine.run(10_000);
        assert_eq!(machine.wants_link(), attached);
        assert_eq!(ram(&machine, RESULT) & (ATTACHED | USING), if attached { ATTACHED } else { 0 });
        if attached {
            machine.detach_debugger();
            assert!(!machine.wants_link(), "it is not needed any more");
        }
    }
}

/// Shows N20, D133.
#[test]
fn the_link_stays_alive_while_the_application_is_halted() {
    let mut machine = machine(&releasing());
    connected(&mut machine);
    machine.attach_debugger();
    let now = machine.now();
    machine.handle(&Input::TimeSkipped(59 * SECOND)).expect("accepted");
    assert_eq!(transmitted(&mut machine), [0u8; 0]);
    machine.handle(&Input::TimeSkipped(2 * SECOND)).expect("accepted");
    assert!(!transmitted(&mut machine).is_empty(), "PING, as the cloud must hear of the device");
    assert_eq!(machine.run(SECOND), RunResult::Idle);
    machine.pass_time(now + SECOND);
    assert_eq!(machine.now(), now, "the application's time stands");
}

/// Shows D133.
#[test]
fn the_kernels_clock_continues_while_the_application_is_halted() {
    let mut program = Program::new();
    program.add(mov32(0, RESULT + 8)).call(GET_MICROSECONDS).add(b_self());
    let mut machine = machine(&program);
    machine.attach_debugger();
    machine.handle(&Input::TimeSkipped(3 * SECOND)).expect("accepted");
    machine.resume();
    machine.run(1000);
    assert_eq!(ram(&machine, RESULT + 8), 3_000_002, "and 2.5 µs for the call");
}

/// Shows D134.
#[test]
fn a_fault_waits_for_the_debugger_and_restarts_without_it() {
    let mut program = Program::new();
    program.add([0xDE00]);
    let mut machine = machine(&program);
    machine.attach_debugger();
    machine.resume();
    machine.run(1000);
    assert!(matches!(machine.take_stop(), Some(StopReason::Fault(_))));
    machine.run(SECOND);
    machine.pass_time(SECOND);
    assert!(machine.is_halted());
    machine.detach_debugger();
    assert!(!machine.is_halted());
    machine.run(1000);
    let starts =
        machine.take_events().into_iter().filter(|event| matches!(event, DeviceEvent::Started { .. }));
    assert_eq!(starts.count(), 2);
}

/// Shows D134.
#[test]
fn a_reset_by_the_debugger_is_the_wake_reason() {
    let mut machine = machine(&calling(GET_WAKE_REASON, [RESULT + 8, 0, 0]));
    machine.attach_debugger();
    machine.reset_and_halt();
    machine.resume();
    machine.run(1000);
    assert_eq!(ram(&machine, RESULT + 8) & 0xFF, 3, "MV_WAKEREASON_DEBUGGERRESTART");
}
