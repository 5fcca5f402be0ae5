//! The application's part of the external flash: handles, bounds, and the chip's own units.

use abi::Status;
use abi::flash::ExternalFlashInfo;

use crate::Kernel;
use crate::limits::{COPY_CHUNK, FLASH_HANDLES, FLASH_PAGE, FLASH_SECTOR};
use crate::memory::{HandleVariable, Output, Phase as _, Span, structure};
use crate::port::{ExternalFlash, FlashFault, Port};

/// The handles given out.
pub(crate) struct FlashHandles {
    /// 0 where there is none (N08).
    open: [u32; FLASH_HANDLES],
}

impl FlashHandles {
    pub(crate) const fn new() -> Self {
        Self { open: [0; FLASH_HANDLES] }
    }

    fn check(&self, handle: u32) -> Result<(), Status> {
        if handle != 0 && self.open.contains(&handle) { Ok(()) } else { Err(Status::InvalidHandle) }
    }

    fn count(&self) -> u32 {
        self.open.iter().filter(|handle| **handle != 0).count() as u32
    }
}

impl Kernel {
    /// `mvExternalFlashOpen`.
    pub(crate) fn flash_open(&mut self, port: &mut Port<'_>, handle_out: u32) -> Result<(), Status> {
        chip(port)?;
        let handle_out = Output::claim(port.memory, handle_out).early()?;
        let place = self.flash.open.iter_mut().find(|place| **place == 0);
        let place = place.ok_or(Status::TooManyChannels)?;
        let handle = self.handles.issue();
        handle_out.put_u32(port.memory, handle).early()?;
        *place = handle;
        Ok(())
    }

    /// `mvExternalFlashClose`.
    pub(crate) fn flash_close(&mut self, port: &mut Port<'_>, handle: u32) -> Result<(), Status> {
        chip(port)?;
        let handle = HandleVariable::claim(port.memory, handle).early()?;
        self.flash.check(handle.value)?;
        let closing = handle.value;
        handle.zero(port.memory).early()?;
        self.flash.open.iter_mut().filter(|place| **place == closing).for_each(|place| *place = 0);
        Ok(())
    }

    /// `mvExternalFlashGetInfo`.
    pub(crate) fn flash_info(&self, port: &mut Port<'_>, handle: u32, info: u32) -> Result<(), Status> {
        let chip = chip(port)?;
        let (chip_id, size) = (chip.chip_id(), chip.size());
        let to = Output::claim(port.memory, info).early()?;
        let asked: ExternalFlashInfo = structure(port.memory, info).early()?;
        self.flash.check(handle)?;
        if asked.version != 1 {
            return Err(Status::UnsupportedStructureVersion);
        }
        let info = ExternalFlashInfo { version: 1, chip_id, size, num_handles: self.flash.count() };
        to.put(port.memory, info.to_bytes()).early()
    }

    /// `mvExternalFlashReadBlocking`.
    pub(crate) fn flash_read(
        &self,
        port: &mut Port<'_>,
        handle: u32,
        address: u32,
        length: u32,
        to: u32,
    ) -> Result<(), Status> {
        chip(port)?;
        let to = Span::writable(to, length).early()?;
        self.flash.check(handle)?;
        within(port, address, length)?;
        let mut chunk = [0; COPY_CHUNK];
        for (done, step) in steps(0, length, COPY_CHUNK as u32) {
            let part = &mut chunk[..step as usize];
            chip(port)?.read(address + done, part).map_err(internal)?;
            port.memory.write(to.at(done), part).early()?;
        }
        Ok(())
    }

    /// `mvExternalFlashWriteBlocking`: turns ones to zeros only, page by page. Nothing is erased for it.
    pub(crate) fn flash_write(
        &self,
        port: &mut Port<'_>,
        handle: u32,
        address: u32,
        length: u32,
        from: u32,
    ) -> Result<(), Status> {
        chip(port)?;
        let from = Span::readable(from, length).early()?;
        self.flash.check(handle)?;
        within(port, address, length)?;
        let mut page = [0; FLASH_PAGE as usize];
        for (done, step) in steps(address, length, FLASH_PAGE) {
            let part = &mut page[..step as usize];
            port.memory.read(from.at(done), part).early()?;
            chip(port)?.program(address + done, part).map_err(internal)?;
        }
        Ok(())
    }

    /// `mvExternalFlashEraseBlocking`: whole sectors.
    pub(crate) fn flash_erase(
        &self,
        port: &mut Port<'_>,
        handle: u32,
        address: u32,
        length: u32,
    ) -> Result<(), Status> {
        chip(port)?;
        self.flash.check(handle)?;
        within(port, address, length)?;
        if !address.is_multiple_of(FLASH_SECTOR) || !length.is_multiple_of(FLASH_SECTOR) {
            return Err(Status::InvalidBufferAlignment);
        }
        for (done, _) in steps(address, length, FLASH_SECTOR) {
            chip(port)?.erase_sector(address + done).map_err(internal)?;
        }
        Ok(())
    }
}

/// The chip: not in handlers (D05), and only if the device has one.
fn chip<'a>(port: &'a mut Port<'_>) -> Result<&'a mut dyn ExternalFlash, Status> {
    port.not_in_handler()?;
    port.hardware.external_flash().ok_or(Status::Unavailable)
}

/// The run must lie wholly in the application's part.
fn within(port: &mut Port<'_>, address: u32, length: u32) -> Result<(), Status> {
    let size = chip(port)?.size();
    let fits = u64::from(address) + u64::from(length) <= u64::from(size);
    if fits { Ok(()) } else { Err(Status::AddressOutOfRange) }
}

/// Cuts `length` bytes that begin at `address` at every multiple of `unit`: how many lie before each part, and its length.
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

/// The chip failed: nothing the application did, and no status is closer.
fn internal(FlashFault: FlashFault) -> Status {
    Status::InternalError
}
