//! The external flash.

use abi::flash::ExternalFlashInfo;
use abi::power::WakeReason;
use abi::{Call, Status};
use kernel::limits::{FLASH_HANDLES, FLASH_SECTOR};
use kernel_testport::TestDevice;
use kernel_testport::board::{SECTORS, TestBoard};

const SIZE: u32 = SECTORS * FLASH_SECTOR;
const FLASH: u32 = 0x0800_0000;

fn opened() -> (TestDevice, u32) {
    let mut device = TestDevice::new();
    let handle = open(&mut device).expect("the first of many");
    (device, handle)
}

fn open(device: &mut TestDevice) -> Result<u32, Status> {
    let handle = device.alloc_u32(0);
    match device.call(Call::ExternalFlashOpen, &[handle]) {
        Status::Okay => Ok(device.u32(handle)),
        status => Err(status),
    }
}

fn close(device: &mut TestDevice, handle: u32) -> (Status, u32) {
    let handle = device.alloc_u32(handle);
    let status = device.call(Call::ExternalFlashClose, &[handle]);
    (status, device.u32(handle))
}

fn read(device: &mut TestDevice, handle: u32, address: u32, length: u32) -> Result<Vec<u8>, Status> {
    let to = device.alloc(length as usize + 1);
    match device.call(Call::ExternalFlashReadBlocking, &[handle, address, length, to]) {
        Status::Okay => {
            let bytes = device.memory.bytes(to, length as usize + 1);
            assert_eq!(bytes.last(), Some(&0xee), "not a byte more");
            Ok(bytes[..length as usize].to_vec())
        }
        status => Err(status),
    }
}

fn write(device: &mut TestDevice, handle: u32, address: u32, bytes: &[u8]) -> Status {
    let from = device.alloc_bytes(bytes);
    device.call(Call::ExternalFlashWriteBlocking, &[handle, address, bytes.len() as u32, from])
}

fn erase(device: &mut TestDevice, handle: u32, address: u32, length: u32) -> Status {
    device.call(Call::ExternalFlashEraseBlocking, &[handle, address, length])
}

/// What was written is there, across pages, sectors and chunks.
#[test]
fn what_was_written_is_read_again_at_any_alignment() {
    let (mut device, handle) = opened();
    let text: Vec<u8> = (0..5000_u32).map(|n| (n * 7) as u8).collect();
    assert_eq!(write(&mut device, handle, 4001, &text), Status::Okay);
    assert_eq!(read(&mut device, handle, 4001, 5000), Ok(text.clone()));
    assert_eq!(read(&mut device, handle, 4100, 77), Ok(text[99..176].to_vec()));
    assert_eq!(read(&mut device, handle, 0, 4001), Ok(vec![0xff; 4001]), "nothing else was touched");
    let programmed = &device.board.nor().programmed;
    assert_eq!(programmed.first(), Some(&(4001, 95)), "up to the page's end");
    assert_eq!(programmed.iter().map(|(_, length)| length).sum::<usize>(), 5000);
}

/// Writing turns ones to zeros; only erasing turns them back, and nothing erases unasked.
#[test]
fn writing_without_erasing_only_clears_bits() {
    let (mut device, handle) = opened();
    assert_eq!(write(&mut device, handle, 10, &[0xf0, 0x0f, 0xff]), Status::Okay);
    assert_eq!(write(&mut device, handle, 10, &[0x3c, 0x3c, 0x00]), Status::Okay);
    assert_eq!(read(&mut device, handle, 10, 3), Ok(vec![0x30, 0x0c, 0x00]));
    assert_eq!(device.board.nor().erased, []);
    assert_eq!(erase(&mut device, handle, 0, FLASH_SECTOR), Status::Okay);
    assert_eq!(read(&mut device, handle, 10, 3), Ok(vec![0xff; 3]));
}

/// Sectors of 4096 bytes, and no others.
#[test]
fn erasing_is_by_whole_sectors() {
    let (mut device, handle) = opened();
    for sector in 0..SECTORS {
        assert_eq!(write(&mut device, handle, sector * FLASH_SECTOR, &[0]), Status::Okay);
    }
    assert_eq!(erase(&mut device, handle, FLASH_SECTOR, 2 * FLASH_SECTOR), Status::Okay);
    assert_eq!(device.board.nor().erased, [FLASH_SECTOR, 2 * FLASH_SECTOR]);
    for (sector, byte) in [(0, 0), (1, 0xff), (2, 0xff), (3, 0)] {
        assert_eq!(read(&mut device, handle, sector * FLASH_SECTOR, 1), Ok(vec![byte]));
    }
    for (address, length) in [(1, FLASH_SECTOR), (0, FLASH_SECTOR - 1), (0, 1), (2048, 2048)] {
        assert_eq!(erase(&mut device, handle, address, length), Status::InvalidBufferAlignment);
    }
    assert_eq!(erase(&mut device, handle, FLASH_SECTOR, 0), Status::Okay);
    assert_eq!(device.board.nor().erased.len(), 2);
}

