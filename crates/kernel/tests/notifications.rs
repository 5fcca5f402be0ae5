//! Notification centres.

use abi::notifications::{EventType, NotificationSetup};
use abi::{Call, Status};
use kernel::LinkInput;
use kernel::limits::PENDING_RECORDS;
use kernel_testport::{LINE, TestDevice};
use sansio::Duration;

fn trigger(device: &mut TestDevice, centre: u32, tag: u32) -> Status {
    device.call(Call::TempTriggerNotification, &[centre, EventType::UpdateDownloaded.raw(), tag])
}

fn set_up(device: &mut TestDevice, irq: u32, buffer: u32, buffer_size: u32) -> Status {
    let setup = device.alloc_bytes(&NotificationSetup { irq, buffer, buffer_size }.to_bytes());
    let handle = device.alloc_u32(0);
    device.call(Call::SetupNotifications, &[setup, handle])
}

/// Shows N37, N40, D10, N38, N39.
#[test]
fn records_are_written_in_a_circle_whatever_the_slot_contains() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 2);
    for tag in 0..5 {
        device.now += Duration::from_micros(10);
        assert_eq!(trigger(&mut device, centre.handle, tag), Status::Okay);
        assert_eq!(device.events(&mut centre), [(EventType::UpdateDownloaded.raw(), tag)]);
        assert_eq!(device.record(&centre, tag % 2).microseconds, device.now.as_micros());
    }
    assert_eq!(device.nvic.pends[usize::from(LINE)], 5);
}

/// Shows D11.
#[test]
fn an_enabled_line_gets_one_record_an_interrupt() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 8);
    for tag in 0..5 {
        trigger(&mut device, centre.handle, tag);
    }
    assert_eq!(device.nvic.pends[usize::from(LINE)], 1, "the others wait");
    assert!(device.kernel.has_waiting_records());
    assert_eq!(device.record(&centre, 1).event_type, 0xeeee_eeee, "the second slot is untouched");
    let seen: Vec<u32> = device.events(&mut centre).iter().map(|event| event.1).collect();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert!(!device.kernel.has_waiting_records());
}

/// Shows D11.
#[test]
fn a_timeout_after_a_slice_delivers_the_same_as_interrupt_taken() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    trigger(&mut device, centre.handle, 1);
    trigger(&mut device, centre.handle, 2);
    device.input(LinkInput::Timeout);
    assert_eq!(device.nvic.pends[usize::from(LINE)], 1, "still pending");
    device.nvic.pending[usize::from(LINE)] = false;
    device.input(LinkInput::Timeout);
    assert_eq!((device.nvic.pends[usize::from(LINE)], device.record(&centre, 1).tag), (2, 2));
}

/// Shows D11, N41.
#[test]
fn a_disabled_line_gets_its_records_at_once() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    device.nvic.enabled[usize::from(LINE)] = false;
    for tag in 0..3 {
        trigger(&mut device, centre.handle, tag);
        assert_eq!(device.record(&centre, tag).tag, tag);
    }
    assert!(!device.kernel.has_waiting_records());
}

/// Shows D11.
#[test]
fn disabling_a_line_does_not_reorder_what_waits() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    trigger(&mut device, centre.handle, 0);
    trigger(&mut device, centre.handle, 1);
    device.nvic.enabled[usize::from(LINE)] = false;
    trigger(&mut device, centre.handle, 2);
    let tags: Vec<u32> = (0..3).map(|index| device.record(&centre, index).tag).collect();
    assert_eq!(tags, [0, 1, 2]);
}

/// Shows D11.
#[test]
fn a_full_pool_writes_the_oldest_at_once() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 1024);
    let records = PENDING_RECORDS as u32;
    for tag in 0..=records {
        trigger(&mut device, centre.handle, tag);
    }
    assert_eq!(device.record(&centre, 1).event_type, 0xeeee_eeee, "128 wait");
    trigger(&mut device, centre.handle, records + 1);
    assert_eq!(device.record(&centre, 1).tag, 1, "the oldest that waited is written");
    assert_eq!(device.nvic.pends[usize::from(LINE)], 2);
}

/// Shows D11.
#[test]
fn a_centre_whose_records_wait_does_not_delay_another() {
    let mut device = TestDevice::new();
    let (slow, mut quick) = (device.open_centre(LINE, 8), device.open_centre(50, 8));
    trigger(&mut device, slow.handle, 1);
    trigger(&mut device, slow.handle, 2);
    for tag in 3..6 {
        trigger(&mut device, quick.handle, tag);
        assert_eq!(device.events(&mut quick), [(EventType::UpdateDownloaded.raw(), tag)]);
    }
    assert!(device.kernel.has_waiting_records());
}

