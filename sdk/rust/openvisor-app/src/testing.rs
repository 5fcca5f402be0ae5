//! Tests on a device, in the manner of Rust's own: [`tests!`](crate::tests!) makes an image of them, and
//! `openvisor run` starts the device once for each.
//!
//! The image describes its tests in the section `.openvisor.tests`: a [`Header`], then a [`Case`] for each. The runner
//! writes the number of the test to execute into the header before the device starts, as a factory test. Therefore what
//! a test logs is seen at once and without a network, and its result ends the run.

use core::cell::{Cell, UnsafeCell};
use core::fmt::{Debug, Write};

use openvisor_sys::{MV_STATUS_INVALIDBUFFERSIZE, mvTestLog, mvTestLoggingInit, mvTestingComplete};

use crate::{clock, logging};

/// What the section begins with; the last character is the version of what follows.
const MAGIC: [u8; 8] = *b"OVTESTS1";
/// The header's test in the file: none.
const NONE: u32 = u32::MAX;
/// The flag of a test that is only executed on demand.
const IGNORED: u32 = 1;
/// The flag of a test that passes by a panic.
const PANICS: u32 = 2;
/// Lines are buffered here until the runner takes them. The size is a multiple of 512.
const BUFFER_SIZE: usize = 4096;
/// How often a line that finds the buffer full is posted again, so that a runner that takes none stops no test.
const ATTEMPTS: u32 = 1000;

/// The first of the section.
#[repr(C)]
pub struct Header {
    magic: [u8; 8],
    case_size: u32,
    selected: u32,
}

/// A test, as the runner reads it: all of it 32-bit words.
#[repr(C)]
pub struct Case {
    name: Text,
    reason: Text,
    message: Text,
    flags: u32,
    execute: fn() -> bool,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Text {
    bytes: *const u8,
    length: u32,
}

// SAFETY: points to texts that never change.
unsafe impl Sync for Case {}

#[repr(C, align(512))]
struct Buffer(UnsafeCell<[u8; BUFFER_SIZE]>);

// SAFETY: lent to the hypervisor; the application does not touch it.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new([0; BUFFER_SIZE]));

/// The test that runs. No atomic, so that all code for tests is removed from an image without tests.
struct Current(Cell<Option<&'static Case>>);

// SAFETY: written once, before the test starts and with it all that could read it.
unsafe impl Sync for Current {}

static CURRENT: Current = Current(Cell::new(None));

unsafe extern "C" {
    /// Set by the linker script; only their addresses mean something.
    safe static _tests_start: u32;
    safe static _tests_end: u32;
}

/// What a test function may return.
pub trait Outcome {
    /// Whether the test has passed; logs why not.
    fn has_passed(self) -> bool;
}

impl Outcome for () {
    fn has_passed(self) -> bool {
        true
    }
}

impl<E: Debug> Outcome for Result<(), E> {
    fn has_passed(self) -> bool {
        self.inspect_err(|error| logging::formatted(format_args!("Error: {error:?}"))).is_ok()
    }
}

impl Header {
    /// A header that selects no test.
    #[expect(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Self {
        Self { magic: MAGIC, case_size: size_of::<Case>() as u32, selected: NONE }
    }

    fn selected(&self) -> u32 {
        // SAFETY: reads a field. Volatile, because the runner changes it after the compiler has seen it.
        unsafe { (&raw const self.selected).read_volatile() }
    }
}

impl Case {
    /// A test by its name, which begins with the crate's.
    pub const fn new(name: &'static str, execute: fn() -> bool) -> Self {
        let empty = Text::new("");
        Self { name: Text::new(name), reason: empty, message: empty, flags: 0, execute }
    }

    /// Executed only on demand, for a reason or an empty one.
    #[must_use]
    pub const fn ignored(mut self, reason: &'static str) -> Self {
        (self.reason, self.flags) = (Text::new(reason), self.flags | IGNORED);
        self
    }

    /// Passes by a panic whose message contains a text.
    #[must_use]
    pub const fn panics(mut self, message: &'static str) -> Self {
        (self.message, self.flags) = (Text::new(message), self.flags | PANICS);
        self
    }

    fn is_to_panic(&self) -> bool {
        self.flags & PANICS != 0
    }
}

impl Text {
    const fn new(text: &'static str) -> Self {
        Self { bytes: text.as_ptr(), length: text.len() as u32 }
    }

    fn as_str(&self) -> &'static str {
        // SAFETY: made from such a text.
        unsafe {
            core::str::from_utf8_unchecked(core::slice::from_raw_parts(self.bytes, self.length as usize))
        }
    }
}

