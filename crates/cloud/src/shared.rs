//! What every session of one cloud shares.

use std::sync::Arc;

use relay::TlsPorts;
use tokio::sync::broadcast;

use crate::accounts::Accounts;
use crate::clock::{Epoch, wall_millis};
use crate::connector::Connector;
use crate::device_id::DeviceId;
use crate::events::{Event, EventKind};
use crate::limits::Limits;
use crate::log_intake::LogIntake;
use crate::memory_limit::MemoryPool;
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::refusal_cache::RefusalCache;
use crate::registry::Registry;
use crate::store::Store;

/// The cloud as a session sees it.
pub(crate) struct Shared {
    pub(crate) epoch: Epoch,
    pub(crate) limits: Limits,
    pub(crate) require_tls: bool,
    pub(crate) tls_ports: TlsPorts,
    pub(crate) store: Arc<Store>,
    pub(crate) accounts: Accounts,
    pub(crate) connector: Arc<Connector>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) refused: RefusalCache,
    pub(crate) device_rates: Rates<DeviceId>,
    /// What is held for all devices.
    pub(crate) memory: Arc<MemoryPool>,
    pub(crate) log_intake: LogIntake,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl Shared {
    /// Whether anyone listens to the timeline.
    pub(crate) fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Puts something on the timeline, if anyone listens.
    pub(crate) fn emit(&self, device: DeviceId, kind: impl FnOnce() -> EventKind) {
        if self.is_watched() {
            let _ = self.events.send(Event { device, at: wall_millis(), kind: kind() });
        }
    }
}
