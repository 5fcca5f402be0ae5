//! What a bundle says, seen in what the device does.

use bundle::{Bundle, ConnectivityPolicy, CrashPolicy, FlashMemory, Layer, Policies, Region};

use super::provisioning::{
    CENTRE_SETUP, NETWORK, NETWORK_PARAMS, WELCOME, add_call, add_words, connect_and_part, going_offline,
};
use super::*;
use crate::application::{Application, CAPACITY};

const SECOND: u64 = 1000 * MILLISECOND;

/// A machine whose application is from a bundle with these policies.
fn bundled(program: &Program, policies: &Policies) -> Machine {
    let file = Bundle::write(program.image().bytes(), policies, CAPACITY, None).expect("a bundle");
    let application = Application::parse(&file, None).expect("an application");
    let settings = Settings { image: application.image, restart: application.restart, ..settings(program) };
    Machine::with_provisioning(
        settings,
        Provisioning { policy: application.policy, ..Provisioning::default() },
    )
}

/// An application that has requested the network and released it, and waits.
fn offline() -> Program {
    let mut program = going_offline();
    program.add(wfi()).add([0xE7FD]);
    program
}

fn connectivity(connection_grace_time_sec: u32, minimum_check_in_time_sec: u32) -> Policies {
    let connectivity = ConnectivityPolicy { connection_grace_time_sec, minimum_check_in_time_sec };
    Policies { connectivity, ..Policies::default() }
}

/// Shows N16, N17, D104, D151.
#[test]
fn an_application_that_is_offline_on_purpose_checks_in_as_often_as_its_bundle_says() {
    let mut machine = bundled(&offline(), &connectivity(0, 30));
    connect_and_part(&mut machine);
    for _ in 0..3 {
        let parted = machine.now();
        run_until(&mut machine, parted + 29 * SECOND);
        assert!(!machine.wants_link(), "too early");
        run_until(&mut machine, parted + 31 * SECOND);
        assert!(machine.wants_link(), "it is time");
        check_in(&mut machine);
    }
}

/// Gives the kernel its connection for as long as it needs it.
fn check_in(machine: &mut Machine) {
    let mut out = [0; 4096];
    machine.handle(&Input::LinkConnecting).expect("accepted");
    machine.handle(&Input::LinkConnected).expect("accepted");
    machine.transmit(&mut out);
    machine.handle(&Input::Received((&WELCOME).into())).expect("welcome");
    run_until(machine, machine.now() + 5 * SECOND + MILLISECOND);
    assert!(!machine.wants_link(), "it has checked in");
    machine.transmit(&mut out);
    machine
        .handle(&Input::LinkLost { kind: LinkLoss::Requested, cause: "no longer needed".into() })
        .expect("accepted");
}

/// Shows N16, D104.
#[test]
fn the_same_application_without_a_bundle_does_not_check_in_that_soon() {
    let mut machine = machine(&offline());
    connect_and_part(&mut machine);
    run_until(&mut machine, 100 * SECOND);
    assert!(!machine.wants_link());
}

/// A word by which a test makes [`releasing_on_request`] continue.
const REQUEST: u32 = RESULT + 0x80;

/// Requests the network, waits for a word at [`REQUEST`], releases it, and waits.
fn releasing_on_request() -> Program {
    let mut program = Program::new();
    add_words(&mut program, CENTRE_SETUP, &[41, RESULT + 0x300, 64]);
    add_call(&mut program, Call::SetupNotifications, &[CENTRE_SETUP, NETWORK_PARAMS + 4], 0x54);
    add_words(&mut program, NETWORK_PARAMS, &[1]);
    add_call(&mut program, Call::RequestNetwork, &[NETWORK_PARAMS, NETWORK], 0x58);
    let again = program.here();
    program.add(mov32(6, REQUEST)).add(ldr(7, 6, 0)).add([0x2F00]); // cmp r7, #0
    let back = program.here() + 2 - again;
    program.add([0xD000 | (0x100 - back as u16)]); // beq
    add_call(&mut program, Call::ReleaseNetwork, &[NETWORK], 0x5C);
    program.add(wfi()).add([0xE7FD]);
    program
}

/// How long the link stays after its release, in whole seconds.
fn stays(grace: u32) -> u64 {
    let mut machine = bundled(&releasing_on_request(), &connectivity(grace, 0));
    machine.run(20_000);
    machine.handle(&Input::LinkConnecting).expect("accepted");
    machine.handle(&Input::LinkConnected).expect("accepted");
    machine.transmit(&mut [0; 4096]);
    machine.handle(&Input::Received((&WELCOME).into())).expect("welcome");
    run_until(&mut machine, SECOND);
    assert!(machine.wants_link(), "held by the application");
    machine.cpu.write_memory(REQUEST, &[1; 4]);
    machine.cpu.input_changed();
    machine.run(20_000);
    assert_eq!(ram(&machine, NETWORK), 0, "released");
    let released = machine.now();
    let mut seconds = 0;
    while machine.wants_link() {
        seconds += 1;
        run_until(&mut machine, released + seconds * SECOND + MILLISECOND);
    }
    seconds
}

/// Shows D24, D151.
#[test]
fn the_link_outlives_its_release_by_the_grace_of_the_bundle() {
    assert_eq!([0, 1, 30].map(stays), [0, 1, 30]);
}

/// Shows D73, D151.
#[test]
fn an_application_that_faults_starts_again_after_the_pauses_of_its_bundle() {
    let crash = CrashPolicy { minimum_restart_ms: 30, maximum_restart_ms: 100, ..CrashPolicy::default() };
    let mut machine = bundled(&reading(0), &Policies { crash, ..Policies::default() });
    run_until(&mut machine, 280 * MILLISECOND);
    let pauses: Vec<u64> = faults(&mut machine).into_iter().map(|(_, pause)| pause).collect();
    assert_eq!(pauses, [30, 60, 100, 100]);
}

/// Shows D152.
#[test]
fn layers_for_the_external_flash_are_there_when_the_application_starts() {
    let region = Region { memory: FlashMemory::External, start: 0x1000, size: 0x800 };
    let mut provisioning = Provisioning::default();
    for (address, old) in [(0xFFF, 1), (0x1003, 2), (0x17FF, 3), (0x1800, 4)] {
        kernel::ExternalFlash::program(&mut provisioning.storage.flash, address, &[old]).expect("programmed");
    }
    provisioning.layers = vec![Layer { region, bytes: b"font".to_vec() }];
    provisioning.install().expect("installed");
    let mut read = |address, length| {
        let mut bytes = vec![0; length];
        kernel::ExternalFlash::read(&mut provisioning.storage.flash, address, &mut bytes).expect("read");
        bytes
    };
    assert_eq!(read(0xFFE, 8), b"\xFF\x01font\xFF\xFF", "the rest of the region is erased");
    assert_eq!(read(0x17FF, 2), [0xFF, 4], "what lies around it stays");
}
