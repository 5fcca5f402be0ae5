//! Whether a device may connect, and what it occupies while it is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::accounts::Account;
use crate::gateway::Admitted;
use crate::metrics;
use crate::quota::Permit;
use crate::registry::{Command, EndReason, RegistrationGuard};
use crate::shared::Shared;
use crate::sources::SourcePermit;
use crate::store::Logging;

/// The outcome for a device that wants to connect.
pub(super) enum Decision {
    Admitted(Grant),
    Refused(EndReason),
    /// The cloud stops, and no session begins any more.
    Stopping,
}

/// What an admitted device is given.
pub(super) struct Grant {
    pub(super) logging: Logging,
    account: Arc<Account>,
    permit: Permit,
    registration: RegistrationGuard,
}

/// Decides about a device whose certificate has been verified.
pub(super) async fn decide(shared: &Shared, admitted: &Admitted) -> Decision {
    let (device, address, fingerprint) = (admitted.device, admitted.address, admitted.fingerprint);
    let start = Instant::now();
    if let Some(reason) = known_refusal(shared, admitted, start) {
        tracing::warn!(name: "device_refused", %device, %address, reason = reason.label(), "device refused without asking the store");
        return Decision::Refused(reason);
    }
    let found = shared.store.admission(device).await;
    metrics::observe(&shared.metrics.store_seconds.admit, start.elapsed());
    let reason = match found {
        Ok(Some(found)) if found.fingerprint == fingerprint => {
            return admit(shared, admitted, shared.accounts.get(found.account), found.logging, start);
        }
        // Unknown, or known by another certificate.
        Ok(_) => EndReason::Revoked,
        Err(error) => {
            tracing::error!(name: "admission_failed", %device, %error, "cannot read the store about a device");
            shared.metrics.store_failures.with_label_values(&["admit"]).inc();
            EndReason::Internal
        }
    };
    tracing::warn!(name: "device_refused", %device, %address, reason = reason.label(), "device refused");
    shared.refused.insert(device, fingerprint, reason, start);
    Decision::Refused(reason)
}

/// Refusals that need no store, so that a device that reconnects in a loop does not load it, because it was refused a
/// moment ago or connects too often (D173).
fn known_refusal(shared: &Shared, admitted: &Admitted, now: Instant) -> Option<EndReason> {
    if let Some(reason) = shared.refused.get(admitted.device, admitted.fingerprint, now) {
        return Some(reason);
    }
    if shared.device_rates.admits(admitted.device, now) {
        return None;
    }
    shared.metrics.count_limit("connections_a_second_per_device");
    Some(EndReason::TooOften)
}

/// Admits a device whose account has room for it.
fn admit(
    shared: &Shared,
    admitted: &Admitted,
    account: Arc<Account>,
    logging: Logging,
    start: Instant,
) -> Decision {
    let (device, fingerprint) = (admitted.device, admitted.fingerprint);
    // A reconnecting device keeps its account slot: its old session, which still holds one, is about to be replaced.
    let replacing = || shared.registry.is_connected(device).then(|| account.devices.acquire_unchecked());
    let Some(permit) = account.devices.try_acquire().or_else(replacing) else {
        let address = admitted.address;
        tracing::warn!(name: "device_refused", %device, %address, reason = EndReason::TooMany.label(), account = account.store.account(), "too many devices of its account");
        shared.metrics.count_limit("connections_per_account");
        shared.refused.insert(device, fingerprint, EndReason::TooMany, start);
        return Decision::Refused(EndReason::TooMany);
    };
    match shared.registry.register(device, fingerprint) {
        Some(registration) => Decision::Admitted(Grant { logging, account, permit, registration }),
        None => Decision::Stopping,
    }
}

/// What a connection occupies, until it is dropped.
pub(super) struct Admission {
    address: SocketAddr,
    /// `None` for a device that is refused.
    granted: Option<Granted>,
    _connection: SourcePermit,
}

struct Granted {
    account: Arc<Account>,
    registration: RegistrationGuard,
    _permit: Permit,
}

impl Admission {
    pub(super) fn new(address: SocketAddr, connection: SourcePermit, grant: Option<Grant>) -> Self {
        let granted = grant.map(|grant| Granted {
            account: grant.account,
            registration: grant.registration,
            _permit: grant.permit,
        });
        Self { address, granted, _connection: connection }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn is_refused(&self) -> bool {
        self.granted.is_none()
    }

    /// The device's account; `None` for a device that is refused.
    pub(super) fn account(&self) -> Option<&Arc<Account>> {
        self.granted.as_ref().map(|granted| &granted.account)
    }

    /// The next command from the rest of the cloud.
    pub(super) fn poll_command(&self, context: &mut Context<'_>) -> Poll<Command> {
        match &self.granted {
            Some(granted) => granted.registration.poll_command(context),
            None => Poll::Pending,
        }
    }
}
