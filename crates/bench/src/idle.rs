//! What devices cost that have nothing to do: their memory and their share of a core.
//!
//! The devices run in a process of their own, this program started again, so that nothing else is counted. The process is
//! looked at before it makes the devices, and when their applications wait.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::cost;
use crate::direct::Security;
use crate::scale::Scale;
use crate::site::{self, Plan, Provisioned, Site};
use crate::table::{Column, Section};
use crate::target::{Bound, Target};

/// The argument that makes this program the process of idle devices.
pub(crate) const ARGUMENT: &str = "--idle-devices";
/// Until the last exchange with the cloud has settled.
const SETTLE: Duration = Duration::from_secs(2);
/// Between the starts of two devices: they are to be idle together, not to begin together.
const STAGGER: Duration = Duration::from_millis(20);
/// Most memory a device may take, in KiB.
const WANTED_KIB: f64 = 3072.0;
/// Less of a core than this is wanted of a device, in percent.
const WANTED_SHARE: f64 = 1.0;
/// The same of a device whose application polls `mvGetNetworkStatus` without a pause (D219).
const WANTED_SHARE_POLLING: f64 = 1.5;
/// Until the polling application is through with what it claims about itself, and only polls.
const POLLING_SETTLE: Duration = Duration::from_secs(12);
/// Two cores, in percent of one.
const TWO_CORES: f64 = 200.0;

/// How an application waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// In WFI.
    Asleep,
    /// In a loop that looks whether there is something to do: the same application with a NOP where its WFI was.
    Spinning,
    /// In a loop that asks the kernel whether the network's status has changed: an application of its own, without ticks.
    Polling,
}

impl Waits {
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

/// The process of idle devices: says when it is there, makes the devices when it is told to, and ends when its standard
/// input does.
pub(crate) fn run_devices(arguments: &[String]) -> Result<(), Failure> {
    let [cloud, waits, folders @ ..] = arguments else {
        return Err(format!("{ARGUMENT} takes an address, a way to wait, and folders").into());
    };
    let cloud: SocketAddr = cloud.parse()?;
    let waits = Waits::of(waits).ok_or("no such way to wait")?;
    println!("ready");
    let mut lines = io::stdin().lines();
    lines.next().transpose()?;
    let image = site::image(waits)?;
    let start = |folder: &String| {
        std::thread::sleep(STAGGER);
        site::start_device(folder.as_ref(), &image, cloud)
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
    site: &Site,
    broker: SocketAddr,
    scale: &Scale,
) -> Result<(Section, Vec<Target>), Failure> {
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
        (1, Waits::Asleep),
        (1, Waits::Spinning),
        (many, Waits::Asleep),
        (many, Waits::Spinning),
        (1, Waits::Polling),
    ] {
        let row = measure_process(site, broker, waits, count, time)?.row(count);
        let name = match count {
            1 => format!("one device, its application {}", waits.argument()),
            _ => format!("{count} devices, their applications {}", waits.argument()),
        };
        section.row(name, &row.map(Some));
        measured.push(row);
    }
    Ok((section, targets(&measured, many)))
}

/// What is wanted: the image is shared by all devices of a process, so a device's memory is that of one among many.
fn targets(measured: &[Row], many: usize) -> Vec<Target> {
    let idle = &measured[..measured.len().min(4)];
    let worst = |column: usize| idle.iter().map(|row| row[column]).fold(0.0, f64::max);
    let polling = measured.get(4).map_or(f64::INFINITY, |row| row[2]);
    let memory = idle.iter().skip(2).map(|row| row[0]).fold(0.0, f64::max);
    let per_hundred = worst(3) * (100.0 / many as f64).max(1.0);
    vec![
        Target::new("memory of a device with a shared image, KiB", memory, Bound::AtMost(WANTED_KIB)),
        Target::new("an idle device, asleep or spinning, % of a core", worst(2), Bound::AtMost(WANTED_SHARE)),
        Target::new(
            "a device whose application polls, % of a core",
            polling,
            Bound::AtMost(WANTED_SHARE_POLLING),
        ),
        Target::new(
            "100 idle devices together, % of a core, of two cores",
            per_hundred,
            Bound::AtMost(TWO_CORES),
        ),
    ]
}

/// The columns' figures.
type Row = [f64; 4];

/// What a process with idle devices took.
struct Measured {
    /// Memory before the devices were made.
    before: Memory,
    /// The same with them.
    with: Memory,
    /// Share of a core.
    share: f64,
}

/// Memory of a process, in KiB.
pub(crate) struct Memory {
    /// In use.
    pub resident: f64,
    /// What is no file, such as the program, in memory.
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
    site: &Site,
    broker: SocketAddr,
    waits: Waits,
    count: usize,
    time: Duration,
) -> Result<Measured, Failure> {
    let provision = |_| site.provision(Plan::default(), broker, Security::Plain);
    let devices = (0..count).map(provision).collect::<Result<Vec<_>, _>>()?;
    let mut process = start_process(&devices, waits, site.address())?;
    let measured = watch(&mut process, site, &devices, waits, time);
    // Its standard input ends, and it with it.
    drop(process.stdin.take());
    process.wait()?;
    measured
}

fn start_process(devices: &[Provisioned], waits: Waits, cloud: SocketAddr) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ARGUMENT).arg(cloud.to_string()).arg(waits.argument());
    command.args(devices.iter().map(|device| &device.folder));
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn watch(
    process: &mut Child,
    site: &Site,
    devices: &[Provisioned],
    waits: Waits,
    time: Duration,
) -> Result<Measured, Failure> {
    let mut ready = String::new();
    BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut ready)?;
    let before = Memory::of(process.id())?;
    process.stdin.as_mut().ok_or("no input")?.write_all(b"start\n")?;
    if waits == Waits::Polling {
        std::thread::sleep(POLLING_SETTLE);
    } else {
        devices.iter().try_for_each(|device| site.await_report(device).map(drop))?;
    }
    std::thread::sleep(SETTLE);
    let (start, used_before) = (Instant::now(), cost::process(process.id())?.time);
    std::thread::sleep(time);
    let used = cost::process(process.id())?.time.saturating_sub(used_before);
    let share = used.as_secs_f64() / start.elapsed().as_secs_f64();
    Ok(Measured { before, with: Memory::of(process.id())?, share })
}

impl Memory {
    /// Looks at a process.
    pub(crate) fn of(process: u32) -> Result<Self, Failure> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = |name: &str| -> Result<f64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("a line is missing")?;
            Ok(line.trim_end_matches("kB").trim().parse()?)
        };
        Ok(Self { resident: line("VmRSS:")?, anonymous: line("RssAnon:")? })
    }
}
