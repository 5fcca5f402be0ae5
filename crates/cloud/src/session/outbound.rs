//! A session's connections to brokers, HTTP exchanges and configuration fetches: when they begin, what they occupy, and how they
//! end.

use std::future::poll_fn;

use relay::{ConnectError, ConnectionId, ExchangeId, HttpError, HttpOutcome, HttpRequest, LookupId};
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::broker::{Broker, BrokerPermit};
use super::{Session, translate};
use crate::account_id::AccountId;
use crate::accounts::Permit;
use crate::connector::{Owner, Transport};
use crate::http;
use crate::limits::{MAX_VALUE, READ_CHUNK};
use crate::metrics;
use crate::pipe::Pipe;
use crate::store::Value;

impl Session {
    /// Connects to a broker, when the device's rate allows it.
    pub(super) fn open(&mut self, connection: ConnectionId, target: relay::Target) {
        let (connector, owner) = (self.shared.connector.clone(), self.owner());
        let target = translate::target(target);
        let (host, port, tls) = (text::redacted_host(&target.host), target.port, target.tls.is_some());
        tracing::debug!(device = %self.device, connection = connection.0, %host, port, tls, "connecting to a broker");
        let given = translate::target_bytes(&target);
        let (share, start) = (self.outbound(), self.start());
        let is_allowed = share.is_some();
        let connecting = Box::pin(async move {
            if !is_allowed {
                return Err(ConnectError::TooMany);
            }
            wait(start).await;
            connector.connect_for(owner, target).await
        });
        let permit = BrokerPermit::new(share, self.shared.metrics.brokers.clone());
        self.brokers.push(Broker::new(connection, connecting, permit, given));
    }

    /// On whose behalf names are looked up.
    fn owner(&self) -> Owner {
        let account = self.account.as_ref().and_then(|account| AccountId::parse(account.store.account()));
        Owner { account, device: Some(self.device) }
    }

    /// When a connect, an exchange or a fetch that is asked for now may begin; `None` for at once (D122).
    fn start(&mut self) -> Option<Instant> {
        let start = self.meters.start();
        if start.is_some() {
            self.shared.metrics.note_limit("channels_a_second");
        }
        start
    }

    /// A part in the connections the account may have, if there still is one and memory is not short.
    fn outbound(&self) -> Option<Permit> {
        if self.memory.is_throttled() {
            self.shared.metrics.note_limit("memory");
            return None;
        }
        let share = self.account.as_ref()?.outbound.take();
        if share.is_none() {
            tracing::warn!(device = %self.device, "too many outbound connections of its account");
            self.shared.metrics.note_limit("outbound_connections_per_account");
        }
        share
    }

    pub(super) fn with_pipe(
        &mut self,
        connection: ConnectionId,
        act: impl FnOnce(&mut Pipe<Box<dyn Transport>>),
    ) {
        let broker = self.brokers.iter_mut().find(|broker| broker.id == connection);
        if let Some(pipe) = broker.and_then(Broker::pipe) {
            act(pipe);
        }
    }

    /// Ends a broker connection: at once, or in good order and beside the session, which has no more to do with it. Either way
    /// what it occupies is given back when the socket is closed, not before.
    pub(super) fn close(&mut self, connection: ConnectionId, abort: bool) {
        let Some(index) = self.brokers.iter().position(|broker| broker.id == connection) else { return };
        let broker = self.brokers.remove(index);
        let Some((mut pipe, permit)) = broker.into_open().filter(|_| !abort) else { return };
        let patience = self.shared.limits.farewell_timeout;
        tokio::spawn(async move {
            let closed = poll_fn(|context| pipe.poll_close(context, &mut [0; READ_CHUNK]));
            let _ = timeout(patience, closed).await;
            drop(pipe);
            drop(permit);
        });
    }

    /// Ends all of them at once.
    pub(super) fn drop_brokers(&mut self) {
        self.brokers.clear();
    }

    pub(super) fn look_up(&mut self, lookup: LookupId, keys: Vec<relay::LookupKey>) {
        let (shared, device) = (self.shared.clone(), self.device);
        let Some(account) = self.account.clone() else { return };
        let start = self.start();
        let wanted: Vec<_> = keys.into_iter().map(translate::wanted).collect();
        let reserved = wanted.len() * MAX_VALUE;
        let future = async move {
            wait(start).await;
            let asked = Instant::now();
            let found = account.store.look_up(device, &wanted).await;
            metrics::observe(&shared.metrics.store_seconds.look_up, asked.elapsed());
            found.unwrap_or_else(|error| {
                shared.metrics.store_failures.with_label_values(&["look_up"]).inc();
                tracing::error!(%device, %error, "configuration cannot be read");
                vec![Value::Unavailable; wanted.len()]
            })
        };
        self.lookups.push(lookup, reserved, future);
    }

    /// Carries an HTTP request. Waiting for its turn is part of the time the application gave it.
    pub(super) fn start_exchange(&mut self, exchange: ExchangeId, mut request: HttpRequest) {
        let (connector, owner) = (self.shared.connector.clone(), self.owner());
        let (share, start) = (self.outbound(), self.start());
        let reserved = request.bytes() + request.max_response_length as usize;
        let deadline = Instant::now() + Duration::from(request.timeout);
        self.exchanges.push(exchange, reserved, async move {
            if share.is_none() {
                return HttpOutcome::Failed(HttpError::Connection(ConnectError::TooMany));
            }
            wait(start.map(|start| start.min(deadline))).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return HttpOutcome::Failed(HttpError::TimedOut);
            }
            request.timeout = left.into();
            http::exchange(&connector, owner, request).await
        });
    }
}

async fn wait(until: Option<Instant>) {
    if let Some(until) = until {
        sleep_until(until).await;
    }
}
