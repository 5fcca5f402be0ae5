//! The network, and what the log says of it.

use openvisor_app::sys::{
    MV_NETWORKSTATUS_CONNECTED, MV_NETWORKSTATUS_DELIBERATELYOFFLINE, MvClosureReason, MvNetworkReason,
    MvNetworkStatus,
};
use openvisor_app::{Channel, Network, clock, log_line, logging, network};

pub(crate) struct Link {
    network: Network,
    status: MvNetworkStatus,
}

impl Link {
    pub(crate) fn new(network: Network) -> Self {
        Self { network, status: MV_NETWORKSTATUS_DELIBERATELYOFFLINE }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Logs the status if it changed since the last time.
    pub(crate) fn watch(&mut self) {
        if !self.network.take_changed() {
            return;
        }
        if let Some(status) = logging::checked("mvGetNetworkStatus", self.network.status()) {
            self.status = status;
            log_line!("network: {}", status.name());
            log_reasons();
        }
    }

    pub(crate) fn wait_connected(&mut self) {
        self.watch();
        while self.status != MV_NETWORKSTATUS_CONNECTED {
            clock::idle();
            self.watch();
        }
    }
}

fn log_reasons() {
    let Some(reasons) = logging::checked("mvGetNetworkReasons", network::reasons()) else { return };
    for bit in (0..32).map(|shift| 1 << shift).filter(|bit| reasons.0 & bit != 0) {
        log_line!("network: because {}", MvNetworkReason(bit).name());
    }
}

/// Logs why a channel that is about to be closed was lost, if it was.
pub(crate) fn log_closure(channel: &Channel) {
    let reason = channel.is_lost().then(|| channel.closure_reason());
    let reason = reason.and_then(|reason| logging::checked("mvGetChannelClosureReason", reason));
    if let Some(reason) = reason.map(MvClosureReason::name) {
        log_line!("channel: lost, {reason}");
    }
}
