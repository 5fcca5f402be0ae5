//! The application's memory: flash and RAM as arrays.

use abi::memory::{
    APPLICATION_FLASH_LENGTH, APPLICATION_FLASH_START, APPLICATION_RAM_LENGTH, APPLICATION_RAM_START,
};
use kernel::{Memory, MemoryFault};

/// Flash and RAM, with an allocator for each.
pub struct AppMemory {
    flash: Vec<u8>,
    /// The RAM.
    pub ram: Vec<u8>,
    free_flash: u32,
    free_ram: u32,
    /// What the kernel wrote, address and length, if it is recorded.
    pub written: Option<Vec<(u32, u32)>>,
}

impl Default for AppMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl AppMemory {
    /// Empty RAM and erased flash.
    pub fn new() -> Self {
        Self::with_sizes(APPLICATION_FLASH_LENGTH as usize, APPLICATION_RAM_LENGTH as usize)
    }

    /// The first bytes of flash and RAM only, for many devices at once. Access to the rest is a fault.
    pub fn with_sizes(flash: usize, ram: usize) -> Self {
        Self {
            flash: vec![0xff; flash],
            ram: vec![0; ram],
            free_flash: APPLICATION_FLASH_START + 0x400,
            free_ram: APPLICATION_RAM_START,
            written: None,
        }
    }

    /// Allocates RAM; returns its address.
    pub fn allocate(&mut self, size: usize, align: u32) -> u32 {
        let at = self.free_ram.next_multiple_of(align);
        self.free_ram = at + size as u32;
        assert!(
            self.free_ram <= APPLICATION_RAM_START + APPLICATION_RAM_LENGTH,
            "the test uses too much RAM"
        );
        at
    }

    /// Puts bytes into flash; returns their address.
    pub fn flash(&mut self, bytes: &[u8]) -> u32 {
        let at = self.free_flash;
        let start = (at - APPLICATION_FLASH_START) as usize;
        self.flash[start..start + bytes.len()].copy_from_slice(bytes);
        self.free_flash += bytes.len() as u32 + 1;
        at
    }

    /// Writes RAM as the application does.
    pub fn set(&mut self, at: u32, bytes: &[u8]) {
        let start = (at - APPLICATION_RAM_START) as usize;
        self.ram[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// A number, or 0 where there is no memory.
    pub fn bytes_or_zero(&self, at: u32) -> u32 {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes).map_or(0, |()| u32::from_le_bytes(bytes))
    }

    /// Bytes in memory.
    pub fn bytes(&self, at: u32, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.read(at, &mut bytes).expect("the test reads its own memory");
        bytes
    }
}

impl Memory for AppMemory {
    fn read(&self, address: u32, into: &mut [u8]) -> Result<(), MemoryFault> {
        let flash = address
            .checked_sub(APPLICATION_FLASH_START)
            .and_then(|start| run(&self.flash, start, into.len()));
        let ram =
            address.checked_sub(APPLICATION_RAM_START).and_then(|start| run(&self.ram, start, into.len()));
        into.copy_from_slice(flash.or(ram).ok_or(MemoryFault)?);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let start = address.checked_sub(APPLICATION_RAM_START).ok_or(MemoryFault)? as usize;
        let end = start.checked_add(bytes.len()).ok_or(MemoryFault)?;
        self.ram.get_mut(start..end).ok_or(MemoryFault)?.copy_from_slice(bytes);
        if let Some(written) = &mut self.written {
            written.push((address, bytes.len() as u32));
        }
        Ok(())
    }
}

fn run(bytes: &[u8], start: u32, length: usize) -> Option<&[u8]> {
    bytes.get(start as usize..(start as usize).checked_add(length)?)
}