/// Shows D11.
#[test]
fn a_line_taken_while_its_handler_runs_gets_its_next_record() {
    let mut device = TestDevice::new();
    let centre = device.open_centre(LINE, 8);
    trigger(&mut device, centre.handle, 1);
    // The handler is entered: no longer pending, but active. What is posted now pends it again.
    device.nvic.pending[usize::from(LINE)] = false;
    device.nvic.in_handler = true;
    trigger(&mut device, centre.handle, 2);
    assert_eq!(device.record(&centre, 1).tag, 2);
    assert!(device.nvic.pending[usize::from(LINE)]);
}

/// Shows N79.
#[test]
fn what_still_refers_to_a_closed_centre_goes_on_without_events() {
    let (mut device, setup) = TestDevice::with_network();
    let pends = device.nvic.pends[usize::from(LINE)];
    let centre = device.alloc_u32(setup.centre.handle);
    device.call_ok(Call::CloseNotifications, &[centre]);
    device.lose_link();
    assert_eq!(device.nvic.pends[usize::from(LINE)], pends);
    assert!(device.network_status(setup.network).is_some(), "the network handle is still valid");
}

/// Shows N79, N10.
#[test]
fn closing_zeroes_the_handle_and_silences_the_centre() {
    let mut device = TestDevice::new();
    let mut centre = device.open_centre(LINE, 8);
    trigger(&mut device, centre.handle, 1);
    trigger(&mut device, centre.handle, 2);
    let handle = device.alloc_u32(centre.handle);
    device.call_ok(Call::CloseNotifications, &[handle]);
    assert_eq!(device.u32(handle), 0);
    assert!(!device.kernel.has_waiting_records(), "what waited is gone");
    assert_eq!(device.events(&mut centre).len(), 1, "the pend that was there is the application's");
    assert_eq!(trigger(&mut device, centre.handle, 3), Status::InvalidHandle);
    assert_eq!(device.call(Call::CloseNotifications, &[handle]), Status::InvalidHandle, "0 is no handle");
}

/// Shows N11, D06.
#[test]
fn a_handle_of_another_kind_is_no_centre() {
    let (mut device, setup) = TestDevice::with_network();
    assert_eq!(trigger(&mut device, setup.network, 1), Status::InvalidHandle);
}

/// Shows D15.
#[test]
fn lines_of_the_secure_world_and_beyond_the_last_cannot_be_used() {
    let mut device = TestDevice::new();
    for irq in [3, 7, 8, 10, 27, 126, 240, u32::MAX, 0x1_0000 + 41] {
        let buffer = device.alloc(32);
        assert_eq!(set_up(&mut device, irq, buffer, 32), Status::InvalidInterrupt, "{irq}");
    }
    for irq in [0, 125] {
        let buffer = device.alloc(32);
        assert_eq!(set_up(&mut device, irq, buffer, 32), Status::Okay, "{irq}");
    }
    let buffer = device.alloc(32);
    assert_eq!(set_up(&mut device, 0, buffer, 32), Status::InvalidInterrupt, "another centre has it");
}

/// Shows D01.
#[test]
fn a_buffer_must_be_unused_ram_of_at_least_two_records() {
    let mut device = TestDevice::new();
    let buffer = device.alloc(64);
    let flash = device.flash_string(&[0; 64]).data;
    assert_eq!(set_up(&mut device, 41, flash, 32), Status::ParameterFault);
    assert_eq!(set_up(&mut device, 41, 0x2008_0000 - 16, 32), Status::ParameterFault);
    assert_eq!(set_up(&mut device, 41, 0xffff_fff0, 32), Status::ParameterFault);
    assert_eq!(set_up(&mut device, 41, buffer, 16), Status::InvalidBufferSize);
    assert_eq!(set_up(&mut device, 41, buffer, 40), Status::InvalidBufferSize);
    assert_eq!(set_up(&mut device, 41, 0, 0), Status::InvalidBufferSize);
    assert_eq!(set_up(&mut device, 41, buffer, 32), Status::Okay);
    assert_eq!(set_up(&mut device, 42, buffer + 16, 32), Status::BufferAlreadyInUse);
    assert_eq!(set_up(&mut device, 42, buffer + 32, 32), Status::Okay);
}

/// Shows N40.
#[test]
fn there_are_thirty_two_centres_and_closing_one_frees_its_slot() {
    let mut device = TestDevice::new();
    let mut last = None;
    for line in 30..62 {
        last = Some(device.open_centre(line, 2));
    }
    let buffer = device.alloc(32);
    assert_eq!(set_up(&mut device, 62, buffer, 32), Status::TooManyNotificationBuffers);
    let handle = device.alloc_u32(last.expect("thirty-two centres").handle);
    device.call_ok(Call::CloseNotifications, &[handle]);
    assert_eq!(set_up(&mut device, 62, buffer, 32), Status::Okay);
}