/// Makes an image of tests, in the root of a crate with `#![no_main]` instead of `entry!`:
///
/// ```ignore
/// openvisor_app::tests! {
///     #[test]
///     fn the_clock_advances() {
///         let start = clock::now();
///         clock::sleep(100);
///         assert!(clock::since(start) >= 100);
///     }
///
///     #[test]
///     #[should_panic(expected = "divide by zero")]
///     fn a_division_by_zero_panics() { … }
///
///     #[test]
///     #[ignore = "needs a sensor"]
///     fn the_sensor_answers() -> Result<(), Status> { … }
/// }
/// ```
///
/// The clock and the log are started. Tests in other modules of the crate are in [`test_cases!`](crate::test_cases!).
#[macro_export]
macro_rules! tests {
    ($($tests:tt)*) => {
        $crate::test_cases! { $($tests)* }

        const _: () = {
            #[used]
            #[unsafe(link_section = ".openvisor.tests.header")]
            static HEADER: $crate::testing::Header = $crate::testing::Header::new();

            #[unsafe(export_name = "main")]
            extern "C" fn openvisor_main() -> ! {
                $crate::testing::run(&HEADER)
            }
        };
    };
}

/// More tests for the image that [`tests!`](crate::tests!) makes, in a module of the crate.
#[macro_export]
macro_rules! test_cases {
    ($($(#[$($attribute:tt)*])* fn $name:ident() $(-> $result:ty)? $body:block)*) => {
        $($crate::test_case! { [] [] $(#[$($attribute)*])* fn $name() $(-> $result)? $body })*
    };
}

/// One test: takes its attributes one by one, those that concern the test and those of its function.
#[doc(hidden)]
#[macro_export]
macro_rules! test_case {
    ([$($kept:tt)*] [$($changes:tt)*] #[test] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)*] [$($changes)*] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[ignore] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)*] [$($changes)* .ignored("")] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[ignore = $reason:literal] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)*] [$($changes)* .ignored($reason)] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[should_panic] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)*] [$($changes)* .panics("")] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[should_panic(expected = $message:literal)] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)*] [$($changes)* .panics($message)] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[cfg $($condition:tt)*] $($rest:tt)*) => {
        compile_error!("a test cannot have #[cfg]: put it on the module or on the macro");
    };
    ([$($kept:tt)*] [$($changes:tt)*] #[$($other:tt)*] $($rest:tt)*) => {
        $crate::test_case! { [$($kept)* #[$($other)*]] [$($changes)*] $($rest)* }
    };
    ([$($kept:tt)*] [$($changes:tt)*] fn $name:ident() $(-> $result:ty)? $body:block) => {
        $($kept)*
        fn $name() $(-> $result)? $body

        const _: () = {
            #[used]
            #[unsafe(link_section = ".openvisor.tests.case")]
            static CASE: $crate::testing::Case =
                $crate::testing::Case::new(concat!(module_path!(), "::", stringify!($name)), || {
                    $crate::testing::Outcome::has_passed($name())
                })
                $($changes)*;
        };
    };
}

/// Executes the selected test.
pub fn run(header: &'static Header) -> ! {
    clock::start();
    let Some(case) = case(header.selected()) else {
        logging::start();
        logging::line("an image of tests, and none is selected: start it with `openvisor run`");
        clock::rest();
    };
    // SAFETY: the buffer is lent for ever.
    let _ = unsafe { mvTestLoggingInit(BUFFER.0.get().cast(), BUFFER_SIZE as u32) };
    CURRENT.0.set(Some(case));
    let has_passed = (case.execute)();
    if case.is_to_panic() {
        logging::line("the test did not panic");
    }
    complete(has_passed && !case.is_to_panic())
}

fn case(number: u32) -> Option<&'static Case> {
    let (start, end) = (&raw const _tests_start, &raw const _tests_end);
    let start = start.cast::<Case>();
    let count = (end.addr() - start.addr()) / size_of::<Case>();
    // SAFETY: the linker script puts these symbols around the tests.
    unsafe { core::slice::from_raw_parts(start, count) }.get(number as usize)
}

/// Ends the test.
fn complete(has_passed: bool) -> ! {
    // SAFETY: a number only. It does not return in a factory test.
    let _ = unsafe { mvTestingComplete(u32::from(!has_passed)) };
    clock::rest()
}

/// Whether a test runs, and its lines are for the runner.
pub(crate) fn is_running() -> bool {
    CURRENT.0.get().is_some()
}

/// Posts a line of a test's. The runner empties the buffer whenever it is its turn.
pub(crate) fn post(line: &[u8]) {
    for _ in 0..ATTEMPTS {
        // SAFETY: reads the text, and is done with it on return.
        if unsafe { mvTestLog(line.as_ptr(), line.len() as u16) } != MV_STATUS_INVALIDBUFFERSIZE {
            return;
        }
    }
}

/// For panic handlers, before they end the application: ends the test that runs if it was to panic with this message.
pub fn panicked(message: &core::panic::PanicMessage<'_>) {
    let Some(case) = CURRENT.0.get().filter(|case| case.is_to_panic()) else { return };
    let (mut text, expected) = (logging::Line::new(), case.message.as_str());
    let _ = write!(text, "{message}");
    if text.as_str().contains(expected) {
        complete(true);
    }
    logging::formatted(format_args!("the panic's message should have contained: {expected}"));
}
