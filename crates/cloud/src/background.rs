//! The background tasks of a running cloud.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::clock::{ClockWatch, Epoch, wall_millis};
use crate::limits::{AUDIT_AGE, Limits};
use crate::log_intake::{self, Intake};
use crate::presence;
use crate::revocation;
use crate::shared::Shared;
use crate::store::{LogRetention, Store, StoreError};
use crate::supervisor::Supervisor;

/// The tasks that run beside the sessions.
pub(crate) struct Background {
    log_writer: JoinHandle<()>,
    pruner: JoinHandle<()>,
    presence: JoinHandle<()>,
    revocation: JoinHandle<()>,
}

impl Background {
    /// Spawns all of them. All but the log writer hold the store weakly, so that they do not keep a stopped cloud's
    /// store open.
    pub(crate) fn spawn(tasks: &Arc<Supervisor>, shared: &Shared, intake: Arc<Intake>) -> Self {
        Self {
            log_writer: spawn_log_writer(tasks, shared, intake),
            pruner: spawn_pruner(tasks, shared),
            presence: spawn_presence(tasks, shared),
            revocation: spawn_revocation(tasks, shared),
        }
    }

    /// Stops the tasks that only work for connected devices.
    pub(crate) fn abort_watchers(&self) {
        self.pruner.abort();
        self.presence.abort();
        self.revocation.abort();
    }

    /// Waits until the log writer has stored everything, but at most `patience`. It ends when its last session is gone.
    pub(crate) async fn finish_logs(mut self, patience: Duration) {
        if tokio::time::timeout(patience, &mut self.log_writer).await.is_err() {
            self.log_writer.abort();
        }
    }
}

fn spawn_log_writer(tasks: &Arc<Supervisor>, shared: &Shared, intake: Arc<Intake>) -> JoinHandle<()> {
    let (store, metrics) = (shared.store.clone(), shared.metrics.clone());
    tasks.spawn("log writer", move || log_intake::run(store.clone(), intake.clone(), metrics.clone()))
}

fn spawn_presence(tasks: &Arc<Supervisor>, shared: &Shared) -> JoinHandle<()> {
    let (store, registry) = (Arc::downgrade(&shared.store), shared.registry.clone());
    tasks.spawn("presence", move || presence::run(store.clone(), registry.clone()))
}

fn spawn_revocation(tasks: &Arc<Supervisor>, shared: &Shared) -> JoinHandle<()> {
    let (store, registry) = (Arc::downgrade(&shared.store), shared.registry.clone());
    let (metrics, timeout) = (shared.metrics.clone(), shared.limits.authorization_timeout);
    tasks.spawn("revocation", move || {
        revocation::run(store.clone(), registry.clone(), metrics.clone(), timeout)
    })
}

fn spawn_pruner(tasks: &Arc<Supervisor>, shared: &Shared) -> JoinHandle<()> {
    let (store, epoch, limits) = (Arc::downgrade(&shared.store), shared.epoch, shared.limits.clone());
    tasks.spawn("pruner", move || prune(store.clone(), epoch, limits.clone()))
}

/// Removes old log lines periodically, as long as anyone else has the store.
async fn prune(store: Weak<Store>, epoch: Epoch, limits: Limits) {
    // At least a second, since an interval of zero panics.
    let mut ticks = interval(limits.log_prune_interval.max(Duration::from_secs(1)));
    let mut clock = None;
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = prune_once(&store, epoch, &limits, &mut clock).await {
            tracing::error!(name: "log_removal_failed", %error, "cannot remove old log lines");
        }
    }
}

/// Removes log lines in excess, and those that are too old unless the clock is in doubt, because a wrong clock would
/// delete everything (D164).
async fn prune_once(
    store: &Store,
    epoch: Epoch,
    limits: &Limits,
    clock: &mut Option<ClockWatch>,
) -> Result<(), StoreError> {
    let now = wall_millis();
    let watch = match clock {
        Some(watch) => watch,
        None => clock.insert(ClockWatch::new(store.newest_moment().await?, now)),
    };
    if let Some(step) = watch.update(now, epoch.now().as_millis()) {
        tracing::warn!(
            name: "clock_moved",
            hours = step / 3_600_000,
            "the clock has moved forward: for a day no log lines are removed by age; correct it if it is wrong"
        );
    }
    let is_trusted = watch.is_trusted();
    let age = if is_trusted { limits.log_age } else { Duration::MAX };
    store.prune_logs(LogRetention { lines: limits.log_lines, age }).await?;
    if !is_trusted {
        return Ok(());
    }
    // A moment in doubt is not recorded: the next start would take it for the truth (D164).
    store.prune_audit(AUDIT_AGE).await?;
    store.record_moment(now).await
}

#[cfg(test)]
mod tests;
