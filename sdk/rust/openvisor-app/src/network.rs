//! The network: requested once, then monitored; released on drop.

use core::future::poll_fn;
use core::task::Poll;

use openvisor_sys::{
    MV_NETWORKSTATUS_CONNECTED, MV_STATUS_TOOMANYNOTIFICATIONBUFFERS, MvNetworkHandle, MvNetworkReason,
    MvNetworkStatus, MvRequestNetworkParams, MvRequestNetworkParamsV1, mvGetNetworkReasons,
    mvGetNetworkStatus, mvReleaseNetwork, mvRequestNetwork,
};

use crate::centre::{READABLE, Signal};
use crate::{Centre, Result, clock};

/// A request for the network: it is up for as long as there is one.
pub struct Network {
    handle: MvNetworkHandle,
    signal: &'static Signal,
}

impl Network {
    /// Requests the network, and opens the centre if it is not. [`MV_STATUS_TOOMANYNOTIFICATIONBUFFERS`] also says that
    /// the centre serves as many networks and channels as it can.
    pub fn request(centre: &'static Centre) -> Result<Self> {
        centre.open()?;
        let signal = centre.claim().ok_or(MV_STATUS_TOOMANYNOTIFICATIONBUFFERS)?;
        let v1 =
            MvRequestNetworkParamsV1 { notification_handle: centre.handle(), notification_tag: signal.tag() };
        let params = MvRequestNetworkParams { version: 1, v1 };
        let mut handle = 0;
        // SAFETY: reads the parameters, writes the handle.
        if let Err(status) = unsafe { mvRequestNetwork(&raw const params, &raw mut handle) }.ok() {
            signal.release();
            return Err(status);
        }
        // The link may be up already: the first check must not wait for an event.
        signal.set(READABLE);
        Ok(Self { handle, signal })
    }

    /// The handle, for system calls that this crate does not make.
    pub fn handle(&self) -> MvNetworkHandle {
        self.handle
    }

    /// Whether the status may have changed since the last time; [`Network::status`] has the new one.
    pub fn take_changed(&self) -> bool {
        self.signal.take(READABLE)
    }

    /// The status now.
    pub fn status(&self) -> Result<MvNetworkStatus> {
        let mut status = MvNetworkStatus(0);
        // SAFETY: writes the status.
        unsafe { mvGetNetworkStatus(self.handle, &raw mut status) }.ok()?;
        Ok(status)
    }

    /// Waits until the network is connected.
    pub fn wait_connected(&self) -> Result<()> {
        loop {
            if self.take_changed() && self.status()? == MV_NETWORKSTATUS_CONNECTED {
                return Ok(());
            }
            clock::idle();
        }
    }

    /// Waits until the status may have changed.
    pub async fn changed(&self) {
        poll_fn(|context| {
            self.signal.register(context.waker());
            if self.take_changed() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits until the network is connected.
    pub async fn connected(&self) -> Result<()> {
        while self.status()? != MV_NETWORKSTATUS_CONNECTED {
            self.changed().await;
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // SAFETY: writes the handle.
        let _ = unsafe { mvReleaseNetwork(&raw mut self.handle) };
        self.signal.release();
    }
}

/// Why the device is online, or is not: a set of bits.
pub fn reasons() -> Result<MvNetworkReason> {
    let (mut reasons, mut requests) = (MvNetworkReason(0), 0);
    // SAFETY: writes both.
    unsafe { mvGetNetworkReasons(&raw mut reasons, &raw mut requests) }.ok()?;
    Ok(reasons)
}
