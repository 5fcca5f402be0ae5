//! The external flash.

mod common;

use abi::flash::ExternalFlashInfo;
use abi::power::WakeReason;
use abi::{Call, Status};
use common::Machine;
use common::board::{Board, SECTORS};
use kernel::limits::{FLASH_HANDLES, FLASH_SECTOR};

const SIZE: u32 = SECTORS * FLASH_SECTOR;
const FLASH: u32 = 0x0800_0000;

fn opened() -> (Machine, u32) {
    let mut machine = Machine::new();
    let handle = open(&mut machine).expect("the first of many");
    (machine, handle)
}

fn open(machine: &mut Machine) -> Result<u32, Status> {
    let handle = machine.variable(0);
    match machine.call(Call::ExternalFlashOpen, &[handle]) {
        Status::Okay => Ok(machine.u32(handle)),
        status => Err(status),
    }
}

fn close(machine: &mut Machine, handle: u32) -> (Status, u32) {
    let handle = machine.variable(handle);
    let status = machine.call(Call::ExternalFlashClose, &[handle]);
    (status, machine.u32(handle))
}

fn read(machine: &mut Machine, handle: u32, address: u32, length: u32) -> Result<Vec<u8>, Status> {
    let to = machine.room(length as usize + 1);
    match machine.call(Call::ExternalFlashReadBlocking, &[handle, address, length, to]) {
        Status::Okay => {
            let bytes = machine.memory.bytes(to, length as usize + 1);
            assert_eq!(bytes.last(), Some(&0xee), "not a byte more");
            Ok(bytes[..length as usize].to_vec())
        }
        status => Err(status),
    }
}

fn write(machine: &mut Machine, handle: u32, address: u32, bytes: &[u8]) -> Status {
    let from = machine.put(bytes);
    machine.call(Call::ExternalFlashWriteBlocking, &[handle, address, bytes.len() as u32, from])
}

fn erase(machine: &mut Machine, handle: u32, address: u32, length: u32) -> Status {
    machine.call(Call::ExternalFlashEraseBlocking, &[handle, address, length])
}

/// What was written is there, across pages, sectors and chunks.
#[test]
fn what_was_written_is_read_again_at_any_alignment() {
    let (mut machine, handle) = opened();
    let text: Vec<u8> = (0..5000_u32).map(|n| (n * 7) as u8).collect();
    assert_eq!(write(&mut machine, handle, 4001, &text), Status::Okay);
    assert_eq!(read(&mut machine, handle, 4001, 5000), Ok(text.clone()));
    assert_eq!(read(&mut machine, handle, 4100, 77), Ok(text[99..176].to_vec()));
    assert_eq!(read(&mut machine, handle, 0, 4001), Ok(vec![0xff; 4001]), "nothing else was touched");
    let programmed = &machine.board.nor().programmed;
    assert_eq!(programmed.first(), Some(&(4001, 95)), "up to the page's end");
    assert_eq!(programmed.iter().map(|(_, length)| length).sum::<usize>(), 5000);
}

/// Writing turns ones to zeros; only erasing turns them back, and nothing erases unasked.
#[test]
fn writing_without_erasing_only_clears_bits() {
    let (mut machine, handle) = opened();
    assert_eq!(write(&mut machine, handle, 10, &[0xf0, 0x0f, 0xff]), Status::Okay);
    assert_eq!(write(&mut machine, handle, 10, &[0x3c, 0x3c, 0x00]), Status::Okay);
    assert_eq!(read(&mut machine, handle, 10, 3), Ok(vec![0x30, 0x0c, 0x00]));
    assert_eq!(machine.board.nor().erased, []);
    assert_eq!(erase(&mut machine, handle, 0, FLASH_SECTOR), Status::Okay);
    assert_eq!(read(&mut machine, handle, 10, 3), Ok(vec![0xff; 3]));
}

/// Sectors of 4096 bytes, and no others.
#[test]
fn erasing_is_by_whole_sectors() {
    let (mut machine, handle) = opened();
    for sector in 0..SECTORS {
        assert_eq!(write(&mut machine, handle, sector * FLASH_SECTOR, &[0]), Status::Okay);
    }
    assert_eq!(erase(&mut machine, handle, FLASH_SECTOR, 2 * FLASH_SECTOR), Status::Okay);
    assert_eq!(machine.board.nor().erased, [FLASH_SECTOR, 2 * FLASH_SECTOR]);
    for (sector, byte) in [(0, 0), (1, 0xff), (2, 0xff), (3, 0)] {
        assert_eq!(read(&mut machine, handle, sector * FLASH_SECTOR, 1), Ok(vec![byte]));
    }
    for (address, length) in [(1, FLASH_SECTOR), (0, FLASH_SECTOR - 1), (0, 1), (2048, 2048)] {
        assert_eq!(erase(&mut machine, handle, address, length), Status::InvalidBufferAlignment);
    }
    assert_eq!(erase(&mut machine, handle, FLASH_SECTOR, 0), Status::Okay);
    assert_eq!(machine.board.nor().erased.len(), 2);
}

