//! Lines of text to the cloud's log, and the backend of the crate `log`.

use core::cell::UnsafeCell;
use core::fmt::{Arguments, Write};

use openvisor_sys::{MV_STATUS_OKAY, mvServerLog, mvServerLoggingInit};

use crate::{Status, testing};

/// Messages are buffered here while the device is offline. The size is a multiple of 512.
const BUFFER_SIZE: usize = 4096;
/// The longest line; a longer one is truncated.
const LINE_SIZE: usize = 511;

#[repr(C, align(512))]
struct Buffer(UnsafeCell<[u8; BUFFER_SIZE]>);

// SAFETY: lent to the hypervisor; the application does not touch it.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; BUFFER_SIZE]));

/// Gives the hypervisor a buffer for the log, and makes the crate `log` write to it. To be called first.
///
/// If it fails that cannot be logged; the application continues without a log.
pub fn start() {
    // SAFETY: the buffer is lent for ever.
    let _ = unsafe { mvServerLoggingInit(BUFFER.0.get().cast(), BUFFER_SIZE as u32) };
}

/// The same, and makes the macros of the crate `log` write there, from a level on.
pub fn start_with(level: log::LevelFilter) {
    start();
    let _ = log::set_logger(&Backend);
    log::set_max_level(level);
}

/// Posts one line. A line that is refused is lost: logging is best effort.
pub fn line(text: &str) {
    let end = text.len().min(LINE_SIZE);
    post(text.as_bytes().get(..end).unwrap_or_default());
}

/// In a test, lines are for the runner.
fn post(line: &[u8]) {
    if testing::is_running() {
        return testing::post(line);
    }
    // SAFETY: reads the text, and is done with it on return.
    let _ = unsafe { mvServerLog(line.as_ptr(), line.len() as u16) };
}

/// Posts one formatted line; [`log_line!`](crate::log_line!) makes the arguments.
pub fn formatted(arguments: Arguments<'_>) {
    let mut text = Line::new();
    let _ = text.write_fmt(arguments);
    post(text.as_bytes());
}

/// Posts a line, formatted as `format!` does.
#[macro_export]
macro_rules! log_line {
    ($($argument:tt)*) => { $crate::logging::formatted(format_args!($($argument)*)) };
}

/// True for okay; logs the call and the status otherwise.
pub fn check(call: &str, status: Status) -> bool {
    if status != MV_STATUS_OKAY {
        let mut text = Line::new();
        let _ = text
            .write_str(call)
            .and_then(|()| text.write_str(": "))
            .and_then(|()| text.write_str(status.name()));
        post(text.as_bytes());
    }
    status == MV_STATUS_OKAY
}

/// The same for a result.
pub fn checked<T>(call: &str, result: crate::Result<T>) -> Option<T> {
    result.map_err(|status| check(call, status)).ok()
}

/// A line that is being formatted; what does not fit is cut off, between characters.
pub(crate) struct Line {
    bytes: [u8; LINE_SIZE],
    length: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; LINE_SIZE], length: 0 }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        // SAFETY: whole characters of texts.
        unsafe { core::str::from_utf8_unchecked(self.as_bytes()) }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        let length = text.floor_char_boundary(room.len());
        for (to, from) in room.iter_mut().zip(text.as_bytes().iter().take(length)) {
            *to = *from;
        }
        self.length += length;
        if length == text.len() { Ok(()) } else { Err(core::fmt::Error) }
    }
}

/// The backend of the crate `log`: an informative line is the message alone, another begins with its level.
struct Backend;

impl log::Log for Backend {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        match record.level() {
            log::Level::Info => formatted(*record.args()),
            log::Level::Error => formatted(format_args!("error: {}", record.args())),
            log::Level::Warn => formatted(format_args!("warning: {}", record.args())),
            log::Level::Debug => formatted(format_args!("debug: {}", record.args())),
            log::Level::Trace => formatted(format_args!("trace: {}", record.args())),
        }
    }

    fn flush(&self) {}
}
