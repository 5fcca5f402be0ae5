//! Sleep, restart, the end of a factory test, and the LED that shows the connection.

use abi::Status;
use abi::power::{DeepSleepMode, PowerSavingMode, RestartMode};

use crate::boot::Boot;
use crate::memory::{OutParam, Phase as _};
use crate::network::Network;
use crate::outcome::Outcome;
use crate::port::Port;

/// `mvPowerSave`.
pub(crate) fn save(
    network: &Network,
    clock_is_set: bool,
    port: &Port<'_>,
    mode: u32,
) -> Result<Outcome, Status> {
    port.require_thread_mode()?;
    let mode = PowerSavingMode::from_raw(one_byte(mode)).ok_or(Status::ParameterFault)?;
    require_idle_network(network, clock_is_set)?;
    Ok(Outcome::Sleep { mode })
}

/// `mvDeepSleep`.
pub(crate) fn deep_sleep(
    network: &Network,
    clock_is_set: bool,
    port: &Port<'_>,
    mode: u32,
) -> Result<Outcome, Status> {
    port.require_thread_mode()?;
    let mode = DeepSleepMode::from_raw(one_byte(mode)).ok_or(Status::ParameterFault)?;
    require_idle_network(network, clock_is_set)?;
    Ok(Outcome::DeepSleep { mode, check_in_at: network.check_in_after_sleep() })
}

/// `mvRestart`. Applications call it while connected, so the network may be in use; only the download of an update is
/// not cut short (D105).
pub(crate) fn restart(network: &Network, port: &Port<'_>, mode: u32) -> Result<Outcome, Status> {
    port.require_thread_mode()?;
    let RestartMode::AutoApplyUpdate = RestartMode::from_raw(mode).ok_or(Status::ParameterFault)?;
    if network.is_fetching_update() {
        return Err(Status::MicrovisorBusy);
    }
    Ok(Outcome::Restart)
}

/// `mvGetWakeReason`. The enumeration is one byte (D08), and the header documents `UNAVAILABLE` for handlers (D05).
pub(crate) fn wake_reason(boot: &Boot, port: &mut Port<'_>, to: u32) -> Result<(), Status> {
    port.require_thread_mode()?;
    let to = OutParam::<1>::check(port.memory, to).early()?;
    to.write(port.memory, [boot.wake_reason.raw()]).early()
}

/// `mvTestingComplete`: only in a factory test, because nothing runs after it (D107).
pub(crate) fn testing_complete(boot: &Boot, status: u32) -> Result<Outcome, Status> {
    if boot.application_test { Ok(Outcome::TestingComplete { status }) } else { Err(Status::Unavailable) }
}

/// `mvSystemLedEnable`.
pub(crate) fn system_led(port: &mut Port<'_>, enable: u32) -> Result<(), Status> {
    port.require_thread_mode()?;
    let enable = match enable {
        0 => false,
        1 => true,
        _ => return Err(Status::ParameterFault),
    };
    if port.hardware.set_system_led(enable) { Ok(()) } else { Err(Status::Unavailable) }
}

/// `MICROVISORBUSY` while there is a connection, one is being made or about to be, or an update is being downloaded,
/// because sleep would break it (D105).
fn require_idle_network(network: &Network, clock_is_set: bool) -> Result<(), Status> {
    let is_busy = network.wants_link(clock_is_set) || network.is_active() || network.is_fetching_update();
    if is_busy { Err(Status::MicrovisorBusy) } else { Ok(()) }
}

/// An argument that is a one-byte enumeration (D08): the register's upper bytes are undefined by the calling convention
/// (D85).
fn one_byte(register: u32) -> u32 {
    register & 0xff
}