/// Shows D106.
#[test]
fn every_access_lies_wholly_in_the_applications_part() {
    let (mut machine, handle) = opened();
    for (address, length) in [(SIZE, 1), (SIZE - 1, 2), (u32::MAX, 1), (u32::MAX, 2), (SIZE + 1, 0)] {
        assert_eq!(read(&mut machine, handle, address, length), Err(Status::AddressOutOfRange));
        let bytes = vec![0; length as usize];
        assert_eq!(write(&mut machine, handle, address, &bytes), Status::AddressOutOfRange);
        assert_eq!(erase(&mut machine, handle, address, length), Status::AddressOutOfRange);
    }
    assert_eq!(erase(&mut machine, handle, FLASH_SECTOR, u32::MAX), Status::AddressOutOfRange);
    assert_eq!(erase(&mut machine, handle, SIZE - FLASH_SECTOR, 2 * FLASH_SECTOR), Status::AddressOutOfRange);
    assert_eq!(machine.board.nor().erased, []);
    assert_eq!(machine.board.nor().programmed, []);
    assert_eq!(read(&mut machine, handle, SIZE - 1, 1), Ok(vec![0xff]));
    assert_eq!(write(&mut machine, handle, SIZE - 1, &[1]), Status::Okay);
    assert_eq!(write(&mut machine, handle, SIZE, &[]), Status::Okay);
}

/// Shows D01.
#[test]
fn buffers_are_the_applications_own_memory() {
    let (mut machine, handle) = opened();
    assert_eq!(machine.call(Call::ExternalFlashReadBlocking, &[handle, 0, 4, FLASH]), Status::ParameterFault);
    assert_eq!(
        machine.call(Call::ExternalFlashReadBlocking, &[handle, 0, 8, 0x2008_0000 - 4]),
        Status::ParameterFault
    );
    assert_eq!(
        machine.call(Call::ExternalFlashWriteBlocking, &[handle, 0, 8, 0x2008_0000 - 4]),
        Status::ParameterFault
    );
    let text = machine.string(b"from the application's flash");
    machine.ok(Call::ExternalFlashWriteBlocking, &[handle, 0, text.length, text.data]);
    assert_eq!(read(&mut machine, handle, 0, 4), Ok(b"from".to_vec()));
}

/// Shows N08, N10, N11, D106.
#[test]
fn there_are_thirty_two_handles_and_closing_one_makes_room() {
    let (mut machine, first) = opened();
    let mut last = first;
    for _ in 1..FLASH_HANDLES {
        last = open(&mut machine).expect("one of thirty-two");
    }
    assert_eq!(open(&mut machine), Err(Status::TooManyChannels));
    assert_eq!(close(&mut machine, last), (Status::Okay, 0));
    assert_eq!(close(&mut machine, last), (Status::InvalidHandle, last));
    assert_eq!(close(&mut machine, 0), (Status::InvalidHandle, 0));
    assert_eq!(read(&mut machine, last, 0, 1), Err(Status::InvalidHandle));
    assert_eq!(write(&mut machine, 0, 0, &[1]), Status::InvalidHandle);
    assert_eq!(erase(&mut machine, 0, 0, 0), Status::InvalidHandle);
    assert_eq!(read(&mut machine, first, 0, 1), Ok(vec![0xff]));
    open(&mut machine).expect("there is room again");
}

/// Shows D106.
#[test]
fn the_chip_tells_what_it_is() {
    let (mut machine, handle) = opened();
    open(&mut machine).expect("a second");
    let info = ExternalFlashInfo { version: 1, ..ExternalFlashInfo::default() };
    let at = machine.put(&info.to_bytes());
    machine.ok(Call::ExternalFlashGetInfo, &[handle, at]);
    let told = ExternalFlashInfo { version: 1, chip_id: 0x00c2_2539, size: SIZE, num_handles: 2 };
    assert_eq!(machine.memory.bytes(at, 16), told.to_bytes());
    for version in [0, 2] {
        let at = machine.put(&ExternalFlashInfo { version, ..info }.to_bytes());
        let status = machine.call(Call::ExternalFlashGetInfo, &[handle, at]);
        assert_eq!(status, Status::UnsupportedStructureVersion);
    }
    assert_eq!(machine.call(Call::ExternalFlashGetInfo, &[handle, FLASH]), Status::ParameterFault);
}

/// Shows D05, D106.
#[test]
fn none_of_it_is_for_handlers_or_for_devices_without_flash() {
    let (mut machine, handle) = opened();
    let calls = [
        Call::ExternalFlashOpen,
        Call::ExternalFlashClose,
        Call::ExternalFlashGetInfo,
        Call::ExternalFlashReadBlocking,
        Call::ExternalFlashWriteBlocking,
        Call::ExternalFlashEraseBlocking,
    ];
    machine.nvic.in_handler = true;
    for call in calls {
        assert_eq!(machine.call(call, &[handle]), Status::Unavailable, "{}", call.name());
    }
    machine.nvic.in_handler = false;
    machine.board = Board::bare();
    for call in calls {
        assert_eq!(machine.call(call, &[handle]), Status::Unavailable, "{}", call.name());
    }
}

/// Shows D106.
#[test]
fn a_chip_that_fails_is_an_internal_error() {
    let (mut machine, handle) = opened();
    machine.board.nor().broken = true;
    assert_eq!(read(&mut machine, handle, 0, 1), Err(Status::InternalError));
    assert_eq!(write(&mut machine, handle, 0, &[1]), Status::InternalError);
    assert_eq!(erase(&mut machine, handle, 0, FLASH_SECTOR), Status::InternalError);
}

/// Shows D73, N09.
#[test]
fn handles_end_with_the_application_and_the_bytes_do_not() {
    let (mut machine, handle) = opened();
    write(&mut machine, handle, 0, b"kept");
    machine.enter(|kernel, port| kernel.application_restarted(port, WakeReason::ApplicationCrash));
    assert_eq!(read(&mut machine, handle, 0, 4), Err(Status::InvalidHandle));
    let handle = open(&mut machine).expect("a new one");
    assert_eq!(read(&mut machine, handle, 0, 4), Ok(b"kept".to_vec()));
}
