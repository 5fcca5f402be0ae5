//! What happened, as the device's thread notes it: numbers and captured bytes, from which the writer makes text.

use std::borrow::Cow;

use abi::{Call, Status};
use armv8m::Cycles;

/// Who an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The application and its calls.
    Application,
    /// Exceptions and interrupts.
    Interrupts,
    /// What the kernel posts.
    Kernel,
    /// The link to the cloud.
    Link,
    /// The device: starts, faults, pins.
    Device,
}

impl Lane {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Application, Self::Interrupts, Self::Kernel, Self::Link, Self::Device];

    /// Its name, as traces show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Interrupts => "interrupts",
            Self::Kernel => "kernel",
            Self::Link => "link",
            Self::Device => "device",
        }
    }

    /// Its number, from 1.
    pub(super) fn number(self) -> usize {
        match self {
            Self::Application => 1,
            Self::Interrupts => 2,
            Self::Kernel => 3,
            Self::Link => 4,
            Self::Device => 5,
        }
    }
}

/// Names and values, as they are shown.
pub type Fields = Vec<(&'static str, String)>;

/// One thing that happened.
pub(crate) struct Entry {
    /// The processor's cycle at its beginning.
    pub at: Cycles,
    /// What it is.
    pub what: What,
}

/// What happened.
pub(crate) enum What {
    /// A system call.
    Call(CallEntry),
    /// An exception was entered or left.
    Exception {
        /// Its number.
        number: u16,
        /// It was entered.
        entered: bool,
    },
    /// The kernel posted a notification.
    Notification {
        /// The interrupt line.
        irq: u16,
        /// The record.
        record: [u8; 16],
    },
    /// Something at one moment.
    Mark {
        /// Who it is about.
        lane: Lane,
        /// Its name.
        name: Cow<'static, str>,
        /// What belongs to it.
        fields: Fields,
    },
}

/// A system call. What its arguments lead to in memory is captured beside it: first the arguments, then the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallEntry {
    /// Which.
    pub call: Call,
    /// Its arguments; registers beyond those are zero.
    pub registers: [u32; 4],
    /// The status; none if the call has not returned.
    pub status: Option<Status>,
    /// What of the call this is.
    pub part: Part,
    /// The call changes nothing, so that repetitions may become one entry.
    pub is_query: bool,
    /// Cycles from call to return.
    pub cycles: Cycles,
    /// How many of the captured bytes belong to the arguments.
    pub argument_bytes: usize,
}

/// What of a call an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// Its beginning: something else happens before it returns.
    Begin,
    /// Its return.
    End,
}

impl Entry {
    /// An entry of something at one moment.
    pub(crate) fn mark(at: Cycles, lane: Lane, name: impl Into<Cow<'static, str>>, fields: Fields) -> Self {
        Self { at, what: What::Mark { lane, name: name.into(), fields } }
    }

    /// The entry; what stays behind has no meaning.
    pub(super) fn take(&mut self) -> Self {
        let empty = What::Exception { number: 0, entered: false };
        Self { at: self.at, what: std::mem::replace(&mut self.what, empty) }
    }

    /// Who it is about.
    pub(super) fn lane(&self) -> Lane {
        match &self.what {
            What::Call(_) => Lane::Application,
            What::Exception { .. } => Lane::Interrupts,
            What::Notification { .. } => Lane::Kernel,
            What::Mark { lane, .. } => *lane,
        }
    }

    /// When it is over.
    pub(super) fn end(&self) -> Cycles {
        match &self.what {
            What::Call(CallEntry { part: Part::Whole, cycles, .. }) => self.at + cycles,
            _ => self.at,
        }
    }
}

/// An exception by its name.
pub(super) fn exception(number: u16) -> Cow<'static, str> {
    Cow::Borrowed(match number {
        2 => "NMI",
        3 => "HardFault",
        4 => "MemManage",
        5 => "BusFault",
        6 => "UsageFault",
        11 => "SVCall",
        12 => "DebugMonitor",
        14 => "PendSV",
        15 => "SysTick",
        external => return Cow::Owned(format!("interrupt {}", external.saturating_sub(16))),
    })
}
