//! Events of the system itself.

use abi::network::NetworkStatus;
use abi::notifications::{EventType, OpenSystemNotificationParams, SystemNotificationSource};
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::Kernel;
use kernel::limits::SYSTEM_NOTIFICATIONS;
use kernel_testport::{LINE, TestCentre, TestDevice};

const NETWORK: u32 = SystemNotificationSource::Network.raw();
const UPDATE: u32 = SystemNotificationSource::Update.raw();
const CHANGED: (u32, u32) = (EventType::NetworkStatusChanged.raw(), 5);
const DOWNLOADED: (u32, u32) = (EventType::UpdateDownloaded.raw(), 5);

fn params(device: &mut TestDevice, centre: u32, source: u32) -> u32 {
    let params = OpenSystemNotificationParams {
        notification_handle: centre,
        notification_tag: 5,
        notification_source: source,
    };
    device.alloc_bytes(&params.to_bytes())
}

fn open(device: &mut TestDevice, centre: &TestCentre, source: u32) -> (Status, u32) {
    let (params, handle) = (params(device, centre.handle, source), device.alloc_u32(0));
    let status = device.call(Call::OpenSystemNotification, &[params, handle]);
    (status, device.u32(handle))
}

fn close(device: &mut TestDevice, handle: u32) -> (Status, u32) {
    let handle = device.alloc_u32(handle);
    let status = device.call(Call::CloseSystemNotification, &[handle]);
    (status, device.u32(handle))
}

/// Shows D103.
#[test]
fn an_application_without_a_network_handle_can_register_for_its_changes() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 8);
    assert_eq!(open(&mut device, &centre, NETWORK).0, Status::Okay);
    assert_eq!(device.events(&mut centre), [], "only changes");
    device.connect();
    assert_eq!(device.events(&mut centre), [CHANGED]);
    device.lose_link();
    assert_eq!(device.events(&mut centre), [CHANGED]);
    device.enter(Kernel::update_downloaded);
    assert_eq!(device.events(&mut centre), [], "another source");
}

/// Shows D103.
#[test]
fn whoever_watches_the_network_sees_it_requested_and_released() {
    let (mut device, setup) = TestDevice::with_network();
    let mut watcher = device.open_centre(50, 8);
    assert_eq!(open(&mut device, &watcher, NETWORK).0, Status::Okay);
    let network = device.alloc_u32(setup.network);
    device.call_ok(Call::ReleaseNetwork, &[network]);
    device.pump();
    assert_eq!(device.events(&mut watcher), [CHANGED], "deliberately offline");
    let network = device.request_network(&setup.centre, 1);
    assert_eq!(device.network_status(network), Some(NetworkStatus::Connecting));
    assert_eq!(device.events(&mut watcher), [CHANGED], "connecting");
    device.connect();
    assert_eq!(device.events(&mut watcher), [CHANGED], "connected");
}

/// Shows D103.
#[test]
fn an_update_is_announced_to_earlier_and_later_registrations() {
    let mut device = TestDevice::new();
    let (mut first, mut second) = (device.open_centre(LINE, 8), device.open_centre(50, 8));
    assert_eq!(open(&mut device, &first, UPDATE).0, Status::Okay);
    assert_eq!(device.events(&mut first), []);
    device.enter(Kernel::update_downloaded);
    assert_eq!(device.events(&mut first), [DOWNLOADED]);
    assert_eq!(open(&mut device, &second, UPDATE).0, Status::Okay);
    assert_eq!(device.events(&mut second), [DOWNLOADED], "it still waits");
    assert_eq!(device.events(&mut first), []);
}

/// Shows N10, N11.
#[test]
fn closing_zeroes_the_handle_and_ends_the_events() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 8);
    let (_, handle) = open(&mut device, &centre, NETWORK);
    assert_eq!(close(&mut device, handle), (Status::Okay, 0));
    device.connect();
    assert_eq!(device.events(&mut centre), []);
    assert_eq!(close(&mut device, handle), (Status::InvalidHandle, handle));
    assert_eq!(close(&mut device, centre.handle), (Status::InvalidHandle, centre.handle), "another kind");
    assert_eq!(close(&mut device, 0), (Status::InvalidHandle, 0));
}

/// Shows D05, D02.
#[test]
fn faults_are_reported_in_the_documented_order() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    let handle = device.alloc_u32(0);
    let good = params(&mut device, centre.handle, UPDATE);
    let (unknown, no_centre) = (params(&mut device, centre.handle, 2), params(&mut device, 0, UPDATE));
    for (args, status) in [
        ([0x4000_0000, handle], Status::ParameterFault),
        ([good, 0x0800_0000], Status::ParameterFault),
        ([unknown, handle], Status::InvalidHandle),
        ([no_centre, handle], Status::InvalidHandle),
    ] {
        assert_eq!(device.call(Call::OpenSystemNotification, &args), status);
    }
    device.nvic.in_handler = true;
    assert_eq!(device.call(Call::OpenSystemNotification, &[0, 0]), Status::Unavailable);
    assert_eq!(device.call(Call::CloseSystemNotification, &[0]), Status::Unavailable);
    device.nvic.in_handler = false;
    assert_eq!(device.call(Call::CloseSystemNotification, &[0]), Status::ParameterFault);
}

/// Shows D103.
#[test]
fn there_are_sixteen_registrations_and_closing_one_frees_its_slot() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    let mut last = 0;
    for _ in 0..SYSTEM_NOTIFICATIONS {
        let (status, handle) = open(&mut device, &centre, NETWORK);
        assert_eq!(status, Status::Okay);
        last = handle;
    }
    assert_eq!(open(&mut device, &centre, NETWORK), (Status::Unavailable, 0));
    close(&mut device, last);
    assert_eq!(open(&mut device, &centre, NETWORK).0, Status::Okay);
}

/// Shows D73, N09.
#[test]
fn after_a_restart_there_are_no_registrations_and_the_update_still_waits() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    let (_, handle) = open(&mut device, &centre, UPDATE);
    device.enter(Kernel::update_downloaded);
    device.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_eq!(close(&mut device, handle).0, Status::InvalidHandle);
    let mut centre = device.open_centre(50, 8);
    assert_eq!(open(&mut device, &centre, UPDATE).0, Status::Okay);
    assert_eq!(device.events(&mut centre), [DOWNLOADED]);
}
