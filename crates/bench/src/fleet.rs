//! Very many devices that do nothing: what each costs the cloud, and how soon they are all back when the cloud has been killed
//! and started again.
//!
//! The cloud runs in a process of its own, this program started again, so that its memory is its own. It is killed, not asked
//! to stop: nothing is tidied up, and every device notices at the same moment.

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

use crate::Failure;
use crate::cost;
use crate::idle::Memory;
use crate::light::{self, Device};
use crate::scale::Scale;
use crate::site;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};

/// The argument that makes this program the cloud's process.
pub(crate) const ARGUMENT: &str = "--cloud";
/// Devices that are connecting at the same time: below the cloud's own bound for one address.
const DIALLING: usize = 128;
/// Until what was begun has settled: presence is noted every second.
const SETTLE: Duration = Duration::from_secs(3);

/// The cloud's process: says where it listens and ends when its standard input does.
pub(crate) fn run_cloud(arguments: &[String]) -> Result<(), Failure> {
    let [folder, address] = arguments else {
        return Err(format!("{ARGUMENT} takes a folder and an address").into());
    };
    let mut config = Config::local(folder, address.parse()?);
    site::unmetered(&mut config);
    // These devices open no channel: the process's descriptors are for their own connections.
    (config.limits.outbound_connections, config.limits.outbound_connections_per_account) = (1000, 1000);
    let runtime = Runtime::new()?;
    let cloud = runtime.block_on(Cloud::start(config))?;
    println!("{}", cloud.address());
    io::stdin().lines().for_each(drop);
    runtime.block_on(cloud.stop());
    Ok(())
}

/// A cloud's process; killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path, address: SocketAddr) -> Result<Self, Failure> {
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

    fn resident_kib(&self) -> Result<f64, Failure> {
        Ok(Memory::of(self.child.id())?.resident)
    }

    fn seconds(&self) -> Result<f64, Failure> {
        Ok(cost::process(self.child.id())?.time.as_secs_f64())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was seen of one cloud's process.
struct Seen {
    /// KiB with no device, and with all.
    empty: f64,
    full: f64,
    /// From the process's start until the last device was welcome.
    served: Duration,
    /// Seconds on a processor for all connections.
    used: f64,
}

/// Connects all, twice.
pub(crate) fn measure(scale: &Scale) -> Result<(Section, Vec<Target>), Failure> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("cloud");
    let runtime = Runtime::new()?;
    let identities = Arc::new(runtime.block_on(provision(&data, scale.fleet))?);
    let (first, address) = connect_all(&runtime, &data, (Ipv4Addr::LOCALHOST, 0).into(), &identities, 1)?;
    let (again, _) = connect_all(&runtime, &data, address, &identities, 2)?;
    Ok(result(scale, &first, &again))
}

fn result(scale: &Scale, first: &Seen, again: &Seen) -> (Section, Vec<Target>) {
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
    let each = |seen: &Seen| (seen.full - seen.empty) / count;
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

/// Makes the devices known and gives what each needs to connect.
async fn provision(data: &Path, count: u32) -> Result<Vec<light::Tls>, Failure> {
    let cloud = Cloud::start(Config::local(data, (Ipv4Addr::LOCALHOST, 0).into())).await?;
    let mut identities = Vec::new();
    for _ in 0..count {
        identities.push(light::tls(&cloud.provision(None).await?)?);
    }
    cloud.stop().await;
    Ok(identities)
}

/// Starts a cloud, connects all devices, looks at it, and kills it.
fn connect_all(
    runtime: &Runtime,
    data: &Path,
    address: SocketAddr,
    identities: &Arc<Vec<light::Tls>>,
    boot: u32,
) -> Result<(Seen, SocketAddr), Failure> {
    let start = Instant::now();
    let process = Process::start(data, address)?;
    let (empty, used_before) = (process.resident_kib()?, process.seconds()?);
    let devices = runtime.block_on(dial_all(process.address, identities.clone(), boot))?;
    let served = start.elapsed();
    std::thread::sleep(SETTLE);
    let seen = Seen { empty, full: process.resident_kib()?, served, used: process.seconds()? - used_before };
    let address = process.address;
    drop(process);
    drop(devices);
    Ok((seen, address))
}

async fn dial_all(
    cloud: SocketAddr,
    identities: Arc<Vec<light::Tls>>,
    boot: u32,
) -> Result<Vec<Device>, Failure> {
    let places = Arc::new(Semaphore::new(DIALLING));
    let mut dialling = JoinSet::new();
    for tls in identities.iter().cloned() {
        let place = places.clone().acquire_owned().await?;
        dialling.spawn(async move {
            let device = Device::connect(cloud, tls, boot).await;
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
