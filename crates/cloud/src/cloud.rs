//! Starting and stopping the whole, and what its owner can do with it meanwhile.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use relay::TlsPorts;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::account_id::AccountId;
use crate::accounts::Accounts;
use crate::authority::{AuthorityError, Identity};
use crate::clock::{ClockWatch, Epoch, wall_millis};
use crate::connector::{AuthoritiesError, Connector, Resolve, Trust};
use crate::data::{DataError, DataFolder, FolderLock};
use crate::destinations::Destinations;
use crate::device_id::DeviceId;
use crate::events::Event;
use crate::gateway::{Admitted, Gateway};
use crate::limits::{BURST_SECONDS, EVENT_QUEUE, Limits, LoweredLimit, descriptors};
use crate::log_intake;
use crate::memory_limit::MemoryPool;
use crate::metrics::Metrics;
use crate::monitor::{self, Monitor};
use crate::presence;
use crate::rate::Rates;
use crate::refusal_cache::RefusalCache;
use crate::registry::{Command, EndReason};
use crate::revocation;
use crate::session;
use crate::shared::Shared;
use crate::store::{LogRetention, Logging, NewItem, Store, StoreError, StoreLease};
use crate::store_url::StoreUrl;
use crate::supervisor::{PanicCount, Supervisor};

/// How a cloud is to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder; made if it does not exist.
    pub data: PathBuf,
    /// Which database is the store; `None`: the one the data folder remembers, else the file in it.
    pub store: Option<StoreUrl>,
    /// Where to listen for devices; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where to answer for health and metrics; port 0 takes any free one. `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Host names and addresses devices dial, for the cloud's certificate.
    pub hosts: Vec<String>,
    /// Where brokers and HTTPS servers may be (D62).
    pub destinations: Destinations,
    /// Brokers and HTTPS servers that are elsewhere than their names say.
    pub resolve: Vec<Resolve>,
    /// Authorities believed beside the public ones where the application names none; [`crate::read_authorities`] reads a file.
    pub extra_authorities: Vec<CertificateDer<'static>>,
    /// The DNS servers names are looked up at; none means those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Whether a broker must be reached by TLS (D42).
    pub require_tls: bool,
    /// Ids or names of accounts for whose devices alone that is so.
    pub require_tls_of: Vec<String>,
    /// Ports on which brokers are reached over TLS where the application gives no TLS credentials (D196).
    pub tls_ports: TlsPorts,
    /// The bounds.
    pub limits: Limits,
}

/// Why a cloud does not start. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken.
    #[error("{0} is in use by another program")]
    AddressInUse(SocketAddr),
    /// It cannot listen there.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No certificate can be made for a host.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// An added authority cannot be used.
    #[error(transparent)]
    ExtraAuthority(#[from] AuthoritiesError),
    /// An account that is to use TLS does not exist.
    #[error("there is no account `{0}`, whose devices are to use TLS only")]
    NoAccount(String),
}

/// Why no identity was made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A running cloud. Dropped without [`Cloud::stop`] it ends without last words.
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
    log_writer: JoinHandle<()>,
    pruner: JoinHandle<()>,
    presence: JoinHandle<()>,
    revocation: JoinHandle<()>,
    tasks: Arc<Supervisor>,
    _lease: StoreLease,
    _lock: FolderLock,
}

impl Config {
    /// A cloud for the machine it runs on: the certificate names `localhost`, the loopback addresses and the address it listens
    /// on; brokers may be on the public internet and on this machine.
    pub fn local(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !listen.ip().is_unspecified() && !is_in(&hosts, listen.ip()) {
            hosts.push(listen.ip().to_string());
        }
        Self {
            data: data.into(),
            store: None,
            listen,
            metrics: None,
            hosts,
            destinations: Destinations::with_loopback(),
            resolve: Vec::new(),
            extra_authorities: Vec::new(),
            name_servers: Vec::new(),
            require_tls: false,
            require_tls_of: Vec::new(),
            tls_ports: TlsPorts::default(),
            limits: Limits::default(),
        }
    }
}

fn is_in(hosts: &[String], address: IpAddr) -> bool {
    hosts.contains(&address.to_string())
}

