//! The application's part of the external flash: handles, bounds, and division into the chip's pages and sectors.

use abi::Status;
use abi::flash::ExternalFlashInfo;

use crate::handles::HandleAllocator;
use crate::limits::{COPY_CHUNK, FLASH_HANDLES, FLASH_PAGE, FLASH_SECTOR};
use crate::memory::{HandleParam, OutParam, Phase as _, Span, read_struct};
use crate::port::{ExternalFlash, FlashFault, Port};

/// The open handles.
pub(crate) struct FlashHandles {
    /// 0 in a free slot, because no handle is 0 (N08).
    open: [u32; FLASH_HANDLES],
}

impl FlashHandles {
    pub(crate) const fn new() -> Self {
        Self { open: [0; FLASH_HANDLES] }
    }

    fn require(&self, handle: u32) -> Result<(), Status> {
        if handle != 0 && self.open.contains(&handle) { Ok(()) } else { Err(Status::InvalidHandle) }
    }

    fn count(&self) -> u32 {
        self.open.iter().filter(|handle| **handle != 0).count() as u32
    }
}

/// `mvExternalFlashOpen`.
pub(crate) fn open(
    flash: &mut FlashHandles,
    handles: &mut HandleAllocator,
    port: &mut Port<'_>,
    handle_out: u32,
) -> Result<(), Status> {
    chip(port)?;
    let handle_out = OutParam::check(port.memory, handle_out).early()?;
    let slot = flash.open.iter_mut().find(|slot| **slot == 0).ok_or(Status::TooManyChannels)?;
    let handle = handles.allocate();
    handle_out.write_u32(port.memory, handle).early()?;
    *slot = handle;
    Ok(())
}

/// `mvExternalFlashClose`.
pub(crate) fn close(flash: &mut FlashHandles, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
    chip(port)?;
    let handle = HandleParam::check(port.memory, handle).early()?;
    flash.require(handle.value)?;
    let closing = handle.value;
    handle.clear(port.memory).early()?;
    flash.open.iter_mut().filter(|slot| **slot == closing).for_each(|slot| *slot = 0);
    Ok(())
}

/// `mvExternalFlashGetInfo`.
pub(crate) fn info(flash: &FlashHandles, port: &mut Port<'_>, handle: u32, info: u32) -> Result<(), Status> {
    let chip = chip(port)?;
    let (chip_id, size) = (chip.chip_id(), chip.size());
    let to = OutParam::check(port.memory, info).early()?;
    let request: ExternalFlashInfo = read_struct(port.memory, info).early()?;
    flash.require(handle)?;
    if request.version != 1 {
        return Err(Status::UnsupportedStructureVersion);
    }
    let info = ExternalFlashInfo { version: 1, chip_id, size, num_handles: flash.count() };
    to.write(port.memory, info.to_bytes()).early()
}

/// `mvExternalFlashReadBlocking`.
pub(crate) fn read(
    flash: &FlashHandles,
    port: &mut Port<'_>,
    handle: u32,
    address: u32,
    length: u32,
    to: u32,
) -> Result<(), Status> {
    chip(port)?;
    let to = Span::writable(to, length).early()?;
    flash.require(handle)?;
    check_range(port, address, length)?;
    let mut chunk = [0; COPY_CHUNK];
    for (done, step) in steps(0, length, COPY_CHUNK as u32) {
        let part = &mut chunk[..step as usize];
        chip(port)?.read(address + done, part).map_err(to_status)?;
        port.memory.write(to.at(done), part).early()?;
    }
    Ok(())
}

/// `mvExternalFlashWriteBlocking`, page by page. It only clears bits: erasing a sector for it would destroy what else
/// is in the sector (D106).
pub(crate) fn write(
    flash: &FlashHandles,
    port: &mut Port<'_>,
    handle: u32,
    address: u32,
    length: u32,
    from: u32,
) -> Result<(), Status> {
    chip(port)?;
    let from = Span::readable(from, length).early()?;
    flash.require(handle)?;
    check_range(port, address, length)?;
    let mut page = [0; FLASH_PAGE as usize];
    for (done, step) in steps(address, length, FLASH_PAGE) {
        let part = &mut page[..step as usize];
        port.memory.read(from.at(done), part).early()?;
        chip(port)?.program(address + done, part).map_err(to_status)?;
    }
    Ok(())
}

/// `mvExternalFlashEraseBlocking`: whole sectors.
pub(crate) fn erase(
    flash: &FlashHandles,
    port: &mut Port<'_>,
    handle: u32,
    address: u32,
    length: u32,
) -> Result<(), Status> {
    chip(port)?;
    flash.require(handle)?;
    check_range(port, address, length)?;
    if !address.is_multiple_of(FLASH_SECTOR) || !length.is_multiple_of(FLASH_SECTOR) {
        return Err(Status::InvalidBufferAlignment);
    }
    for (done, _) in steps(address, length, FLASH_SECTOR) {
        chip(port)?.erase_sector(address + done).map_err(to_status)?;
    }
    Ok(())
}

/// The chip, if the device has one. Its calls take too long for handlers, as their documented error says (D05).
fn chip<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn ExternalFlash, Status> {
    port.require_thread_mode()?;
    port.hardware.external_flash().ok_or(Status::Unavailable)
}

/// `ADDRESSOUTOFRANGE` unless the run lies wholly in the application's part.
fn check_range(port: &mut Port<'_>, address: u32, length: u32) -> Result<(), Status> {
    let size = chip(port)?.size();
    let fits = u64::from(address) + u64::from(length) <= u64::from(size);
    if fits { Ok(()) } else { Err(Status::AddressOutOfRange) }
}

/// Divides `length` bytes at `address` at every multiple of `unit`. Each item is the offset of a part, and its length.
fn steps(address: u32, length: u32, unit: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let to_boundary = unit - (address + done) % unit;
        let step = (length - done).min(to_boundary);
        let part = (step > 0).then_some((done, step));
        done += step;
        part
    })
}

/// A failure of the chip is not the application's, and no documented status says so (D106).
fn to_status(FlashFault: FlashFault) -> Status {
    Status::InternalError
}
