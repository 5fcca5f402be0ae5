//! `openvisor fleet`: many devices with the same application in one process.

mod arguments;
mod member;
mod setup;
mod summary;
mod usage;

use std::pin::pin;
use std::time::{Duration, Instant};

use ::device::application::Application;
use ::device::clock::TimeScale;
use ::device::transport::Address;
use ::device::{Device, Options};
use member::{Member, Totals};
use setup::{Setup, SetupConfig};
use summary::Summary;
use tokio::time::{MissedTickBehavior, interval};

use crate::host::application;
use crate::host::signals::{StopSignal, elapsed};
use crate::output::exit::Failure;
pub(super) use arguments::FleetArguments;

/// How often devices are started.
const START_INTERVAL: Duration = Duration::from_millis(20);
/// How often the summary is shown.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(1);
/// Most devices that the failure names.
const MAX_NAMED: usize = 5;

/// Runs until a signal or until the time is over. Reads all options before anything is created.
pub(super) async fn run(arguments: FleetArguments) -> Result<(), Failure> {
    let application = application::load(&arguments.image, None)?;
    let config = SetupConfig::read(&arguments)?;
    let stop = StopSignal::listen()?;
    let mut stopping = pin!(stop.received());
    let mut summary = Summary::new(arguments.json);
    summary.show_preparing(arguments.count);
    let mut setup = tokio::select! {
        () = &mut stopping => return Ok(()),
        setup = config.prepare() => setup?,
    };
    let mut fleet = Fleet::new(application, &mut setup, arguments.ramp, arguments.pace.time_scale);
    summary.show_start(fleet.members.len(), &fleet.cloud);
    let result = tokio::select! {
        () = &mut stopping => Ok(()),
        () = elapsed(arguments.pace.seconds) => Ok(()),
        failure = fleet.run(&mut summary) => Err(failure),
    };
    summary.show_stopping();
    fleet.stop().await;
    setup.stop().await;
    summary.show_end(&fleet.totals(), fleet.members.iter());
    result.and_then(|()| fleet.result())
}

/// The devices, started and to be started.
struct Fleet {
    application: Application,
    cloud: Address,
    members: Vec<Member>,
    running: Vec<Device>,
    start: Instant,
    /// Devices started per second.
    ramp: u32,
    time_scale: TimeScale,
}

impl Fleet {
    fn new(application: Application, setup: &mut Setup, ramp: u32, time_scale: TimeScale) -> Self {
        let cloud = setup.address().clone();
        let members = setup.take_members();
        Self { application, cloud, members, running: Vec::new(), start: Instant::now(), ramp, time_scale }
    }

    /// Starts the devices at the given rate and shows the summary. Ends only if a device cannot be started.
    async fn run(&mut self, summary: &mut Summary) -> Failure {
        let (mut start_tick, mut summary_tick) = (interval(START_INTERVAL), interval(SUMMARY_INTERVAL));
        summary_tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.start = Instant::now();
        loop {
            tokio::select! {
                _ = summary_tick.tick() => summary.show(&self.totals(), self.members.iter()),
                _ = start_tick.tick(), if self.running.len() < self.members.len() => {
                    if let Err(failure) = self.start_due() {
                        return failure;
                    }
                }
            }
        }
    }

    /// Starts the devices that are due by now.
    fn start_due(&mut self) -> Result<(), Failure> {
        let due = (self.start.elapsed().as_millis() * u128::from(self.ramp) / 1000) as usize + 1;
        while self.running.len() < self.members.len().min(due) {
            let member = &mut self.members[self.running.len()];
            let Some(identity) = member.take_identity() else { break };
            // Its trace of calls is what is counted.
            let options = Options {
                trace: true,
                time_scale: self.time_scale,
                ..Options::new(self.cloud.clone(), identity, self.application.clone())
            };
            let device = Device::start(options, member.observer())
                .map_err(|error| cannot_start(&self.running, &error))?;
            self.running.push(device);
        }
        Ok(())
    }

    fn totals(&self) -> Totals {
        Totals::of(self.members.iter())
    }

    /// Stops all devices at once; each closes its link in order.
    async fn stop(&mut self) {
        let running = std::mem::take(&mut self.running);
        for device in &running {
            device.remote().stop();
        }
        let _ = tokio::task::spawn_blocking(move || drop(running)).await;
    }

    /// Success if each device has connected and no application was stopped by a fault.
    fn result(&self) -> Result<(), Failure> {
        let failed: Vec<_> = self.members.iter().filter_map(Member::failure).collect();
        let Some((first, rest)) = failed.split_first() else { return Ok(()) };
        let (all, bad) = (self.members.len(), failed.len());
        let mut failure = Failure::failed(format!("{bad} of {all} devices failed: {first}"));
        for next in rest.iter().take(MAX_NAMED - 1) {
            failure = failure.hint(next.clone());
        }
        Err(failure)
    }
}

fn cannot_start(running: &[Device], error: &std::io::Error) -> Failure {
    let failure = Failure::environment(format!("cannot start device {}: {error}", running.len() + 1));
    failure.hint("use fewer devices, or raise the limits of open files and processes (ulimit -n, ulimit -u)")
}
