//! The machine: processor, board and kernel together, in guest time only.
//!
//! A machine has no clock, no thread and no connection. Time is its processor's cycle count; its driver advances it
//! ([`Machine::run`], [`Machine::pass_time`]), hands it every input ([`Machine::handle`]) and carries the link's bytes
//! ([`Machine::transmit`]). It is a state machine without I/O in the sense of [`sansio`].

mod debugger;
mod digest;
mod hints;
mod input;
mod kernel_port;
mod observer;
mod polling;
mod power;
mod restart;
mod settings;
mod tracing;

use abi::Status;
use abi::power::WakeReason;
use armv8m::{Config, Cpu, Cycles, Exit, Register};
use debugger::Debugger;
pub use debugger::{MAX_BREAKPOINTS, MAX_WATCHPOINTS, StopReason};
pub(crate) use digest::registers;
pub use input::{Bytes, DebuggerInput, Input, InputError};
use kernel::{Kernel, LinkInput, Outcome};
use observer::{Before, Observer};
use polling::{CALL_CYCLES, DelayedCall, Polling};
use power::Power;
pub use restart::RestartPolicy;
use restart::RestartTimer;
pub use settings::{Provisioning, Settings};
use settings::{board_config, boot};

use crate::board::Board;
use crate::events::{DeviceEvent, PinFilter};
use crate::fault::{Fault, FaultKind, HUNG_MS};
use crate::memory_map::{CYCLES_PER_MICRO, ENTRY_PAGE, FLASH, INTERRUPTS, PRIORITY_BITS, RAM, length};
use crate::peripherals::Lines;
use crate::port::{BoardBus, Post};
use crate::unserved_lines::{Pended, UnservedLines};

/// While notification records wait for an interrupt to be taken (one record, one interrupt: D11), the kernel checks the
/// line at every cycle that is a multiple of this. Multiples, so that it does not depend on where the host ends a run.
const RECORD_RETRY_INTERVAL: Cycles = 500;

/// Most cycles a busy application runs before the link, the debugger and other inputs have their turn: 25 µs. Twenty
/// times less than a round trip on a local network, and long enough that leaving the interpreter costs little.
pub const SLICE: Cycles = 4_000;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunResult {
    /// Its budget is used up, and the application has more to do.
    Busy,
    /// Nothing happens before [`Machine::next_timeout`] or the next input: the application waits, asleep or in a loop
    /// that does nothing, waits for its restart, or is halted.
    Idle,
}

/// How the machine reached its current cycle. At one cycle the application runs, finds nothing to do, and lets time
/// pass, in this order, and an input may come between any two of these: a replay has to put it where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// The application ran up to it, or something reached the machine there.
    Ran,
    /// The application ran, and has nothing more to do.
    Idle,
    /// Time passed up to it.
    Passed,
}

/// Processor, board and kernel.
pub struct Machine {
    settings: Settings,
    /// Without the storage, which the board has.
    provisioning: Provisioning,
    cpu: Cpu,
    board: Board,
    /// Levels of the interrupt lines as the processor knows them.
    lines: Lines,
    unserved: UnservedLines,
    kernel: Box<Kernel>,
    /// The cycle at which the device last started; the kernel's microseconds count from here.
    epoch: Cycles,
    /// Cycles by which the kernel's clock has gone forward since then without the application's.
    skipped: Cycles,
    run_state: RunState,
    debugger: Debugger,
    power: Power,
    polling: Polling,
    /// A call whose return is delayed.
    delayed_call: Option<DelayedCall>,
    restarts: RestartTimer,
    observer: Observer,
    tracing: Option<Box<tracing::Tracing>>,
    /// Notifications the kernel has posted, while a trace is written.
    posts: Option<Vec<Post>>,
}

impl Machine {
    /// A machine about to start its application, provisioned with nothing.
    pub fn new(settings: Settings) -> Self {
        Self::with_provisioning(settings, Provisioning::default())
    }

