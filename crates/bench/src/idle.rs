//! The cost of idle devices: their memory and processor time.
//!
//! The devices run in a separate process, this program with [`ARGUMENT`], so that nothing else is counted. The process
//! is measured before it starts the devices, and when their applications wait.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::direct_client::Security;
use crate::scale::Scale;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::test_cloud::{self, ProvisionedDevice, TestCloud, Workload};
use crate::{Error, cost_ledger};

/// The argument with which this program runs idle devices.
pub(crate) const ARGUMENT: &str = "--idle-devices";
/// Pause after the last exchange with the cloud.
const SETTLE: Duration = Duration::from_secs(2);
/// Pause between the starts of two devices: they are measured idle, not starting.
const STAGGER: Duration = Duration::from_millis(20);
/// Target for the memory of a device, in KiB.
const MAX_KIB: f64 = 3072.0;
/// Target for the processor time of an idle device, in percent of a core.
const MAX_SHARE: f64 = 1.0;
/// The same for an application that polls `mvGetNetworkStatus` without a pause: it costs more because the host has to
/// wake for each poll (D219).
const MAX_SHARE_POLLING: f64 = 1.5;
/// Time until the polling application has finished its self-test and only polls.
const POLLING_SETTLE: Duration = Duration::from_secs(12);
/// Two cores, in percent of one.
const TWO_CORES: f64 = 200.0;

/// How an application waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMode {
    /// In WFI.
    Asleep,
    /// In a loop that checks for work: the same application with a NOP in place of its WFI.
    Spinning,
    /// In a loop that polls the network's status from the kernel: a different application, without ticks.
    Polling,
}

impl WaitMode {
    fn argument(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Spinning => "spinning",
            Self::Polling => "polling",
        }
    }

    fn of(argument: &str) -> Option<Self> {
        [Self::Asleep, Self::Spinning, Self::Polling].into_iter().find(|waits| waits.argument() == argument)
    }
}

/// Runs idle devices: prints `ready`, starts them at the first line of standard input, and ends with it.
pub(crate) fn run_devices(arguments: &[String]) -> Result<(), Error> {
    let [cloud, waits, folders @ ..] = arguments else {
        return Err(format!("{ARGUMENT} takes an address, a wait mode, and folders").into());
    };
    let cloud: SocketAddr = cloud.parse()?;
    let waits = WaitMode::of(waits).ok_or("no such wait mode")?;
    println!("ready");
    let mut lines = io::stdin().lines();
    lines.next().transpose()?;
    let image = test_cloud::image(waits)?;
    let start = |folder: &String| {
        std::thread::sleep(STAGGER);
        test_cloud::start_device(folder.as_ref(), &image, cloud)
    };
    let devices = folders.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    while lines.next().transpose()?.is_some() {}
    for device in &devices {
        device.remote().stop();
    }
    Ok(())
}

/// Measures processes with idle devices.
pub(crate) fn measure(
    test_cloud: &TestCloud,
    broker: SocketAddr,
    scale: &Scale,
) -> Result<(Section, Vec<Target>), Error> {
    let title = format!(
        "Idle devices in a process of their own, connected, with 10 ms ticks, watched for {} s",
        scale.idle_seconds
    );
    let columns = [
        Column::new("KiB a device", 0),
        Column::new("not program", 0),
        Column::new("% of a core each", 2),
        Column::new("all together", 1),
    ];
    let mut section = Section::new(title, &columns);
    let time = Duration::from_secs(scale.idle_seconds);
    let many = scale.idle_devices;
    let mut measured = Vec::new();
    for (count, waits) in [
        (1, WaitMode::Asleep),
        (1, WaitMode::Spinning),
        (many, WaitMode::Asleep),
        (many, WaitMode::Spinning),
        (1, WaitMode::Polling),
    ] {
        let row = measure_process(test_cloud, broker, waits, count, time)?.row(count);
        let name = match count {
            1 => format!("one device, its application {}", waits.argument()),
            _ => format!("{count} devices, their applications {}", waits.argument()),
        };
        section.row(name, &row.map(Some));
        measured.push(row);
    }
    Ok((section, targets(&measured, many)))
}

