//! Events of the system itself.

mod common;

use abi::network::NetworkStatus;
use abi::notifications::{EventType, OpenSystemNotificationParams, SystemNotificationSource};
use abi::power::WakeReason;
use abi::{Call, Status};
use common::{Centre, LINE, Machine};
use kernel::Kernel;
use kernel::limits::SYSTEM_NOTIFICATIONS;

const NETWORK: u32 = SystemNotificationSource::Network.raw();
const UPDATE: u32 = SystemNotificationSource::Update.raw();
const CHANGED: (u32, u32) = (EventType::NetworkStatusChanged.raw(), 5);
const DOWNLOADED: (u32, u32) = (EventType::UpdateDownloaded.raw(), 5);

fn params(machine: &mut Machine, centre: u32, source: u32) -> u32 {
    let params = OpenSystemNotificationParams {
        notification_handle: centre,
        notification_tag: 5,
        notification_source: source,
    };
    machine.put(&params.to_bytes())
}

fn open(machine: &mut Machine, centre: &Centre, source: u32) -> (Status, u32) {
    let (params, handle) = (params(machine, centre.handle, source), machine.variable(0));
    let status = machine.call(Call::OpenSystemNotification, &[params, handle]);
    (status, machine.u32(handle))
}

fn close(machine: &mut Machine, handle: u32) -> (Status, u32) {
    let handle = machine.variable(handle);
    let status = machine.call(Call::CloseSystemNotification, &[handle]);
    (status, machine.u32(handle))
}

/// Shows D103.
#[test]
fn an_application_that_asked_for_no_network_is_told_of_its_changes() {
    let mut machine = Machine::new();
    let mut centre = machine.centre(LINE, 8);
    assert_eq!(open(&mut machine, &centre, NETWORK).0, Status::Okay);
    assert_eq!(machine.events(&mut centre), [], "only changes");
    machine.connect();
    assert_eq!(machine.events(&mut centre), [CHANGED]);
    machine.cut();
    assert_eq!(machine.events(&mut centre), [CHANGED]);
    machine.enter(Kernel::update_downloaded);
    assert_eq!(machine.events(&mut centre), [], "another source");
}

/// Shows D103.
#[test]
fn whoever_watches_the_network_sees_it_requested_and_released() {
    let (mut machine, setup) = Machine::ready();
    let mut watcher = machine.centre(50, 8);
    assert_eq!(open(&mut machine, &watcher, NETWORK).0, Status::Okay);
    let network = machine.variable(setup.network);
    machine.ok(Call::ReleaseNetwork, &[network]);
    machine.pump();
    assert_eq!(machine.events(&mut watcher), [CHANGED], "deliberately offline");
    let network = machine.network(&setup.centre, 1);
    assert_eq!(machine.network_status(network), Some(NetworkStatus::Connecting));
    assert_eq!(machine.events(&mut watcher), [CHANGED], "connecting");
    machine.connect();
    assert_eq!(machine.events(&mut watcher), [CHANGED], "connected");
}

/// Shows D103.
#[test]
fn an_update_is_announced_to_those_who_asked_then_and_later() {
    let mut machine = Machine::new();
    let (mut first, mut second) = (machine.centre(LINE, 8), machine.centre(50, 8));
    assert_eq!(open(&mut machine, &first, UPDATE).0, Status::Okay);
    assert_eq!(machine.events(&mut first), []);
    machine.enter(Kernel::update_downloaded);
    assert_eq!(machine.events(&mut first), [DOWNLOADED]);
    assert_eq!(open(&mut machine, &second, UPDATE).0, Status::Okay);
    assert_eq!(machine.events(&mut second), [DOWNLOADED], "it still waits");
    assert_eq!(machine.events(&mut first), []);
}

/// Shows N10, N11.
#[test]
fn closing_zeroes_the_handle_and_ends_the_events() {
    let mut machine = Machine::new();
    let mut centre = machine.centre(LINE, 8);
    let (_, handle) = open(&mut machine, &centre, NETWORK);
    assert_eq!(close(&mut machine, handle), (Status::Okay, 0));
    machine.connect();
    assert_eq!(machine.events(&mut centre), []);
    assert_eq!(close(&mut machine, handle), (Status::InvalidHandle, handle));
    assert_eq!(close(&mut machine, centre.handle), (Status::InvalidHandle, centre.handle), "another kind");
    assert_eq!(close(&mut machine, 0), (Status::InvalidHandle, 0));
}

/// Shows D05, D02.
#[test]
fn faults_are_told_in_their_order() {
    let mut machine = Machine::new();
    let centre = machine.centre(LINE, 8);
    let handle = machine.variable(0);
    let good = params(&mut machine, centre.handle, UPDATE);
    let (unknown, no_centre) = (params(&mut machine, centre.handle, 2), params(&mut machine, 0, UPDATE));
    for (args, status) in [
        ([0x4000_0000, handle], Status::ParameterFault),
        ([good, 0x0800_0000], Status::ParameterFault),
        ([unknown, handle], Status::InvalidHandle),
        ([no_centre, handle], Status::InvalidHandle),
    ] {
        assert_eq!(machine.call(Call::OpenSystemNotification, &args), status);
    }
    machine.nvic.in_handler = true;
    assert_eq!(machine.call(Call::OpenSystemNotification, &[0, 0]), Status::Unavailable);
    assert_eq!(machine.call(Call::CloseSystemNotification, &[0]), Status::Unavailable);
    machine.nvic.in_handler = false;
    assert_eq!(machine.call(Call::CloseSystemNotification, &[0]), Status::ParameterFault);
}

/// Shows D103.
#[test]
fn there_are_sixteen_registrations_and_closing_one_makes_room() {
    let mut machine = Machine::new();
    let centre = machine.centre(LINE, 8);
    let mut last = 0;
    for _ in 0..SYSTEM_NOTIFICATIONS {
        let (status, handle) = open(&mut machine, &centre, NETWORK);
        assert_eq!(status, Status::Okay);
        last = handle;
    }
    assert_eq!(open(&mut machine, &centre, NETWORK), (Status::Unavailable, 0));
    close(&mut machine, last);
    assert_eq!(open(&mut machine, &centre, NETWORK).0, Status::Okay);
}

/// Shows D73, N09.
#[test]
fn an_application_that_starts_anew_has_registered_for_nothing_while_the_update_waits_on() {
    let mut machine = Machine::new();
    let centre = machine.centre(LINE, 8);
    let (_, handle) = open(&mut machine, &centre, UPDATE);
    machine.enter(Kernel::update_downloaded);
    machine.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_eq!(close(&mut machine, handle).0, Status::InvalidHandle);
    let mut centre = machine.centre(50, 8);
    assert_eq!(open(&mut machine, &centre, UPDATE).0, Status::Okay);
    assert_eq!(machine.events(&mut centre), [DOWNLOADED]);
}