    /// A machine about to start its application.
    pub fn with_provisioning(mut settings: Settings, mut provisioning: Provisioning) -> Self {
        let storage = std::mem::take(&mut provisioning.storage);
        let board_config = board_config(&mut settings);
        let config = Config {
            flash_base: FLASH.start,
            ram_base: RAM.start,
            ram_size: length(&RAM),
            interrupts: INTERRUPTS,
            priority_bits: PRIORITY_BITS,
            vtor: FLASH.start,
            trap: ENTRY_PAGE,
            // The kernel handles hard faults, as on the board, where the application is stopped and restarted (D73).
            halt_on_hard_fault: true,
            halt_on_spin: true,
            ..Config::default()
        };
        let mut machine = Self {
            cpu: Cpu::new(config, settings.image.flash()),
            board: Board::new(board_config, storage),
            lines: Lines::default(),
            unserved: UnservedLines::default(),
            kernel: Box::new(Kernel::new(&boot(&settings, &provisioning, WakeReason::ColdBoot))),
            epoch: 0,
            skipped: 0,
            run_state: RunState::Ran,
            debugger: Debugger::default(),
            power: Power::On,
            polling: Polling::default(),
            delayed_call: None,
            restarts: RestartTimer::new(settings.restart),
            observer: Observer::new(settings.trace),
            tracing: None,
            posts: None,
            settings,
            provisioning,
        };
        machine.set_clock_free();
        machine.start(WakeReason::ColdBoot);
        machine
    }

    /// Sets for a new kernel whether its time runs at the cloud's rate.
    fn set_clock_free(&mut self) {
        if self.provisioning.free_clock {
            self.kernel.run_clock_free();
        }
    }

    /// Guest time in cycles.
    pub fn now(&self) -> Cycles {
        self.cpu.cycles()
    }

    /// Instructions the application has executed: what it costs the host.
    pub fn instructions(&self) -> u64 {
        self.cpu.instructions()
    }

    /// Whether the application ever executed the instruction at `address` of flash.
    pub fn was_executed(&self, address: u32) -> bool {
        self.cpu.was_executed(address)
    }

    /// Runs the application for at most `budget` cycles. Into how many runs a stretch of time is cut makes no
    /// difference to what happens in it (D138): a host that is slow, or a replay, cuts it otherwise.
    pub fn run(&mut self, budget: Cycles) -> RunResult {
        let result = self.run_slices(budget);
        self.run_state = match result {
            RunResult::Busy => RunState::Ran,
            RunResult::Idle => RunState::Idle,
        };
        result
    }

    fn run_slices(&mut self, budget: Cycles) -> RunResult {
        let limit = self.now().saturating_add(budget);
        loop {
            self.process_due();
            let waits = self.is_waiting();
            if self.is_paused() {
                return RunResult::Busy;
            }
            if waits {
                return RunResult::Idle;
            }
            let before = self.instructions();
            let exit = self.run_to(self.slice_end(limit));
            let called = matches!(exit, Exit::Trap { .. });
            let idle = self.handle_exit(exit) == RunResult::Idle || self.is_waiting();
            self.trace_events();
            if self.is_paused_before_instruction() {
                return RunResult::Busy;
            }
            // A handler that ran may have taken its interrupt, so that the next record can be written (D11).
            let served = self.kernel.has_waiting_records() && self.instructions() > before;
            if self.kernel.has_waiting_records() && (called || served && self.is_time_to_retry(idle)) {
                self.link_input(LinkInput::Timeout);
            }
            if idle && !served {
                return RunResult::Idle;
            }
            if self.now() >= limit || self.is_paused() {
                return RunResult::Busy;
            }
        }
    }

    /// Lets time pass while nothing runs: up to cycle `to`, but not beyond the next event. Only after a run that was
    /// idle: an interrupt that is pending hides the events after it.
    pub fn pass_time(&mut self, to: Cycles) {
        self.run_state = RunState::Passed;
        if self.is_halted() {
            return;
        }
        let end = self.next_event().map_or(to, |event| event.min(to));
        self.cpu.skip_cycles(end.saturating_sub(self.now()));
        self.process_due();
    }

    /// The cycle at which [`Input::Timeout`] is due at the latest, if ever. Of an application that is busy, or has just
    /// received something, it is not known what it does next: it gets a slice of time.
    pub fn next_timeout(&self) -> Option<Cycles> {
        if self.is_halted() {
            // Its time is stopped until a debugger resumes it.
            return None;
        }
        match self.run_state {
            RunState::Ran => Some(self.now().saturating_add(SLICE)),
            RunState::Idle | RunState::Passed => self.next_event(),
        }
    }

    /// Whether the application was stopped, and waits for its restart.
    pub fn is_restarting(&self) -> bool {
        self.restarts.is_pending()
    }

    /// How the machine reached its current cycle.
    pub fn run_state(&self) -> RunState {
        self.run_state
    }

    /// The cycle at which something happens by itself: a timer, the kernel, a restart.
    fn next_event(&self) -> Option<Cycles> {
        if let Power::Off { start } = self.power {
            return start.map(|(at, _)| at);
        }
        let application = if self.restarts.is_pending() {
            self.restarts.next_timeout()
        } else {
            let ends = [
                self.cpu.next_timeout(),
                self.board.next_event(),
                self.hung_at(),
                self.delayed_call_due(),
                self.unserved.next_timeout(),
            ];
            ends.into_iter().flatten().min()
        };
        [application, self.kernel_event()].into_iter().flatten().min()
    }

