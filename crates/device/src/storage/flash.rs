//! The external flash: NOR, so that programming turns ones to zeros and only erasing a sector turns them back.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use kernel::limits::FLASH_SECTOR;
use kernel::{ExternalFlash, FlashFault};

/// JEDEC identification: a serial NOR flash of 64 Mbit (manufacturer 0xEF, type 0x40, capacity 0x17).
pub const CHIP_ID: u32 = 0x00EF_4017;

/// Bytes of the application's part: half of the chip; the kernel's is for updates.
pub const SIZE: u32 = 4 << 20;

/// An erased byte.
const ERASED: u8 = 0xFF;

/// The chip.
#[derive(Debug, Default)]
pub struct Flash {
    cells: Cells,
}

/// Where the bytes are. Those beyond what is there are erased.
enum Cells {
    Memory(Vec<u8>),
    File { path: PathBuf, open: Option<File> },
}

impl fmt::Debug for Cells {
    /// Where they are, not what they are: applications store credentials here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Flash {
    /// A chip whose content is that of the file at `path`; the file is made when something is programmed.
    pub fn in_file(path: PathBuf) -> Self {
        Self { cells: Cells::File { path, open: None } }
    }

    /// A chip that begins with `bytes`, with its content in memory.
    pub fn with_content(bytes: Vec<u8>) -> Self {
        Self { cells: Cells::Memory(bytes) }
    }

    /// The bytes that are not erased, with those before them. A chip that cannot be read counts as erased.
    pub fn content(&mut self) -> Vec<u8> {
        let mut bytes = vec![ERASED; SIZE as usize];
        if self.cells.read(0, &mut bytes).is_err() {
            return Vec::new();
        }
        let end = bytes.iter().rposition(|byte| *byte != ERASED).map_or(0, |last| last + 1);
        bytes.truncate(end);
        bytes.shrink_to_fit();
        bytes
    }

    /// Puts `bytes` at `start` of a region of `size` bytes, whatever was there; the rest of the region is erased. A
    /// region that is so already is left alone.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn install(&mut self, start: u32, size: u32, bytes: &[u8]) -> io::Result<()> {
        let mut wanted = bytes.to_vec();
        wanted.resize(size as usize, ERASED);
        let mut there = vec![ERASED; wanted.len()];
        self.cells.read(start, &mut there)?;
        // Each start installs; writing only what differs keeps the file untouched.
        if there == wanted { Ok(()) } else { self.cells.write(start, &wanted) }
    }

    fn turn(&mut self, address: u32, new: impl Fn(usize, u8) -> u8, length: usize) -> io::Result<()> {
        let mut bytes = vec![ERASED; length];
        self.cells.read(address, &mut bytes)?;
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = new(at, *byte);
        }
        self.cells.write(address, &bytes)
    }
}

impl ExternalFlash for Flash {
    fn chip_id(&self) -> u32 {
        CHIP_ID
    }

    fn size(&self) -> u32 {
        SIZE
    }

    fn read(&mut self, address: u32, into: &mut [u8]) -> Result<(), FlashFault> {
        into.fill(ERASED);
        self.cells.read(address, into).map_err(|_| FlashFault)
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        // NOR: programming can clear bits only.
        self.turn(address, |at, old| old & bytes[at], bytes.len()).map_err(|_| FlashFault)
    }

    fn erase_sector(&mut self, address: u32) -> Result<(), FlashFault> {
        self.cells.erase(address, FLASH_SECTOR).map_err(|_| FlashFault)
    }
}

impl Cells {
    /// Reads what is there; the rest of `into` stays.
    fn read(&mut self, address: u32, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                let there = bytes.get(address as usize..).unwrap_or_default();
                let length = there.len().min(into.len());
                into[..length].copy_from_slice(&there[..length]);
                Ok(())
            }
            Self::File { path, open } => match opened(path, open, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(file) => read_there(file, address, into),
            },
        }
    }

    /// Writes, making everything before it that is not there erased.
    fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        let (start, end) = (address as usize, address as usize + bytes.len());
        match self {
            Self::Memory(cells) => {
                if cells.len() < end {
                    cells.resize(end, ERASED);
                }
                cells[start..end].copy_from_slice(bytes);
                Ok(())
            }
            Self::File { path, open } => {
                let file = opened(path, open, true)?;
                let length = file.seek(SeekFrom::End(0))?;
                let gap = (start as u64).saturating_sub(length);
                io::copy(&mut io::repeat(ERASED).take(gap), file)?;
                file.seek(SeekFrom::Start(start as u64))?;
                file.write_all(bytes)
            }
        }
    }

    fn erase(&mut self, address: u32, length: u32) -> io::Result<()> {
        let there = self.length()?;
        if u64::from(address) >= there {
            return Ok(());
        }
        // What lies beyond the stored bytes is erased already, and the file does not grow by erasing.
        let reaches = (there - u64::from(address)).min(u64::from(length));
        self.write(address, &vec![ERASED; reaches as usize])
    }

    fn length(&mut self) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::File { path, open } => match opened(path, open, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                Err(error) => Err(error),
                Ok(file) => file.seek(SeekFrom::End(0)),
            },
        }
    }
}

/// The file at `path`, opened once; made only if `create`.
fn opened<'a>(path: &PathBuf, open: &'a mut Option<File>, create: bool) -> io::Result<&'a mut File> {
    if open.is_none() {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        // Applications store credentials here, so other users of the host may not read them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        *open = Some(file);
    }
    open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn read_there(file: &mut File, address: u32, mut into: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(u64::from(address)))?;
    while !into.is_empty() {
        match file.read(into)? {
            0 => break,
            length => into = &mut into[length..],
        }
    }
    Ok(())
}