/// Shows D106.
#[test]
fn every_access_lies_wholly_in_the_applications_part() {
    let (mut device, handle) = opened();
    for (address, length) in [(SIZE, 1), (SIZE - 1, 2), (u32::MAX, 1), (u32::MAX, 2), (SIZE + 1, 0)] {
        assert_eq!(read(&mut device, handle, address, length), Err(Status::AddressOutOfRange));
        let bytes = vec![0; length as usize];
        assert_eq!(write(&mut device, handle, address, &bytes), Status::AddressOutOfRange);
        assert_eq!(erase(&mut device, handle, address, length), Status::AddressOutOfRange);
    }
    assert_eq!(erase(&mut device, handle, FLASH_SECTOR, u32::MAX), Status::AddressOutOfRange);
    assert_eq!(erase(&mut device, handle, SIZE - FLASH_SECTOR, 2 * FLASH_SECTOR), Status::AddressOutOfRange);
    assert_eq!(device.board.nor().erased, []);
    assert_eq!(device.board.nor().programmed, []);
    assert_eq!(read(&mut device, handle, SIZE - 1, 1), Ok(vec![0xff]));
    assert_eq!(write(&mut device, handle, SIZE - 1, &[1]), Status::Okay);
    assert_eq!(write(&mut device, handle, SIZE, &[]), Status::Okay);
}

/// Shows D01.
#[test]
fn buffers_are_the_applications_own_memory() {
    let (mut device, handle) = opened();
    assert_eq!(device.call(Call::ExternalFlashReadBlocking, &[handle, 0, 4, FLASH]), Status::ParameterFault);
    assert_eq!(
        device.call(Call::ExternalFlashReadBlocking, &[handle, 0, 8, 0x2008_0000 - 4]),
        Status::ParameterFault
    );
    assert_eq!(
        device.call(Call::ExternalFlashWriteBlocking, &[handle, 0, 8, 0x2008_0000 - 4]),
        Status::ParameterFault
    );
    let text = device.flash_string(b"from the application's flash");
    device.call_ok(Call::ExternalFlashWriteBlocking, &[handle, 0, text.length, text.data]);
    assert_eq!(read(&mut device, handle, 0, 4), Ok(b"from".to_vec()));
}

/// Shows N08, N10, N11, D106.
#[test]
fn there_are_thirty_two_handles_and_closing_one_frees_its_slot() {
    let (mut device, first) = opened();
    let mut last = first;
    for _ in 1..FLASH_HANDLES {
        last = open(&mut device).expect("one of thirty-two");
    }
    assert_eq!(open(&mut device), Err(Status::TooManyChannels));
    assert_eq!(close(&mut device, last), (Status::Okay, 0));
    assert_eq!(close(&mut device, last), (Status::InvalidHandle, last));
    assert_eq!(close(&mut device, 0), (Status::InvalidHandle, 0));
    assert_eq!(read(&mut device, last, 0, 1), Err(Status::InvalidHandle));
    assert_eq!(write(&mut device, 0, 0, &[1]), Status::InvalidHandle);
    assert_eq!(erase(&mut device, 0, 0, 0), Status::InvalidHandle);
    assert_eq!(read(&mut device, first, 0, 1), Ok(vec![0xff]));
    open(&mut device).expect("there is room again");
}

/// Shows D106.
#[test]
fn the_chip_reports_its_id_and_size() {
    let (mut device, handle) = opened();
    open(&mut device).expect("a second");
    let info = ExternalFlashInfo { version: 1, ..ExternalFlashInfo::default() };
    let at = device.alloc_bytes(&info.to_bytes());
    device.call_ok(Call::ExternalFlashGetInfo, &[handle, at]);
    let expected = ExternalFlashInfo { version: 1, chip_id: 0x00c2_2539, size: SIZE, num_handles: 2 };
    assert_eq!(device.memory.bytes(at, 16), expected.to_bytes());
    for version in [0, 2] {
        let at = device.alloc_bytes(&ExternalFlashInfo { version, ..info }.to_bytes());
        let status = device.call(Call::ExternalFlashGetInfo, &[handle, at]);
        assert_eq!(status, Status::UnsupportedStructureVersion);
    }
    assert_eq!(device.call(Call::ExternalFlashGetInfo, &[handle, FLASH]), Status::ParameterFault);
}

/// Shows D05, D106.
#[test]
fn none_of_it_is_for_handlers_or_for_devices_without_flash() {
    let (mut device, handle) = opened();
    let calls = [
        Call::ExternalFlashOpen,
        Call::ExternalFlashClose,
        Call::ExternalFlashGetInfo,
        Call::ExternalFlashReadBlocking,
        Call::ExternalFlashWriteBlocking,
        Call::ExternalFlashEraseBlocking,
    ];
    device.nvic.in_handler = true;
    for call in calls {
        assert_eq!(device.call(call, &[handle]), Status::Unavailable, "{}", call.name());
    }
    device.nvic.in_handler = false;
    device.board = TestBoard::bare();
    for call in calls {
        assert_eq!(device.call(call, &[handle]), Status::Unavailable, "{}", call.name());
    }
}

/// Shows D106.
#[test]
fn a_chip_that_fails_is_an_internal_error() {
    let (mut device, handle) = opened();
    device.board.nor().broken = true;
    assert_eq!(read(&mut device, handle, 0, 1), Err(Status::InternalError));
    assert_eq!(write(&mut device, handle, 0, &[1]), Status::InternalError);
    assert_eq!(erase(&mut device, handle, 0, FLASH_SECTOR), Status::InternalError);
}

/// Shows D73, N09.
#[test]
fn handles_end_with_the_application_and_the_bytes_do_not() {
    let (mut device, handle) = opened();
    write(&mut device, handle, 0, b"kept");
    device.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_eq!(read(&mut device, handle, 0, 4), Err(Status::InvalidHandle));
    let handle = open(&mut device).expect("a new one");
    assert_eq!(read(&mut device, handle, 0, 4), Ok(b"kept".to_vec()));
}