    /// Sets which general-purpose outputs are reported besides the user LED; none by default.
    pub fn report_pins(&mut self, pins: PinFilter) {
        self.observer.report_pins(pins);
    }

    /// Sets whether the lines of the application's log are reported ([`DeviceEvent::Logged`]); they are not by default.
    pub fn report_log(&mut self, reports: bool) {
        self.observer.report_log(reports);
    }

    /// What has happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<DeviceEvent> {
        self.observer.note_board_events(self.board.take_events());
        self.trace_events();
        self.observer.take()
    }

    /// The first event that was not taken yet.
    fn next_observed(&mut self) -> Option<DeviceEvent> {
        self.observer.note_board_events(self.board.take_events());
        self.trace_events();
        self.observer.take_next()
    }

    /// Whether a connection to the cloud should be established, or being made, now.
    pub fn wants_link(&self) -> bool {
        !self.is_off() && self.kernel.wants_link()
    }

    /// Whether the kernel waits for an answer of the cloud that times out.
    pub fn awaits_cloud(&self) -> bool {
        self.kernel.awaits_cloud()
    }

    /// Fills `out` with what goes to the cloud now, and returns its length.
    pub fn transmit(&mut self, out: &mut [u8]) -> usize {
        let length = self.enter_kernel(|kernel, port| kernel.transmit(port, out));
        if length > 0 {
            self.run_state = RunState::Ran;
        }
        length
    }

    /// Does everything that is due by now.
    fn process_due(&mut self) {
        self.wake_if_due();
        if self.is_off() {
            return;
        }
        if self.board.advance(self.now()) {
            self.cpu.input_changed();
        }
        if self.board.is_transfer_due() {
            let now = self.now();
            self.board.transfer(&mut &mut self.cpu, now);
        }
        self.sync_lines();
        if self.kernel_event().is_some_and(|at| at <= self.now()) {
            self.link_input(LinkInput::Timeout);
            self.polling.on_kernel_change();
        }
        if let Some(reason) = self.restarts.take_due(self.now()) {
            self.restart(reason);
        }
        if !self.restarts.is_pending() && self.hung_at().is_some_and(|at| at <= self.now()) {
            self.fault(FaultKind::HungHandler);
        }
        self.report_unserved_lines();
        self.trace_events();
    }

    /// The cycle at which an active handler of a fast interrupt counts as hung. Nothing else could stop one, because it
    /// runs above the application's own priorities (D146).
    fn hung_at(&self) -> Option<Cycles> {
        Some(self.cpu.reserved_active_since()? + HUNG_MS * 1000 * CYCLES_PER_MICRO)
    }

    /// Whether the kernel checks now whether the next waiting record can be written. This depends on guest time alone,
    /// not on where the host has ended a run (D138).
    fn is_time_to_retry(&self, idle: bool) -> bool {
        idle || self.now().is_multiple_of(RECORD_RETRY_INTERVAL)
    }

    /// Where the next run of the processor must end, at the latest at `limit`.
    fn slice_end(&self, limit: Cycles) -> Cycles {
        let records = self
            .kernel
            .has_waiting_records()
            .then(|| (self.now() + 1).next_multiple_of(RECORD_RETRY_INTERVAL));
        let unserved = self.unserved.next_timeout();
        let ends = [records, self.board.next_event(), self.kernel_event(), self.hung_at(), unserved];
        ends.into_iter().flatten().filter(|end| *end > self.now()).fold(limit, Cycles::min)
    }

    fn run_to(&mut self, deadline: Cycles) -> Exit {
        let budget = deadline.saturating_sub(self.now()).max(1);
        let step = self.begins_step();
        let is_passive = self.has_passive_debugger();
        let (board, lines, unserved) = (&mut self.board, &mut self.lines, &mut self.unserved);
        let mut bus = BoardBus { board, lines, unserved, deadline };
        match step {
            false => self.cpu.run(&mut bus, budget),
            true if is_passive => self.cpu.step_passively(&mut bus),
            true => self.cpu.step(&mut bus),
        }
    }

    fn handle_exit(&mut self, exit: Exit) -> RunResult {
        let mut result = RunResult::Busy;
        match exit {
            Exit::HardFault { .. } => self.fault(FaultKind::Hard),
            Exit::Lockup { .. } => self.fault(FaultKind::Lockup),
            Exit::Trap { address } => self.trap(address),
            Exit::Reset => self.reset_requested(),
            Exit::WaitForInterrupt | Exit::WaitForEvent | Exit::Spin => result = RunResult::Idle,
            Exit::Breakpoint { address, .. } => self.on_bkpt(address),
            Exit::Halted { cause } => self.on_halt(cause),
            Exit::Budget | Exit::Yield => {}
        }
        self.end_step();
        result
    }

    /// A branch into the entry page: a system call.
    fn trap(&mut self, address: u32) {
        if self.stops_at_call(address) {
            return;
        }
        let slot = address - ENTRY_PAGE.start;
        let arguments = [0, 1, 2, 3].map(|number| self.cpu.register(Register::R(number)));
        let before = Before::new(&self.cpu, slot, arguments);
        self.observer.note_board_events(self.board.take_events());
        self.trace_call(slot, arguments);
        self.cpu.skip_cycles(CALL_CYCLES);
        if self.delay_if_polling(slot, arguments, &before) {
            return;
        }
        let outcome = self.enter_kernel(|kernel, port| kernel.call(port, slot, arguments));
        match outcome {
            Outcome::Status(status) => {
                self.trace_return(Some(status));
                self.report_call(&before, status);
                if self.provisioning.factory_test {
                    self.report_test_log();
                }
                self.on_answer(slot, arguments, status);
                self.cpu.return_from_trap(status.raw());
                self.clear_own_activity();
            }
            Outcome::Sleep { mode } => {
                self.report_call(&before, Status::Okay);
                self.enter_power_save(mode);
            }
            Outcome::DeepSleep { mode, check_in_at } => self.enter_deep_sleep(mode, check_in_at),
            Outcome::Restart => self.restart_requested(),
            Outcome::TestingComplete { status } => self.end_test(status),
            Outcome::Fault => self.fault(FaultKind::NoSuchCall { address }),
        }
        if self.power != Power::Saving {
            self.trace_return(None);
        }
    }

    fn fault(&mut self, kind: FaultKind) {
        self.cpu.undo_fault_entry();
        let fault = Fault::of(&self.cpu, kind);
        let restart_in_ms =
            self.restarts.schedule_after_fault(self.cpu.cycles(), WakeReason::ApplicationCrash);
        self.note_after_board(DeviceEvent::Faulted { fault, restart_in_ms });
        self.report_crash(fault);
        self.halt_on_fault(fault);
    }

    fn reset_requested(&mut self) {
        let restart_in_ms = self.restarts.schedule_after_fault(self.cpu.cycles(), WakeReason::ColdBoot);
        self.note_after_board(DeviceEvent::ResetRequested { restart_in_ms });
    }

    /// `mvRestart`. There are no updates to apply here, so the application restarts.
    fn restart_requested(&mut self) {
        let restart_in_ms = self.restarts.schedule_requested(self.cpu.cycles(), WakeReason::ColdBoot);
        self.note_after_board(DeviceEvent::RestartRequested { restart_in_ms });
    }

    fn note(&mut self, event: DeviceEvent) {
        self.observer.note(event);
        self.trace_events();
    }

    /// Reports `event`, after what has left the board before it.
    fn note_after_board(&mut self, event: DeviceEvent) {
        self.observer.note_board_events(self.board.take_events());
        self.note(event);
    }

    /// Restarts the application. The kernel keeps running, and with it the link, the microseconds and the sequence
    /// numbers of log messages; every handle of the application becomes invalid, because its variables start again
    /// (N09, D73).
    fn restart(&mut self, reason: WakeReason) {
        self.enter_kernel(|kernel, port| kernel.application_restarted(port, reason));
        self.board.reset(self.now());
        self.start(reason);
    }

    fn start(&mut self, reason: WakeReason) {
        self.note_after_board(DeviceEvent::Started { reason });
        self.observer.forget_handles();
        self.unserved.clear();
        self.power = Power::On;
        self.delayed_call = None;
        self.cpu.reset().expect("the vector table lies in flash, which is always there");
        self.sync_lines();
        self.restarts.started(self.now());
    }

    /// Passes the levels of the board's interrupt lines to the processor.
    fn sync_lines(&mut self) {
        let lines = self.board.lines();
        for (line, level) in lines.changed_from(self.lines) {
            if level {
                let (was_pending, is_enabled) = (self.cpu.is_pending(line), self.cpu.is_enabled(line));
                let now = self.now();
                self.unserved.pended(&Pended { line, was_pending, is_enabled }, now);
            }
            self.cpu.set_level(line, level);
        }
        self.lines = lines;
    }
}

#[cfg(test)]
mod tests;