/// The targets. All devices of a process share the image, so that a device's memory is measured among many.
fn targets(measured: &[Row], many: usize) -> Vec<Target> {
    let idle = &measured[..measured.len().min(4)];
    let worst = |column: usize| idle.iter().map(|row| row[column]).fold(0.0, f64::max);
    let polling = measured.get(4).map_or(f64::INFINITY, |row| row[2]);
    let memory = idle.iter().skip(2).map(|row| row[0]).fold(0.0, f64::max);
    let per_hundred = worst(3) * (100.0 / many as f64).max(1.0);
    vec![
        Target::new("memory of a device with a shared image, KiB", memory, Bound::AtMost(MAX_KIB)),
        Target::new("an idle device, asleep or spinning, % of a core", worst(2), Bound::AtMost(MAX_SHARE)),
        Target::new(
            "a device whose application polls, % of a core",
            polling,
            Bound::AtMost(MAX_SHARE_POLLING),
        ),
        Target::new(
            "100 idle devices together, % of a core, of two cores",
            per_hundred,
            Bound::AtMost(TWO_CORES),
        ),
    ]
}

/// The figures of a row.
type Row = [f64; 4];

/// The figures of a process with idle devices.
struct Measured {
    /// Memory before the devices were started.
    before: Memory,
    /// Memory with the devices.
    with: Memory,
    /// Processor time as a share of a core.
    share: f64,
}

/// Memory of a process, in KiB.
pub(crate) struct Memory {
    /// In use.
    pub resident: f64,
    /// Without mapped files such as the program.
    anonymous: f64,
}

impl Measured {
    fn row(&self, count: usize) -> Row {
        let devices = count as f64;
        let percent = self.share * 100.0;
        let resident = (self.with.resident - self.before.resident) / devices;
        let anonymous = (self.with.anonymous - self.before.anonymous) / devices;
        [resident, anonymous, percent / devices, percent]
    }
}

fn measure_process(
    test_cloud: &TestCloud,
    broker: SocketAddr,
    waits: WaitMode,
    count: usize,
    time: Duration,
) -> Result<Measured, Error> {
    let provision = |_| test_cloud.provision(Workload::default(), broker, Security::Plain);
    let devices = (0..count).map(provision).collect::<Result<Vec<_>, _>>()?;
    let mut process = start_process(&devices, waits, test_cloud.address())?;
    let measured = watch(&mut process, test_cloud, &devices, waits, time);
    // The process ends with its standard input.
    drop(process.stdin.take());
    process.wait()?;
    measured
}

fn start_process(devices: &[ProvisionedDevice], waits: WaitMode, cloud: SocketAddr) -> Result<Child, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ARGUMENT).arg(cloud.to_string()).arg(waits.argument());
    command.args(devices.iter().map(|device| &device.folder));
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn watch(
    process: &mut Child,
    test_cloud: &TestCloud,
    devices: &[ProvisionedDevice],
    waits: WaitMode,
    time: Duration,
) -> Result<Measured, Error> {
    let mut ready = String::new();
    BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut ready)?;
    let before = Memory::of(process.id())?;
    process.stdin.as_mut().ok_or("no input")?.write_all(b"start\n")?;
    if waits == WaitMode::Polling {
        std::thread::sleep(POLLING_SETTLE);
    } else {
        devices.iter().try_for_each(|device| test_cloud.await_report(device).map(drop))?;
    }
    std::thread::sleep(SETTLE);
    let (start, used_before) = (Instant::now(), cost_ledger::process(process.id())?.time);
    std::thread::sleep(time);
    let used = cost_ledger::process(process.id())?.time.saturating_sub(used_before);
    let share = used.as_secs_f64() / start.elapsed().as_secs_f64();
    Ok(Measured { before, with: Memory::of(process.id())?, share })
}

impl Memory {
    /// Reads the memory of a process.
    pub(crate) fn of(process: u32) -> Result<Self, Error> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = |name: &str| -> Result<f64, Error> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("a line is missing")?;
            Ok(line.trim_end_matches("kB").trim().parse()?)
        };
        Ok(Self { resident: line("VmRSS:")?, anonymous: line("RssAnon:")? })
    }
}
