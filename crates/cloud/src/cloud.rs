//! A running cloud: starting and stopping it, and what its owner can do with it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::authority::Identity;
use crate::background::Background;
use crate::cloud_config::Config;
use crate::data::{DataFolder, FolderLock};
use crate::events::Event;
use crate::gateway::{Admitted, Gateway};
use crate::id::AccountId;
use crate::id::DeviceId;
use crate::limits::{Limits, LoweredLimit, descriptors};
use crate::log_intake;
use crate::metrics::Metrics;
use crate::monitor::{self, Monitor};
use crate::provisioning::{self, ProvisionError};
use crate::registry::{Command, EndReason};
use crate::session;
use crate::shared::Shared;
use crate::start_error::StartError;
use crate::store::{Logging, Store, StoreError, StoreLease};
use crate::supervisor::{PanicCount, Supervisor};

/// A running cloud. Dropped without [`Cloud::stop`], it closes its connections without a `BYE`.
pub struct Cloud {
    shared: Arc<Shared>,
    folder: DataFolder,
    address: SocketAddr,
    monitor: Arc<Monitor>,
    metrics_address: Option<SocketAddr>,
    lowered: Vec<LoweredLimit>,
    monitoring: Option<JoinHandle<()>>,
    stop: oneshot::Sender<()>,
    gateway: JoinHandle<()>,
    background: Background,
    tasks: Arc<Supervisor>,
    _lease: StoreLease,
    _lock: FolderLock,
}

impl Cloud {
    /// Starts a cloud, which serves devices from now on.
    ///
    /// # Errors
    /// One line that names the cause; nothing is left running.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let lowered = fit_descriptors(&mut config.limits);
        let folder = DataFolder::open(&config.data)?;
        let lock = folder.lock()?;
        let metrics = Arc::new(Metrics::new());
        let gateway = Gateway::new(&folder.authority()?, &config, metrics.clone())?;
        // Before the port: once that is open, clients expect an answer.
        let store = Arc::new(Store::open_at(&folder, config.store.as_ref()).await?);
        let lease = store.acquire_lease().await?;
        let (log_intake, intake) = log_intake::intake();
        let shared = Arc::new(Shared::new(&config, store, metrics, log_intake).await?);
        let (listener, address) = listen(config.listen).await?;
        let monitored = match config.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let metrics_address = monitored.as_ref().map(|(_, address)| *address);
        let tasks = Supervisor::new(shared.metrics.clone());
        let monitor = Arc::new(new_monitor(&shared, &gateway, tasks.clone()));
        let monitoring = monitored
            .map(|(listener, _)| tasks.spawn_once("monitor", monitor::run(listener, monitor.clone())));
        let (stop, stopped) = oneshot::channel();
        tracing::info!(name: "cloud_started", %address, data = %folder.path().display(), "cloud started");
        Ok(Self {
            monitor,
            metrics_address,
            monitoring,
            gateway: tasks.spawn_once("gateway", gateway.run(listener, stopped, serve(&shared))),
            background: Background::spawn(&tasks, &shared, intake),
            tasks,
            lowered,
            shared,
            folder,
            address,
            stop,
            _lease: lease,
            _lock: lock,
        })
    }

    /// Waits until the cloud cannot continue, because one of its tasks panicked too often, and returns the name of that
    /// task. The cloud should then be stopped.
    pub async fn failed(&self) -> &'static str {
        self.tasks.failed().await
    }

    /// The address it listens on for devices.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address it serves health and metrics on, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Limits that are lower than configured because the process may not open more files, since otherwise connections
    /// would fail one by one (D175).
    pub fn lowered_limits(&self) -> &[LoweredLimit] {
        &self.lowered
    }

    /// Stops the cloud so that nothing a device has in flight is lost without an answer (D123): no connection is
    /// accepted, nothing more is read from devices, requests in flight are answered, every device is sent `BYE`
    /// *shutting down*, pending log lines are stored. This takes at most [`Limits::drain_timeout`] and four seconds
    /// more than four times [`Limits::farewell_timeout`], and much less when nothing hangs.
    pub async fn stop(self) {
        let patience = self.shared.limits.farewell_timeout + Duration::from_secs(1);
        self.monitor.accepting.store(false, Ordering::Relaxed);
        self.shared.registry.close();
        let _ = self.stop.send(());
        let _ = self.gateway.await;
        self.background.abort_watchers();
        let store = self.shared.store.clone();
        // This is the last user of the log intake; the log writer ends when it has written what is left.
        drop(self.shared);
        self.background.finish_logs(patience).await;
        let _ = timeout(patience, store.clear_presence(true)).await;
        let _ = timeout(patience, store.close()).await;
        if let Some(monitoring) = self.monitoring {
            monitoring.abort();
        }
        tracing::info!(name: "cloud_stopped", "cloud stopped");
    }

    /// Adds a device to the first account and issues its identity, whose private key is stored nowhere else.
    ///
    /// # Errors
    /// A name that is taken or invalid; errors of the data folder and the store.
    pub async fn provision(&self, name: Option<&str>) -> Result<Identity, ProvisionError> {
        provisioning::issue(&self.folder, &self.shared.store, name).await
    }

    /// Adds a device to another account.
    ///
    /// # Errors
    /// As [`Cloud::provision`].
    pub async fn provision_in(
        &self,
        account: AccountId,
        name: Option<&str>,
    ) -> Result<Identity, ProvisionError> {
        provisioning::issue(&self.folder, &self.shared.store.of_account(account), name).await
    }

    /// Issues a new identity for a device. The old one becomes invalid at once, and a connection made with it is
    /// closed.
    ///
    /// # Errors
    /// As [`Cloud::provision`]; [`StoreError::NoDevice`] for an unknown device.
    pub async fn renew(&self, device: DeviceId) -> Result<Identity, ProvisionError> {
        let identity = self.folder.authority()?.issue_device(device);
        self.shared.store.of_device(device).await?.set_fingerprint(device, identity.fingerprint()).await?;
        self.shared.registry.send(device, Command::End(EndReason::Revoked));
        Ok(identity)
    }

    /// Subscribes to the events of all devices. A subscriber that falls far behind misses events, and receives their
    /// number.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The store, as the first account's view; [`Store::of_account`] gives the others'.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Whether a device is connected.
    pub fn is_connected(&self, device: DeviceId) -> bool {
        self.shared.registry.is_connected(device)
    }

    /// Turns logging of a device on until `expires` (milliseconds since 1970; `None`: for good), or off. A connected
    /// device is notified.
    pub async fn set_logging(
        &self,
        device: DeviceId,
        enabled: bool,
        expires: Option<i64>,
    ) -> Result<(), StoreError> {
        self.shared.store.of_device(device).await?.set_logging(device, enabled, expires).await?;
        self.shared.registry.send(device, Command::Logging(Logging::new(enabled, expires)));
        Ok(())
    }

    /// Removes a device and closes its connection. `false` when it did not exist.
    pub async fn remove_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        let removed = match self.shared.store.of_device(device).await {
            Ok(store) => store.remove_device(device).await?,
            Err(StoreError::NoDevice(_)) => false,
            Err(error) => return Err(error),
        };
        self.shared.registry.send(device, Command::End(EndReason::Revoked));
        Ok(removed)
    }
}

