//! The system calls of the network.
//!
//! Requesting and releasing also affect the link, channels and other applications of the network's status. The dispatch
//! leads from here to `Kernel::network_requested` and `Kernel::network_released`, which may touch all of these.

use abi::Status;
use abi::network::RequestNetworkParams;

use super::{Network, NetworkHandle};
use crate::handles::HandleAllocator;
use crate::memory::{HandleParam, OutParam, Phase as _, read_struct};
use crate::notifications::{NotificationTarget, Notifications};
use crate::port::Port;

/// `mvRequestNetwork`; returns where the events of the new handle go.
pub(crate) fn request(
    network: &mut Network,
    handles: &mut HandleAllocator,
    notifications: &Notifications,
    port: &mut Port<'_>,
    params: u32,
    handle_out: u32,
) -> Result<NotificationTarget, Status> {
    let params: RequestNetworkParams = read_struct(port.memory, params).early()?;
    let handle_out = OutParam::check(port.memory, handle_out).early()?;
    if params.version != 1 {
        return Err(Status::UnsupportedStructureVersion);
    }
    // The header documents no other status for these two (D20).
    if !notifications.contains(params.notification_handle) {
        return Err(Status::ParameterFault);
    }
    let slot = network.handles.iter_mut().find(|slot| slot.is_none()).ok_or(Status::ParameterFault)?;

    let handle = handles.allocate();
    handle_out.write_u32(port.memory, handle).early()?;
    let target = NotificationTarget { centre: params.notification_handle, tag: params.notification_tag };
    *slot = Some(NetworkHandle { handle, target });
    network.on_requested(port.now);
    Ok(target)
}

/// `mvReleaseNetwork`; returns the handle, whose channels lose their network even if another handle keeps the link up
/// (N77).
pub(crate) fn release(network: &mut Network, port: &mut Port<'_>, handle: u32) -> Result<u32, Status> {
    let handle = HandleParam::check(port.memory, handle).early()?;
    let released = handle.value;
    let is_it = |slot: &&mut Option<NetworkHandle>| slot.is_some_and(|known| known.handle == released);
    let slot = network.handles.iter_mut().find(is_it).ok_or(Status::InvalidHandle)?;

    handle.clear(port.memory).early()?;
    *slot = None;
    Ok(released)
}

/// `mvGetNetworkStatus`: the status of this moment, which may be newer than the last event (N46). 0 and stale handles
/// are errors, because an application that asks without a handle has lost track of its own (D22).
pub(crate) fn status(
    network: &Network,
    clock_is_set: bool,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    if !network.contains(handle) {
        return Err(Status::InvalidHandle);
    }
    to.write_u32(port.memory, network.status(port.now, clock_is_set).raw()).early()
}

/// `mvGetNetworkReasons`.
pub(crate) fn reasons(
    network: &Network,
    clock_is_set: bool,
    port: &mut Port<'_>,
    reasons: u32,
    count: u32,
) -> Result<(), Status> {
    let reasons = OutParam::check(port.memory, reasons).early()?;
    let count = OutParam::check(port.memory, count).early()?;
    reasons.write_u32(port.memory, network.reasons(clock_is_set).raw()).early()?;
    count.write_u32(port.memory, network.count()).early()
}
