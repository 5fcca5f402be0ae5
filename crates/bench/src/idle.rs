//! What a device costs that has nothing to do: its memory and its share of a core.
//!
//! The device runs in a process of its own, this program started again, so that nothing else is counted. The process is
//! looked at before it makes the device, and when the device's application waits for interrupts.

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

/// The argument that makes this program the process of the idle device.
pub const ARGUMENT: &str = "--idle-device";
/// Until the last exchange with the cloud has settled.
const SETTLE: Duration = Duration::from_secs(2);

/// The process of the idle device: says when it is there, makes the device when it is told to, and ends when its standard
/// input does.
pub fn run_device(arguments: &[String]) -> Result<(), Failure> {
    let [folder, cloud] = arguments else {
        return Err(format!("{ARGUMENT} takes a folder and an address").into());
    };
    let cloud: SocketAddr = cloud.parse()?;
    println!("ready");
    let mut lines = io::stdin().lines();
    lines.next().transpose()?;
    let device = site::start_device(folder.as_ref(), cloud)?;
    while lines.next().transpose()?.is_some() {}
    device.stop();
    Ok(())
}

/// Measures a process with one idle device.
pub fn measure(site: &Site, broker: SocketAddr, scale: &Scale) -> Result<Section, Failure> {
    let device = site.provision(Plan::default(), broker, Security::Plain)?;
    let mut process = start_process(&device, site.address())?;
    let measured = watch(&mut process, site, &device, Duration::from_secs(scale.idle_seconds));
    // Its standard input ends, and it with it.
    drop(process.stdin.take());
    process.wait()?;
    measured
}

fn start_process(device: &Provisioned, cloud: SocketAddr) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(ARGUMENT).arg(&device.folder).arg(cloud.to_string());
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn watch(process: &mut Child, site: &Site, device: &Provisioned, time: Duration) -> Result<Section, Failure> {
    let mut ready = String::new();
    BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut ready)?;
    let before = resident_kib(process.id())?;
    process.stdin.as_mut().ok_or("no input")?.write_all(b"start\n")?;
    site.await_report(device)?;
    std::thread::sleep(SETTLE);
    let (start, used_before) = (Instant::now(), cost::process(process.id())?.time);
    std::thread::sleep(time);
    let used = cost::process(process.id())?.time.saturating_sub(used_before);
    let share = used.as_secs_f64() / start.elapsed().as_secs_f64();
    let after = resident_kib(process.id())?;

    let title = format!(
        "A process with one idle device, connected, in WFI between 10 ms ticks, for {} s",
        time.as_secs()
    );
    let mut section = Section::new(title, &[Column::new("resident KiB", 0), Column::new("% of a core", 2)]);
    section.row("before the device is made", &[Some(before), None]);
    section.row("with the idle device", &[Some(after), Some(share * 100.0)]);
    section.row("the device's part", &[Some(after - before), Some(share * 100.0)]);
    Ok(section)
}

/// Memory of a process that is in use.
pub fn resident_kib(process: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
