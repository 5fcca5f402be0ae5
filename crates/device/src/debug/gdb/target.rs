//! The machine as a target of the protocol.

use std::convert::Infallible;

use armv8m::Watchpoint;
use gdbstub::common::{Pid, Signal};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::base::singlethread::{
    SingleThreadBase, SingleThreadRangeStepping, SingleThreadRangeSteppingOps, SingleThreadResume,
    SingleThreadResumeOps, SingleThreadSingleStep, SingleThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::extended_mode::{
    Args, AttachKind, CurrentActivePid, CurrentActivePidOps, ExtendedMode, ExtendedModeOps, ShouldTerminate,
};
use gdbstub::target::ext::flash::{Flash, FlashOps};
use gdbstub::target::ext::memory_map::{MemoryMap, MemoryMapOps};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::{Target, TargetError, TargetResult};

use super::monitor;
use super::registers::{self, CortexM33, RegisterId, RegisterValues, WORDS};
use crate::machine::DebuggerInput;
use crate::recording::RecordedMachine;

/// Bytes the debugger erases at once: a page of the real board's flash.
const FLASH_PAGE: u32 = 0x2000;

/// ESRCH, EINVAL and EFAULT, as the protocol numbers them.
const NO_PROCESS: u8 = 3;
const INVALID: u8 = 22;
const BAD_ADDRESS: u8 = 14;

impl RecordedMachine {
    /// Does what a machine always accepts of a debugger, also in a replay.
    pub(super) fn control(&mut self, input: DebuggerInput<'_>) {
        let accepted = self.debug(input);
        debug_assert_eq!(accepted, Ok(()), "it controls the application, whose state does not matter");
    }
}

impl Target for RecordedMachine {
    type Arch = CortexM33;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, CortexM33, Infallible> {
        BaseOps::SingleThread(self)
    }

    /// Breakpoints are the processor's own: no code is written over.
    fn guard_rail_implicit_sw_breakpoints(&self) -> bool {
        true
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_memory_map(&mut self) -> Option<MemoryMapOps<'_, Self>> {
        Some(self)
    }

    fn support_flash_operations(&mut self) -> Option<FlashOps<'_, Self>> {
        Some(self)
    }

    fn support_extended_mode(&mut self) -> Option<ExtendedModeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadBase for RecordedMachine {
    fn read_registers(&mut self, words: &mut RegisterValues) -> TargetResult<(), Self> {
        for (at, word) in words.0.iter_mut().enumerate() {
            *word = self.machine().register(registers::at(at));
        }
        Ok(())
    }

    /// Registers that name the same thing (SP is MSP or PSP) come together: only what changed is written.
    fn write_registers(&mut self, words: &RegisterValues) -> TargetResult<(), Self> {
        let mut before = RegisterValues::default();
        self.read_registers(&mut before)?;
        let changed = (0..WORDS).filter(|at| words.0[*at] != before.0[*at]);
        changed.for_each(|at| {
            self.control(DebuggerInput::WriteRegister { register: registers::at(at), value: words.0[at] });
        });
        Ok(())
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, (), Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u32, data: &mut [u8]) -> TargetResult<usize, Self> {
        match self.read_memory(start, data) {
            0 if !data.is_empty() => Err(TargetError::Errno(BAD_ADDRESS)),
            length => Ok(length),
        }
    }

    fn write_addrs(&mut self, start: u32, data: &[u8]) -> TargetResult<(), Self> {
        let written = self.debug(DebuggerInput::WriteMemory { address: start, bytes: data.into() });
        written.map_err(|_| TargetError::Errno(BAD_ADDRESS))
    }

    fn support_resume(&mut self) -> Option<SingleThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleRegisterAccess<()> for RecordedMachine {
    fn read_register(&mut self, (): (), number: RegisterId, into: &mut [u8]) -> TargetResult<usize, Self> {
        let length = number.words * 4;
        let into = into.get_mut(..length).ok_or(TargetError::Errno(INVALID))?;
        for (word, bytes) in into.chunks_exact_mut(4).enumerate() {
            bytes.copy_from_slice(&self.machine().register(registers::at(number.first + word)).to_le_bytes());
        }
        Ok(length)
    }

    fn write_register(&mut self, (): (), number: RegisterId, value: &[u8]) -> TargetResult<(), Self> {
        if value.len() != number.words * 4 {
            return Err(TargetError::Errno(INVALID));
        }
        for (word, bytes) in value.chunks_exact(4).enumerate() {
            let value = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let register = registers::at(number.first + word);
            self.control(DebuggerInput::WriteRegister { register, value });
        }
        Ok(())
    }
}

/// There are no signals to deliver: a signal is ignored.
impl SingleThreadResume for RecordedMachine {
    fn resume(&mut self, _signal: Option<Signal>) -> Result<(), Infallible> {
        // An application that runs, or is being stepped, is left alone.
        if self.machine().is_stopped() {
            self.control(DebuggerInput::Resume);
        }
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<SingleThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<SingleThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadSingleStep for RecordedMachine {
    fn step(&mut self, _signal: Option<Signal>) -> Result<(), Infallible> {
        self.resume_range_step(0, 0)
    }
}

impl SingleThreadRangeStepping for RecordedMachine {
    fn resume_range_step(&mut self, start: u32, end: u32) -> Result<(), Infallible> {
        if self.machine().is_stopped() {
            self.control(DebuggerInput::Step(start..end));
        }
        Ok(())
    }
}

impl Breakpoints for RecordedMachine {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for RecordedMachine {
    fn add_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::InsertBreakpoint(address)).is_ok())
    }

    fn remove_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::RemoveBreakpoint(address)).is_ok())
    }
}

