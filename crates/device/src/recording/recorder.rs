//! Writes a recording while its device runs.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use armv8m::Cycles;

use super::format::{self, Header};
use super::{Position, Record};

/// Writes a recording. What cannot be written ends it, not the device.
pub struct Recorder {
    out: BufWriter<Box<dyn Write + Send>>,
    status: Status,
    /// Cycle of the last entry.
    cycle: Cycles,
    /// One entry's bytes.
    bytes: Vec<u8>,
    is_flushed: bool,
}

/// Whether a recording could be written, to be read after its device has stopped.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<Option<io::Error>>>);

impl Status {
    /// Why the recording has ended before its device, if it has.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl Recorder {
    /// Makes the file at `path`, readable by its owner only; one that is there is replaced.
    ///
    /// # Errors
    /// The file that is there cannot be removed, or the new one not created.
    pub fn create(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self::to(Box::new(private(path)?)))
    }

    /// Writes to `out`.
    pub fn to(out: Box<dyn Write + Send>) -> Self {
        let out = BufWriter::new(out);
        Self { out, status: Status::default(), cycle: 0, bytes: Vec::new(), is_flushed: true }
    }

    /// Whether it could be written.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Writes what the device is made of. Once, and before its machine is made.
    ///
    /// # Errors
    /// The header cannot be written. Later failures are reported by [`Recorder::status`], and the device continues.
    pub fn begin(&mut self, header: &Header) -> io::Result<()> {
        header.write(&mut self.out)?;
        self.out.flush()
    }

    /// Adds an entry; false if that was not possible, and no other will be.
    pub(super) fn add(&mut self, position: Position, record: &Record<'_>) -> bool {
        self.bytes.clear();
        format::write_entry(position, record, self.cycle, &mut self.bytes);
        (self.cycle, self.is_flushed) = (position.cycle, false);
        let written = self.out.write_all(&self.bytes);
        self.check(written)
    }

    /// Hands what was written to the system.
    pub(super) fn flush(&mut self) -> bool {
        if self.is_flushed {
            return true;
        }
        self.is_flushed = true;
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn check(&self, result: io::Result<()>) -> bool {
        result.map_err(|error| self.status.fail(error)).is_ok()
    }
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
