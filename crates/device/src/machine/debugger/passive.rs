//! The debugger of a replay, which changes nothing that the application or the kernel could notice.
//!
//! A stop ends the machine's run early, and into how many runs time is cut makes no difference (D138); what the
//! debugger sets in the processor is no activity there, and is not seen by trial runs. So the replay continues after a
//! stop as if there had been none. Whatever would leave the recording is refused (D340).

use super::{Machine, StopReason};
use crate::machine::{DebuggerInput, InputError};

impl Machine {
    /// Makes the debugger passive, for the rest of the machine's life.
    pub(crate) fn set_passive_debugger(&mut self) {
        self.debugger.is_passive = true;
        self.cpu.set_passive_debugger(true);
    }

    /// Whether the debugger is passive.
    pub(crate) fn has_passive_debugger(&self) -> bool {
        self.debugger.is_passive
    }

    /// Whether a passive debugger has stopped the replay.
    pub(in crate::machine) fn is_paused(&self) -> bool {
        self.debugger.is_passive && self.is_stopped()
    }

    /// The same, where the next instruction or call has begun and was not executed: what follows an instruction does
    /// not happen a second time.
    pub(in crate::machine) fn is_paused_before_instruction(&self) -> bool {
        let is_before =
            matches!(self.debugger.stop, Some(StopReason::Breakpoint | StopReason::Watchpoint { .. }));
        self.is_paused() && is_before
    }

    /// Does what a passive debugger requests. It is no input: the machine is the same before and after it.
    ///
    /// # Errors
    /// It would change the machine, or is not possible.
    pub(crate) fn inspect(&mut self, input: &DebuggerInput<'_>) -> Result<(), InputError> {
        use DebuggerInput as D;
        debug_assert!(self.debugger.is_passive, "another debugger's requests are inputs");
        match input {
            D::Attach => self.attach_passively(),
            D::WriteRegister { .. }
            | D::WriteMemory { .. }
            | D::EraseFlash { .. }
            | D::WriteFlash { .. }
            | D::ReadPeripherals { .. }
            | D::Reset => return Err(InputError::NotPossible),
            D::Detach => self.detach_passively(),
            input => return self.apply_debugger(input),
        }
        Ok(())
    }

    /// The recording ends here.
    pub(crate) fn stop_at_end(&mut self) {
        self.halt(StopReason::EndOfRecording);
    }

    fn attach_passively(&mut self) {
        self.debugger.attached = true;
        self.halt(StopReason::Requested);
        self.debugger.stop = None;
    }

    fn detach_passively(&mut self) {
        self.cpu.detach_debugger();
        (self.debugger.breakpoints, self.debugger.watchpoints) = (0, 0);
        self.debugger.attached = false;
        self.resume();
    }
}
