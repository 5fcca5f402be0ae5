//! What a session starts for its device and takes a permit of its account for: connects to brokers, HTTP exchanges,
//! configuration fetches.

use relay::{
    ConnectError, ConnectionId, ExchangeId, HttpError, HttpOutcome, HttpRequest, LookupId, LookupKey, Target,
    Value,
};
use tokio::time::{Duration, Instant, sleep_until};

use super::Session;
use super::pending::Pending;
use crate::connector::Owner;
use crate::http;
use crate::id::AccountId;
use crate::limits::MAX_VALUE;
use crate::metrics;
use crate::quota::Permit;

/// The requests that are running.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) lookups: Pending<LookupId, Vec<Value>>,
    pub(super) exchanges: Pending<ExchangeId, HttpOutcome>,
}

impl Requests {
    /// Bytes reserved for their results.
    pub(super) fn memory_reserved(&self) -> usize {
        self.exchanges.memory_reserved() + self.lookups.memory_reserved()
    }
}

impl Session {
    /// Connects to a broker, when the device's rate allows it.
    pub(super) fn open_broker(&mut self, connection: ConnectionId, target: Target) {
        let (connector, owner) = (self.shared.connector.clone(), self.owner());
        let (host, port, tls) = (text::redacted_host(&target.host), target.port, target.tls.is_some());
        tracing::debug!(name: "broker_connecting", device = %self.device, connection = connection.0, host = host.as_str(), port, tls, "connecting to a broker");
        let parameters = target.bytes();
        let (permit, start) = (self.outbound_permit(), self.meters.charge_start());
        let is_allowed = permit.is_some();
        let connecting = Box::pin(async move {
            if !is_allowed {
                return Err(ConnectError::TooMany);
            }
            wait(start).await;
            connector.connect_for(owner, target).await
        });
        self.brokers.add(connection, connecting, permit, parameters);
    }

    /// Reads configuration items from the store.
    pub(super) fn start_lookup(&mut self, lookup: LookupId, keys: Vec<LookupKey>) {
        let (shared, device) = (self.shared.clone(), self.device);
        let Some(account) = self.admission.account().cloned() else { return };
        let start = self.meters.charge_start();
        let reserved = keys.len() * MAX_VALUE;
        let looking_up = async move {
            wait(start).await;
            let start = Instant::now();
            let found = account.store.look_up(device, &keys).await;
            metrics::observe(&shared.metrics.store_seconds.look_up, start.elapsed());
            found.unwrap_or_else(|error| {
                shared.metrics.store_failures.with_label_values(&["look_up"]).inc();
                tracing::error!(name: "config_unreadable", %device, %error, "cannot read configuration");
                vec![Value::Unavailable; keys.len()]
            })
        };
        self.requests.lookups.push(lookup, reserved, looking_up);
    }

    /// Starts an HTTP exchange. Waiting for the rate is part of the timeout the application has set.
    pub(super) fn start_exchange(&mut self, exchange: ExchangeId, mut request: HttpRequest) {
        let (connector, owner) = (self.shared.connector.clone(), self.owner());
        let (permit, start) = (self.outbound_permit(), self.meters.charge_start());
        let reserved = request.bytes() + request.max_response_length as usize;
        let deadline = Instant::now() + Duration::from(request.timeout);
        self.requests.exchanges.push(exchange, reserved, async move {
            // The permit is held until the exchange is over.
            let Some(_permit) = permit else {
                return HttpOutcome::Failed(HttpError::Connection(ConnectError::TooMany));
            };
            // The application's time limit runs while the request is delayed: it is how long the application waits,
            // whatever the cause (D122).
            wait(start.map(|start| start.min(deadline))).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return HttpOutcome::Failed(HttpError::TimedOut);
            }
            request.timeout = left.into();
            http::exchange(&connector, owner, request).await
        });
    }

    /// On whose behalf names are resolved.
    fn owner(&self) -> Owner {
        let account = self.admission.account().and_then(|account| AccountId::parse(account.store.account()));
        Owner { account, device: Some(self.device) }
    }

    /// A permit for an outbound connection; `None` when the account has used up its quota, or memory is short.
    fn outbound_permit(&self) -> Option<Permit> {
        if self.memory.is_throttled() {
            self.shared.metrics.count_limit("memory");
            return None;
        }
        let permit = self.admission.account()?.outbound.try_acquire();
        if permit.is_none() {
            tracing::warn!(name: "outbound_connections_exceeded", device = %self.device, "too many outbound connections of its account");
            self.shared.metrics.count_limit("outbound_connections_per_account");
        }
        permit
    }
}

async fn wait(until: Option<Instant>) {
    if let Some(until) = until {
        sleep_until(until).await;
    }
}