/// Lowers the limits to what the process's file descriptors allow, and returns those that were lowered.
fn fit_descriptors(limits: &mut Limits) -> Vec<LoweredLimit> {
    let Some(available) = descriptors::available() else { return Vec::new() };
    let lowered = limits.fit_descriptors(available);
    if !lowered.is_empty() {
        let list: Vec<_> = lowered.iter().map(ToString::to_string).collect();
        tracing::warn!(name: "limits_lowered", available, lowered = %list.join(", "), "limits lowered: too few file descriptors");
    }
    lowered
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen(address, error),
    })?;
    let bound = listener.local_addr().map_err(|error| StartError::Listen(address, error))?;
    Ok((listener, bound))
}

fn new_monitor(shared: &Shared, gateway: &Gateway, tasks: Arc<Supervisor>) -> Monitor {
    let (connections, handshakes) = gateway.quotas();
    Monitor {
        metrics: shared.metrics.clone(),
        registry: shared.registry.clone(),
        connections,
        handshakes,
        memory: shared.memory.clone(),
        log_intake: shared.log_intake.downgrade(),
        store: Arc::downgrade(&shared.store),
        tasks,
        accepting: AtomicBool::new(true),
    }
}

/// Runs the session of an authenticated connection.
fn serve(shared: &Arc<Shared>) -> impl Fn(Box<Admitted>) -> SessionFuture + Clone + Send + 'static {
    let shared = shared.clone();
    move |admitted| {
        let count = PanicCount(shared.metrics.clone());
        let session = session::serve(shared.clone(), admitted);
        Box::pin(async move {
            let _count = count;
            session.await;
        })
    }
}

type SessionFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
