//! Sleeping, waking, restarting, and the light that shows the connection.

use abi::Status;
use abi::power::{DeepSleepMode, PowerSavingMode, RestartMode};

use crate::Kernel;
use crate::Outcome;
use crate::memory::{Output, Phase as _};
use crate::port::Port;

impl Kernel {
    /// `mvPowerSave`. Not while the network is in use (D105).
    pub(crate) fn power_save(&self, port: &Port<'_>, mode: u32) -> Result<Outcome, Status> {
        port.not_in_handler()?;
        let mode = PowerSavingMode::from_raw(one_byte(mode)).ok_or(Status::ParameterFault)?;
        self.may_sleep()?;
        Ok(Outcome::Sleep { mode })
    }

    /// `mvDeepSleep`. Not while the network is in use (D105).
    pub(crate) fn deep_sleep(&self, port: &Port<'_>, mode: u32) -> Result<Outcome, Status> {
        port.not_in_handler()?;
        let mode = DeepSleepMode::from_raw(one_byte(mode)).ok_or(Status::ParameterFault)?;
        self.may_sleep()?;
        Ok(Outcome::DeepSleep { mode, check_in_at: self.network.check_in_asleep() })
    }

    /// `mvRestart`. The network may be in use; an update that is being fetched is not to be cut short (D105).
    pub(crate) fn restart(&self, port: &Port<'_>, mode: u32) -> Result<Outcome, Status> {
        port.not_in_handler()?;
        let RestartMode::AutoApplyUpdate = RestartMode::from_raw(mode).ok_or(Status::ParameterFault)?;
        if self.network.is_fetching_update() {
            return Err(Status::MicrovisorBusy);
        }
        Ok(Outcome::Restart)
    }

    /// `mvGetWakeReason`: one byte (D08), and not from a handler (D05).
    pub(crate) fn wake_reason(&self, port: &mut Port<'_>, to: u32) -> Result<(), Status> {
        port.not_in_handler()?;
        let to = Output::<1>::claim(port.memory, to).early()?;
        to.put(port.memory, [self.boot.wake_reason.raw()]).early()
    }

    /// `mvTestingComplete`: only where a factory test runs (D107).
    pub(crate) fn testing_complete(&self, status: u32) -> Result<Outcome, Status> {
        if self.boot.application_test {
            Ok(Outcome::TestingComplete { status })
        } else {
            Err(Status::Unavailable)
        }
    }

    fn may_sleep(&self) -> Result<(), Status> {
        let is_busy = self.wants_link() || self.network.has_begun() || self.network.is_fetching_update();
        if is_busy { Err(Status::MicrovisorBusy) } else { Ok(()) }
    }
}

/// `mvSystemLedEnable`.
pub(crate) fn system_led(port: &mut Port<'_>, enable: u32) -> Result<(), Status> {
    port.not_in_handler()?;
    let enable = match enable {
        0 => false,
        1 => true,
        _ => return Err(Status::ParameterFault),
    };
    if port.hardware.set_system_led(enable) { Ok(()) } else { Err(Status::Unavailable) }
}

/// An argument of an enumeration of one byte (D08): the register's upper bytes are not part of it (D85).
fn one_byte(register: u32) -> u32 {
    register & 0xff
}
