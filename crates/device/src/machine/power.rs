//! Power saving, deep sleep, and ends that are not faults.

use abi::power::{DeepSleepMode, PowerSavingMode, WakeReason};
use armv8m::Cycles;
use kernel::{Kernel, LinkInput};
use sansio::Instant;

use super::Machine;
use super::settings::boot;
use crate::events::DeviceEvent;
use crate::memory_map::{CYCLES_PER_MICRO, RAM, length};

/// The power state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// The application runs, or waits for its restart.
    On,
    /// The application waits in `mvPowerSave` for an interrupt; the kernel runs.
    Saving,
    /// Nothing runs, not even the kernel, until the cycle of the next start, if there is one.
    Off {
        /// The cycle, and the wake reason the application will read.
        start: Option<(Cycles, WakeReason)>,
    },
}

impl Power {
    /// The cycle and reason of a start out of deep sleep that is due at cycle `now`.
    fn due(self, now: Cycles) -> Option<WakeReason> {
        match self {
            Self::Off { start: Some((at, reason)) } if at <= now => Some(reason),
            _ => None,
        }
    }
}

impl Machine {
    /// Whether the application waits, whatever the processor would do.
    pub(super) fn is_waiting(&mut self) -> bool {
        if self.is_halted() {
            return true;
        }
        match self.power {
            Power::On => self.restarts.is_pending() || self.is_call_delayed(),
            Power::Saving => !self.try_leave_power_save(),
            Power::Off { .. } => true,
        }
    }

    /// Whether the device is in deep sleep, or its factory test has ended.
    pub fn is_off(&self) -> bool {
        matches!(self.power, Power::Off { .. })
    }

    /// `mvPowerSave`: nothing runs until [`Machine::try_leave_power_save`]. In the stop modes timers are stopped too,
    /// as their clocks are on the chip (D145).
    pub(super) fn enter_power_save(&mut self, mode: PowerSavingMode) {
        self.power = Power::Saving;
        if mode != PowerSavingMode::Sleep {
            self.stop_clocks(true);
        }
    }

    /// The end of `mvPowerSave`.
    pub(super) fn leave_power_save(&mut self) {
        self.power = Power::On;
        self.stop_clocks(false);
    }

    fn stop_clocks(&mut self, stopped: bool) {
        let now = self.now();
        self.cpu.set_systick_stopped(stopped);
        self.board.stop_clocks(stopped, now);
    }

    /// `mvPowerSave` returns once an interrupt could be taken. Priority masks prevent that and PRIMASK does not, as for
    /// `WFI`.
    fn try_leave_power_save(&mut self) -> bool {
        let wakes = self.cpu.has_wakeup_event();
        if wakes {
            self.leave_power_save();
            self.cpu.return_from_trap(abi::Status::Okay.raw());
            self.end_step_over_call();
        }
        wakes
    }

    /// `mvDeepSleep`: the device wakes for its next check-in (N16); no other source that could wake it is modelled.
    pub(super) fn enter_deep_sleep(&mut self, mode: DeepSleepMode, check_in_at: Instant) {
        let reason = match mode {
            DeepSleepMode::Standby => WakeReason::DeepSleepCheckIn,
            DeepSleepMode::Shutdown => WakeReason::ColdBoot,
        };
        let start = self.cycle_of(check_in_at);
        self.turn_off(Some((start, reason)));
        let wakes_in_ms = start.saturating_sub(self.now()) / CYCLES_PER_MICRO / 1000;
        self.note_after_board(DeviceEvent::SleepsDeeply { wakes_in_ms });
    }

    /// `mvTestingComplete`: nothing runs any more, because there is no final application to install.
    pub(super) fn end_test(&mut self, status: u32) {
        self.turn_off(None);
        self.note_after_board(DeviceEvent::TestingComplete { status });
    }

    /// The device loses its power: nothing runs, not even the kernel, before [`Machine::restore_power`], and RAM is
    /// lost. What is stored remains. This is not an [`Input`](super::Input): with the power a recording ends.
    pub fn lose_power(&mut self) {
        if self.power == Power::Saving {
            self.leave_power_save();
        }
        self.power = Power::Off { start: None };
    }

    /// The device has power again, and starts now.
    pub fn restore_power(&mut self) {
        if self.is_off() {
            self.power = Power::Off { start: Some((self.now(), WakeReason::ColdBoot)) };
        }
    }

    /// Reports what the factory test has logged.
    pub(super) fn report_test_log(&mut self) {
        let mut text = [0; kernel::limits::MAX_LOG_MESSAGE as usize];
        while let Some((_, length)) = self.enter_kernel(|kernel, port| kernel.take_test_log(port, &mut text))
        {
            self.observer.note(DeviceEvent::TestLog { text: text[..length].to_vec() });
        }
    }

    fn turn_off(&mut self, start: Option<(Cycles, WakeReason)>) {
        self.link_input(LinkInput::Shutdown);
        self.power = Power::Off { start };
    }

    /// Starts the device out of deep sleep if that is due: RAM is lost, and a new kernel's time starts at zero.
    pub(super) fn wake_if_due(&mut self) {
        let Some(reason) = self.power.due(self.now()) else { return };
        (self.epoch, self.skipped) = (self.now(), 0);
        *self.kernel = Kernel::new(&boot(&self.settings, &self.provisioning, reason));
        self.set_clock_free();
        self.cpu.write_memory(RAM.start, &vec![0; length(&RAM)]);
        self.board.reset(self.now());
        if self.debugger.is_attached() {
            self.notify_kernel_of_debugger();
        }
        self.start(reason);
    }
}
