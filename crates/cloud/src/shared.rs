//! What all sessions of a cloud share.

use std::sync::Arc;

use relay::TlsPorts;
use tokio::sync::broadcast;

use crate::accounts::Accounts;
use crate::clock::{Epoch, wall_millis};
use crate::cloud_config::Config;
use crate::connector::{Connector, Trust};
use crate::events::{Event, EventKind};
use crate::id::AccountId;
use crate::id::DeviceId;
use crate::limits::{BURST_SECONDS, EVENT_QUEUE, Limits};
use crate::log_intake::LogIntake;
use crate::memory_limit::MemoryPool;
use crate::metrics::Metrics;
use crate::rate::Rates;
use crate::refusal_cache::RefusalCache;
use crate::registry::Registry;
use crate::start_error::StartError;
use crate::store::Store;

/// The parts of a cloud that sessions use.
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
    /// Memory in use for all devices.
    pub(crate) memory: Arc<MemoryPool>,
    pub(crate) log_intake: LogIntake,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl Shared {
    /// # Errors
    /// An extra authority cannot be used; an account of [`Config::require_tls_of`] does not exist.
    pub(crate) async fn new(
        config: &Config,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        log_intake: LogIntake,
    ) -> Result<Self, StartError> {
        let limits = &config.limits;
        let trust = Trust::new(&config.extra_authorities)?;
        let connector = Connector::new(config.destinations.clone(), config.resolve.clone(), trust, limits);
        let require_tls = accounts_named(&store, &config.require_tls_of).await?;
        Ok(Self {
            epoch: Epoch::start(),
            connector: Arc::new(connector.with_name_servers(config.name_servers.clone(), limits)),
            accounts: Accounts::new(store.clone(), limits.clone(), require_tls),
            device_rates: Rates::new(limits.connections_a_second_per_device, BURST_SECONDS),
            memory: Arc::new(MemoryPool::new(limits.memory)),
            limits: limits.clone(),
            require_tls: config.require_tls,
            tls_ports: config.tls_ports,
            store,
            registry: Arc::default(),
            refused: RefusalCache::default(),
            log_intake,
            metrics,
            events: broadcast::channel(EVENT_QUEUE).0,
        })
    }

    /// Whether anyone receives events.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Sends an event, which is built only if anyone receives it.
    pub(crate) fn emit(&self, device: DeviceId, kind: impl FnOnce() -> EventKind) {
        if self.has_subscribers() {
            let _ = self.events.send(Event { device, at: wall_millis(), kind: kind() });
        }
    }
}

/// The accounts with these ids or names.
async fn accounts_named(store: &Store, named: &[String]) -> Result<Vec<AccountId>, StartError> {
    let mut accounts = Vec::new();
    for name in named {
        let account = store.account_named(name).await?;
        accounts.push(account.ok_or_else(|| StartError::NoAccount(name.clone()))?.id);
    }
    Ok(accounts)
}
