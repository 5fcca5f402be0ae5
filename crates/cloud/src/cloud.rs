//! Starting and stopping the whole, and what its owner can do with it meanwhile.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::account_id::AccountId;
use crate::accounts::Accounts;
use crate::authority::{AuthorityError, Identity};
use crate::clock::Epoch;
use crate::connector::{AuthoritiesError, Connector, Resolve, Trust};
use crate::data::{DataError, DataFolder, FolderLock};
use crate::destinations::Destinations;
use crate::device_id::DeviceId;
use crate::events::Event;
use crate::gateway::{Admitted, Gateway};
use crate::limits::{EVENT_QUEUE, Limits};
use crate::log_intake;
use crate::memory::Pool;
use crate::metrics::Metrics;
use crate::monitor::{self, Monitor};
use crate::presence;
use crate::registry::{Command, Ending};
use crate::session;
use crate::shared::Shared;
use crate::store::{LogRetention, Logging, Store, StoreError, StoreUrl, Tenancy};

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
    monitoring: Option<JoinHandle<()>>,
    stop: oneshot::Sender<()>,
    gateway: JoinHandle<()>,
    log_writer: JoinHandle<()>,
    pruner: JoinHandle<()>,
    presence: JoinHandle<()>,
    _tenancy: Tenancy,
    _lock: FolderLock,
}

impl Config {
    /// A cloud for the machine it runs on: the certificate names `localhost`, the loopback addresses and the address it listens
    /// on; brokers may be on the public internet and on this machine.
    pub fn local(data: impl Into<PathBuf>, listen: SocketAddr) -> Config {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !listen.ip().is_unspecified() && !is_in(&hosts, listen.ip()) {
            hosts.push(listen.ip().to_string());
        }
        Config {
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
    pub async fn start(config: Config) -> Result<Cloud, StartError> {
        let folder = DataFolder::open(&config.data)?;
        let lock = folder.lock()?;
        let trust = Trust::new(&config.extra_authorities)?;
        let metrics = Arc::new(Metrics::new());
        let gateway = Gateway::new(&folder.authority()?, &config.hosts, &config.limits, metrics.clone())?;
        let (listener, address) = listen(config.listen).await?;
        let monitored = match config.metrics {
            Some(wanted) => Some(listen(wanted).await?),
            None => None,
        };
        let store = Arc::new(Store::open_at(&folder, config.store.as_ref()).await?);
        let tenancy = store.occupy().await?;
        store.nobody_is_connected(false).await?;
        let (intake, queue) = log_intake::queue();
        let require_tls = accounts_named(&store, &config.require_tls_of).await?;
        let shared = Arc::new(share(config, trust, store.clone(), require_tls, intake, metrics));
        let monitor = Arc::new(watch(&shared, &gateway));
        let metrics_address = monitored.as_ref().map(|(_, address)| *address);
        let (stop, stopped) = oneshot::channel();
        tracing::info!(%address, data = %folder.path().display(), "cloud started");
        Ok(Cloud {
            monitoring: monitored.map(|(listener, _)| tokio::spawn(monitor::run(listener, monitor.clone()))),
            monitor,
            metrics_address,
            gateway: tokio::spawn(gateway.run(listener, stopped, serve(&shared))),
            log_writer: tokio::spawn(log_intake::run(store.clone(), queue, shared.metrics.clone())),
            presence: tokio::spawn(presence::run(Arc::downgrade(&store), shared.registry.clone())),
            pruner: tokio::spawn(prune(Arc::downgrade(&store), shared.limits.clone())),
            shared,
            folder,
            address,
            stop,
            _tenancy: tenancy,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers for health and metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
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
        let store = self.shared.store.clone();
        // The last sender of the queue of log lines; the writer ends when it has written what is there.
        drop(self.shared);
        let mut log_writer = self.log_writer;
        if timeout(patience, &mut log_writer).await.is_err() {
            log_writer.abort();
        }
        let _ = timeout(patience, store.nobody_is_connected(true)).await;
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
        self.shared.registry.tell(device, Command::End(Ending::Revoked));
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
        self.shared.registry.tell(device, Command::Logging(Logging::new(wanted, expires)));
        Ok(())
    }

    /// Forgets a device; if it is connected, its connection ends. `false` when there was none.
    pub async fn remove_device(&self, device: DeviceId) -> Result<bool, StoreError> {
        let removed = match self.shared.store.of_device(device).await {
            Ok(store) => store.remove_device(device).await?,
            Err(StoreError::NoDevice(_)) => false,
            Err(error) => return Err(error),
        };
        self.shared.registry.tell(device, Command::End(Ending::Revoked));
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
    let folder = DataFolder::open(data)?;
    let store = Store::open_at(&folder, store).await?;
    let identity = provision_at(&folder, &store, account, name).await;
    store.close().await;
    identity
}

async fn provision_at(
    folder: &DataFolder,
    store: &Store,
    account: Option<&str>,
    name: Option<&str>,
) -> Result<Identity, ProvisionError> {
    let Some(account) = account else { return issue(folder, store, name).await };
    let found = store.account_named(account).await?;
    let found = found.ok_or_else(|| StoreError::NoAccount(account.to_owned()))?;
    issue(folder, &store.of_account(found.id), name).await
}

async fn issue(folder: &DataFolder, store: &Store, name: Option<&str>) -> Result<Identity, ProvisionError> {
    let identity = folder.authority()?.issue_device(DeviceId::random());
    store.add_device(identity.device_id, name, identity.fingerprint()).await?;
    Ok(identity)
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

fn watch(shared: &Shared, gateway: &Gateway) -> Monitor {
    let (connections, handshakes) = gateway.quotas();
    Monitor {
        metrics: shared.metrics.clone(),
        registry: shared.registry.clone(),
        connections,
        handshakes,
        memory: shared.memory.clone(),
        log_intake: shared.log_intake.downgrade(),
        store: Arc::downgrade(&shared.store),
        accepting: AtomicBool::new(true),
    }
}

fn share(
    config: Config,
    trust: Trust,
    store: Arc<Store>,
    require_tls: Vec<AccountId>,
    log_intake: log_intake::Intake,
    metrics: Arc<Metrics>,
) -> Shared {
    let connector = Connector::new(config.destinations, config.resolve, trust, &config.limits);
    Shared {
        epoch: Epoch::start(),
        connector: Arc::new(connector.asking(config.name_servers, &config.limits)),
        accounts: Accounts::new(store.clone(), config.limits.clone(), require_tls),
        memory: Arc::new(Pool::new(config.limits.memory)),
        limits: config.limits,
        require_tls: config.require_tls,
        store,
        registry: Arc::default(),
        log_intake,
        metrics,
        events: broadcast::channel(EVENT_QUEUE).0,
    }
}

/// What the gateway does with a connection it has admitted.
fn serve(shared: &Arc<Shared>) -> impl Fn(Box<Admitted>) -> SessionFuture + Clone + Send + 'static {
    let shared = shared.clone();
    move |admitted| Box::pin(session::serve(shared.clone(), admitted))
}

type SessionFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Removes old log lines now and then, as long as anyone else has the store.
async fn prune(store: Weak<Store>, limits: Limits) {
    let mut ticks = interval(limits.log_prune_interval.max(Duration::from_secs(1)));
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        let retention = LogRetention { lines: limits.log_lines, age: limits.log_age };
        if let Err(error) = store.prune_logs(retention).await {
            tracing::error!(%error, "old log lines cannot be removed");
        }
    }
}