impl HwBreakpoint for RecordedMachine {
    fn add_hw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::InsertBreakpoint(address)).is_ok())
    }

    fn remove_hw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::RemoveBreakpoint(address)).is_ok())
    }
}

impl HwWatchpoint for RecordedMachine {
    fn add_hw_watchpoint(&mut self, address: u32, length: u32, kind: WatchKind) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::InsertWatchpoint(watchpoint(address, length, kind))).is_ok())
    }

    fn remove_hw_watchpoint(
        &mut self,
        address: u32,
        length: u32,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        Ok(self.debug(DebuggerInput::RemoveWatchpoint(watchpoint(address, length, kind))).is_ok())
    }
}

fn watchpoint(address: u32, length: u32, kind: WatchKind) -> Watchpoint {
    Watchpoint {
        // GDB sends 0 for an expression without a size; it watches one byte then.
        range: address..address.saturating_add(length.max(1)),
        reads: kind != WatchKind::Write,
        writes: kind != WatchKind::Read,
    }
}

impl MonitorCmd for RecordedMachine {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Infallible> {
        out.write_raw(monitor::answer(self, &String::from_utf8_lossy(command)).as_bytes());
        Ok(())
    }
}

impl MemoryMap for RecordedMachine {
    fn memory_map_xml(&self, offset: u64, length: usize, into: &mut [u8]) -> TargetResult<usize, Self> {
        let map = memory_map();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(map.len());
        let part = &map.as_bytes()[from..];
        let length = length.min(part.len()).min(into.len());
        into[..length].copy_from_slice(&part[..length]);
        Ok(length)
    }
}

/// Flash is marked as such, so that the debugger uses breakpoints that write nothing.
fn memory_map() -> String {
    use crate::memory_map::{ENTRY_PAGE, FLASH, PERIPHERALS, RAM};
    let region = |kind: &str, range: &std::ops::Range<u32>| {
        format!(
            "<memory type=\"{kind}\" start=\"{:#x}\" length=\"{:#x}\"/>",
            range.start,
            range.end - range.start
        )
    };
    let flash = format!(
        "<memory type=\"flash\" start=\"{:#x}\" length=\"{:#x}\"><property name=\"blocksize\">{FLASH_PAGE:#x}</property></memory>",
        FLASH.start,
        FLASH.end - FLASH.start
    );
    let others = [
        region("rom", &ENTRY_PAGE),
        region("ram", &RAM),
        // The format knows ram, rom and flash only; "ram" lets GDB read and write registers.
        region("ram", &PERIPHERALS),
        region("ram", &(0xE000_0000..0xE010_0000)),
    ];
    format!("<?xml version=\"1.0\"?><memory-map>{flash}{}</memory-map>", others.concat())
}

/// `load`: replaces the image in flash until the process ends.
impl Flash for RecordedMachine {
    fn flash_erase(&mut self, start: u32, length: u32) -> TargetResult<(), Self> {
        let erased = self.debug(DebuggerInput::EraseFlash { address: start, length });
        erased.map_err(|_| TargetError::Errno(BAD_ADDRESS))
    }

    fn flash_write(&mut self, start: u32, data: &[u8]) -> TargetResult<(), Self> {
        let written = self.debug(DebuggerInput::WriteFlash { address: start, bytes: data.into() });
        written.map_err(|_| TargetError::Errno(BAD_ADDRESS))
    }

    /// Another application has been loaded: it starts.
    fn flash_done(&mut self) -> TargetResult<(), Self> {
        self.control(DebuggerInput::Reset);
        Ok(())
    }
}

/// `target extended-remote`: `run` and `kill` restart the application, and a debugger that detaches lets it run.
impl ExtendedMode for RecordedMachine {
    fn run(&mut self, _file: Option<&[u8]>, _arguments: Args<'_, '_>) -> TargetResult<Pid, Self> {
        self.control(DebuggerInput::Reset);
        Ok(PID)
    }

    fn attach(&mut self, pid: Pid) -> TargetResult<(), Self> {
        if pid != PID {
            return Err(TargetError::Errno(NO_PROCESS));
        }
        self.control(DebuggerInput::Halt);
        Ok(())
    }

    fn support_current_active_pid(&mut self) -> Option<CurrentActivePidOps<'_, Self>> {
        Some(self)
    }

    fn query_if_attached(&mut self, _pid: Pid) -> TargetResult<AttachKind, Self> {
        Ok(AttachKind::Attach)
    }

    fn kill(&mut self, _pid: Option<Pid>) -> TargetResult<ShouldTerminate, Self> {
        self.control(DebuggerInput::Reset);
        Ok(ShouldTerminate::No)
    }

    fn restart(&mut self) -> Result<(), Infallible> {
        self.control(DebuggerInput::Reset);
        Ok(())
    }
}

impl CurrentActivePid for RecordedMachine {
    fn current_active_pid(&mut self) -> Result<Pid, Infallible> {
        Ok(PID)
    }
}

/// The only process there is.
const PID: Pid = Pid::new(1).expect("not zero");