impl Cloud {
    /// Starts a cloud: from now on devices are served.
    ///
    /// # Errors
    /// One clear line for whatever stands in the way; nothing is left running.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let lowered = fit(&mut config.limits);
        let folder = DataFolder::open(&config.data)?;
        let lock = folder.lock()?;
        let trust = Trust::new(&config.extra_authorities)?;
        let metrics = Arc::new(Metrics::new());
        let gateway = Gateway::new(&folder.authority()?, &config.hosts, &config.limits, metrics.clone())?;
        // The store first: a port that is open promises that somebody answers.
        let store = Arc::new(Store::open_at(&folder, config.store.as_ref()).await?);
        let lease = store.acquire_lease().await?;
        let (listener, address) = listen(config.listen).await?;
        let monitored = match config.metrics {
            Some(wanted) => Some(listen(wanted).await?),
            None => None,
        };
        let (intake, queue) = log_intake::queue();
        let tasks = Supervisor::new(metrics.clone());
        let require_tls = accounts_named(&store, &config.require_tls_of).await?;
        let shared = Arc::new(share(config, trust, store.clone(), require_tls, intake, metrics));
        let monitor = Arc::new(watch(&shared, &gateway, tasks.clone()));
        let metrics_address = monitored.as_ref().map(|(_, address)| *address);
        let (stop, stopped) = oneshot::channel();
        tracing::info!(%address, data = %folder.path().display(), "cloud started");
        Ok(Self {
            monitoring: monitored
                .map(|(listener, _)| tasks.spawn_once("monitor", monitor::run(listener, monitor.clone()))),
            monitor,
            metrics_address,
            gateway: tasks.spawn_once("gateway", gateway.run(listener, stopped, serve(&shared))),
            log_writer: spawn_log_writer(&tasks, &shared, queue),
            presence: spawn_presence(&tasks, &shared),
            revocation: spawn_revocation(&tasks, &shared),
            pruner: spawn_pruner(&tasks, &shared),
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

    /// Waits until the cloud cannot go on, because a part of it has panicked again and again; answers which. It is to be stopped then.
    pub async fn failed(&self) -> &'static str {
        self.tasks.failed().await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers for health and metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Limits that are lower than configured because the process may not open more files (D175).
    pub fn lowered_limits(&self) -> &[LoweredLimit] {
        &self.lowered
    }

    /// Ends (D123): no connection is accepted, nothing more is taken from devices, what is in flight is answered, every device is
    /// told *shutting down*, log lines on their way are stored. Takes at most [`Limits::drain_timeout`] and four seconds more than
    /// four times [`Limits::farewell_timeout`], and much less when nothing hangs.
    pub async fn stop(self) {
        let patience = self.shared.limits.farewell_timeout + Duration::from_secs(1);
        self.monitor.accepting.store(false, Ordering::Relaxed);
        self.shared.registry.close();
        let _ = self.stop.send(());
        let _ = self.gateway.await;
        self.pruner.abort();
        self.presence.abort();
        self.revocation.abort();
        let store = self.shared.store.clone();
        // The last sender of the queue of log lines; the writer ends when it has written what is there.
        drop(self.shared);
        let mut log_writer = self.log_writer;
        if timeout(patience, &mut log_writer).await.is_err() {
            log_writer.abort();
        }
        let _ = timeout(patience, store.clear_presence(true)).await;
        let _ = timeout(patience, store.close()).await;
        if let Some(monitoring) = self.monitoring {
            monitoring.abort();
        }
        tracing::info!("cloud stopped");
    }

    /// Makes a new device known and gives the identity it is to show. The private key is kept nowhere else.
    ///
    /// # Errors
    /// A name that is taken or no name, and the store's own errors.
    pub async fn provision(&self, name: Option<&str>) -> Result<Identity, ProvisionError> {
        issue(&self.folder, &self.shared.store, name).await
    }

    /// The same for a device of an account that is not the first.
    ///
    /// # Errors
    /// As [`Cloud::provision`].
    pub async fn provision_in(
        &self,
        account: AccountId,
        name: Option<&str>,
    ) -> Result<Identity, ProvisionError> {
        issue(&self.folder, &self.shared.store.of_account(account), name).await
    }

    /// Gives a known device a new identity. The old one is worth nothing from now on; a connection made with it ends.
    ///
    /// # Errors
    /// As [`Cloud::provision`]; [`StoreError::NoDevice`] for a device that is not known.
    pub async fn renew(&self, device: DeviceId) -> Result<Identity, ProvisionError> {
        let identity = self.folder.authority()?.issue_device(device);
        self.shared.store.of_device(device).await?.set_fingerprint(device, identity.fingerprint()).await?;
        self.shared.registry.send(device, Command::End(EndReason::Revoked));
        Ok(identity)
    }

    /// What happens at the devices from now on. A listener far behind misses events and is told so.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The store as the first account sees it; [`Store::of_account`] gives the others' views.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Whether a device is connected.
    pub fn is_connected(&self, device: DeviceId) -> bool {
        self.shared.registry.is_connected(device)
    }

    /// Wants a device's log lines until `expires` (milliseconds since 1970; `None`: without end), or no longer, and tells it so if
    /// it is connected.
    pub async fn set_logging(
        &self,
        device: DeviceId,
        wanted: bool,
        expires: Option<i64>,
    ) -> Result<(), StoreError> {
        self.shared.store.of_device(device).await?.set_logging(device, wanted, expires).await?;
        self.shared.registry.send(device, Command::Logging(Logging::new(wanted, expires)));
        Ok(())
    }

    /// Forgets a device; if it is connected, its connection ends. `false` when there was none.
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

/// Makes a device known in the data folder, whether or not a cloud runs on it. `store` is as in [`Config`].
///
/// # Errors
/// As [`Cloud::provision`], and the data folder's own.
pub async fn provision(
    data: &Path,
    store: Option<&StoreUrl>,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    provision_in(data, store, None, name).await
}

/// The same in an account named by its id or name; in the first if none is.
///
/// # Errors
/// As [`provision`], and [`StoreError::NoAccount`].
pub async fn provision_in(
    data: &Path,
    store: Option<&StoreUrl>,
    account: Option<&str>,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    let (folder, store) = open(data, store).await?;
    let made = async { issue(&folder, &in_account(&store, account).await?, name).await };
    let made = made.await;
    store.close().await;
    made
}

/// A device that is to be made, with its files.
#[derive(Debug, Clone, Copy)]
pub struct NewDevice<'a> {
    /// Id or name of its account; the first if there is none.
    pub account: Option<&'a str>,
    /// The unique name people give it.
    pub name: Option<&'a str>,
    /// Settings it is to have from the beginning, and such of its account.
    pub items: &'a [NewItem],
    /// Where its identity is written: a folder that does not exist or is empty.
    pub out: &'a Path,
}

/// Makes a device known and writes its identity: all of it or nothing (D163). `store` is as in [`Config`].
///
/// # Errors
/// As [`provision_in`]; the files cannot be written; an item is not in order.
pub async fn provision_into(
    data: &Path,
    store: Option<&StoreUrl>,
    device: NewDevice<'_>,
) -> Result<DeviceId, ProvisionError> {
    let (folder, store) = open(data, store).await?;
    let made = make_device(&folder, &store, device).await;
    store.close().await;
    made
}

/// The files first: they are taken back more easily than a device in a database, and without the database's row they are worth nothing.
async fn make_device(
    folder: &DataFolder,
    store: &Store,
    device: NewDevice<'_>,
) -> Result<DeviceId, ProvisionError> {
    let NewDevice { account, name, items, out } = device;
    let store = in_account(store, account).await?;
    let identity = folder.authority()?.issue_device(DeviceId::random());
    let is_new = !out.exists();
    identity.save(out).map_err(DataError::File)?;
    let added = store.add_device_with(identity.device_id, name, identity.fingerprint(), items).await;
    if let Err(error) = added {
        // The commit's answer may have been lost: what is there was made whole.
        if !matches!(store.device(identity.device_id).await, Ok(Some(_))) {
            Identity::remove_files(out, is_new);
            return Err(error.into());
        }
    }
    Ok(identity.device_id)
}

async fn open(data: &Path, store: Option<&StoreUrl>) -> Result<(DataFolder, Store), ProvisionError> {
    let folder = DataFolder::open(data)?;
    let store = Store::open_at(&folder, store).await?;
    Ok((folder, store))
}

/// The store as the account of this id or name sees it, or the first.
async fn in_account(store: &Store, account: Option<&str>) -> Result<Store, StoreError> {
    let Some(account) = account else { return Ok(store.clone()) };
    let found = store.account_named(account).await?;
    Ok(store.of_account(found.ok_or_else(|| StoreError::NoAccount(account.to_owned()))?.id))
}

async fn issue(folder: &DataFolder, store: &Store, name: Option<&str>) -> Result<Identity, ProvisionError> {
    let identity = folder.authority()?.issue_device(DeviceId::random());
    store.add_device(identity.device_id, name, identity.fingerprint()).await?;
    Ok(identity)
}

/// Lowers the limits to what the process's file descriptors allow; which ones.
fn fit(limits: &mut Limits) -> Vec<LoweredLimit> {
    let Some(available) = descriptors::available() else { return Vec::new() };
    let lowered = limits.fit_descriptors(available);
    if !lowered.is_empty() {
        let list: Vec<_> = lowered.iter().map(ToString::to_string).collect();
        tracing::info!(available, lowered = %list.join(", "), "limits lowered: too few file descriptors");
    }
    lowered
}

/// The accounts of these ids or names.
async fn accounts_named(store: &Store, named: &[String]) -> Result<Vec<AccountId>, StartError> {
    let mut accounts = Vec::new();
    for name in named {
        let account = store.account_named(name).await?;
        accounts.push(account.ok_or_else(|| StartError::NoAccount(name.clone()))?.id);
    }
    Ok(accounts)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen(address, error),
    })?;
    let bound = listener.local_addr().map_err(|error| StartError::Listen(address, error))?;
    Ok((listener, bound))
}

