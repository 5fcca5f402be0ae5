//! Many idle devices: the cost of each to the cloud, and how long all of them take to reconnect after the cloud was
//! killed and restarted.
//!
//! The cloud runs in a separate process, this program with [`ARGUMENT`], so that its memory can be measured. It is
//! killed rather than stopped, so that all devices lose their link at once.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloud::{Cloud, Config};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::idle::Memory;
use crate::link_device::{self, LinkDevice};
use crate::scale::Scale;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::{Error, cost_ledger, test_cloud};

/// The argument with which this program runs the cloud.
pub(crate) const ARGUMENT: &str = "--cloud";
/// Devices that connect at once: fewer than the cloud's limit for one address.
const CONNECTING: usize = 128;
/// Pause until the cloud is idle: it writes presence every second.
const SETTLE: Duration = Duration::from_secs(3);

/// Runs the cloud: prints its address and ends with its standard input.
pub(crate) fn run_cloud(arguments: &[String]) -> Result<(), Error> {
    let [folder, address] = arguments else {
        return Err(format!("{ARGUMENT} takes a folder and an address").into());
    };
    let mut config = Config::local(folder, address.parse()?);
    test_cloud::remove_rate_limits(&mut config);
    // These devices open no channel: the process's descriptors are for their own connections.
    (config.limits.outbound_connections, config.limits.outbound_connections_per_account) = (1000, 1000);
    let runtime = Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(config))?;
    println!("{}", cloud.address());
    io::stdin().lines().for_each(drop);
    runtime.block_on(cloud.stop());
    Ok(())
}

/// A cloud's process, killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path, address: SocketAddr) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).arg(folder).arg(address.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim_end().parse().map_err(|_| "the cloud's process does not start");
        if address.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        Ok(Self { address: address?, child })
    }

    fn resident_kib(&self) -> Result<f64, Error> {
        Ok(Memory::of(self.child.id())?.resident)
    }

    fn seconds(&self) -> Result<f64, Error> {
        Ok(cost_ledger::process(self.child.id())?.time.as_secs_f64())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The figures of one cloud's process.
struct CloudFigures {
    /// KiB without devices, and with all.
    empty: f64,
    full: f64,
    /// From the start of the process until the last device has connected.
    served: Duration,
    /// Processor time in seconds for all connections.
    used: f64,
}

/// Connects all devices, twice.
pub(crate) fn measure(scale: &Scale) -> Result<(Section, Vec<Target>), Error> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let runtime = Runtime::new()?;
    let identities = Arc::new(runtime.block_on(provision(&data, scale.fleet))?);
    let (first, address) = connect_all(&runtime, &data, (Ipv4Addr::LOCALHOST, 0).into(), &identities, 1)?;
    let (again, _) = connect_all(&runtime, &data, address, &identities, 2)?;
    Ok(result(scale, &first, &again))
}

fn result(scale: &Scale, first: &CloudFigures, again: &CloudFigures) -> (Section, Vec<Target>) {
    let count = f64::from(scale.fleet);
    let title = format!("{} idle devices, and again after the cloud was killed and started", scale.fleet);
    let columns = [
        Column::new("none, KiB", 0),
        Column::new("all, KiB", 0),
        Column::new("KiB/device", 2),
        Column::new("served in s", 1),
        Column::new("processor, us/device", 0),
    ];
    let mut section = Section::new(title, &columns);
    let each = |seen: &CloudFigures| (seen.full - seen.empty) / count;
    for (name, seen) in [("first", first), ("again", again)] {
        let figures = [seen.empty, seen.full, each(seen), seen.served.as_secs_f64(), seen.used * 1e6 / count];
        section.row(name, &figures.map(Some));
    }
    let targets = vec![
        Target::new("KiB of the cloud's memory for each idle device", each(first), Bound::AtMost(13.0)),
        Target::new(
            "seconds until all are served again after a restart",
            again.served.as_secs_f64(),
            Bound::AtMost(15.0),
        ),
        Target::new("memory after the restart / before", again.full / first.full, Bound::AtMost(1.1)),
    ];
    (section, targets)
}

/// Provisions the devices, and returns the TLS configuration of each.
async fn provision(data: &Path, count: u32) -> Result<Vec<link_device::Tls>, Error> {
    let cloud = Cloud::start(Config::local(data, (Ipv4Addr::LOCALHOST, 0).into())).await?;
    let mut identities = Vec::new();
    for _ in 0..count {
        identities.push(link_device::tls(&cloud.provision(None).await?)?);
    }
    cloud.stop().await;
    Ok(identities)
}

/// Starts a cloud, connects all devices, measures, and kills it.
fn connect_all(
    runtime: &Runtime,
    data: &Path,
    address: SocketAddr,
    identities: &Arc<Vec<link_device::Tls>>,
    boot: u32,
) -> Result<(CloudFigures, SocketAddr), Error> {
    let start = Instant::now();
    let process = Process::start(data, address)?;
    let (empty, used_before) = (process.resident_kib()?, process.seconds()?);
    let devices = runtime.block_on(connect_devices(process.address, identities.clone(), boot))?;
    let served = start.elapsed();
    std::thread::sleep(SETTLE);
    let seen =
        CloudFigures { empty, full: process.resident_kib()?, served, used: process.seconds()? - used_before };
    let address = process.address;
    drop(process);
    drop(devices);
    Ok((seen, address))
}

async fn connect_devices(
    cloud: SocketAddr,
    identities: Arc<Vec<link_device::Tls>>,
    boot: u32,
) -> Result<Vec<LinkDevice>, Error> {
    let places = Arc::new(Semaphore::new(CONNECTING));
    let mut dialling = JoinSet::new();
    for tls in identities.iter().cloned() {
        let place = places.clone().acquire_owned().await?;
        dialling.spawn(async move {
            let device = LinkDevice::connect(cloud, tls, boot).await;
            drop(place);
            device
        });
    }
    let mut devices = Vec::new();
    while let Some(device) = dialling.join_next().await {
        devices.push(device??);
    }
    Ok(devices)
}