fn watch(shared: &Shared, gateway: &Gateway, tasks: Arc<Supervisor>) -> Monitor {
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

fn share(
    config: Config,
    trust: Trust,
    store: Arc<Store>,
    require_tls: Vec<AccountId>,
    log_intake: log_intake::LogIntake,
    metrics: Arc<Metrics>,
) -> Shared {
    let connector = Connector::new(config.destinations, config.resolve, trust, &config.limits);
    Shared {
        epoch: Epoch::start(),
        connector: Arc::new(connector.with_name_servers(config.name_servers, &config.limits)),
        accounts: Accounts::new(store.clone(), config.limits.clone(), require_tls),
        device_rates: Rates::new(config.limits.connections_a_second_per_device, BURST_SECONDS),
        memory: Arc::new(MemoryPool::new(config.limits.memory)),
        limits: config.limits,
        require_tls: config.require_tls,
        tls_ports: config.tls_ports,
        store,
        registry: Arc::default(),
        refused: RefusalCache::default(),
        log_intake,
        metrics,
        events: broadcast::channel(EVENT_QUEUE).0,
    }
}

/// What the gateway does with a connection it has admitted.
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

fn spawn_log_writer(
    tasks: &Arc<Supervisor>,
    shared: &Shared,
    queue: Arc<log_intake::IntakeQueue>,
) -> JoinHandle<()> {
    let (store, metrics) = (shared.store.clone(), shared.metrics.clone());
    tasks.spawn("log writer", move || log_intake::run(store.clone(), queue.clone(), metrics.clone()))
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

/// Removes old log lines now and then, as long as anyone else has the store.
async fn prune(store: Weak<Store>, epoch: Epoch, limits: Limits) {
    let mut ticks = interval(limits.log_prune_interval.max(Duration::from_secs(1)));
    let mut clock = None;
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = prune_once(&store, epoch, &limits, &mut clock).await {
            tracing::error!(%error, "old log lines cannot be removed");
        }
    }
}

/// Removes log lines that are too many, and those that are too old unless the clock may be wrong (D164).
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
    if let Some(step) = watch.look(now, epoch.now().as_millis()) {
        tracing::warn!(
            hours = step / 3_600_000,
            "the clock has moved forward: for a day no log lines are removed by age; set it right if it is wrong"
        );
    }
    let is_believed = watch.is_believed();
    let age = if is_believed { limits.log_age } else { Duration::MAX };
    store.prune_logs(LogRetention { lines: limits.log_lines, age }).await?;
    if is_believed { store.record_moment(now).await } else { Ok(()) }
}

#[cfg(test)]
mod tests;
