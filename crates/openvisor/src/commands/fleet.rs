//! `openvisor fleet`: many devices with the same application in one process.

mod arguments;
mod ground;
mod member;
mod process;
mod summary;

use std::pin::pin;
use std::time::{Duration, Instant};

use ::device::application::Application;
use ::device::clock::TimeScale;
use ::device::transport::Address;
use ::device::{Device, Options};
use ground::Ground;
use member::{Member, Totals};
use summary::Summary;
use tokio::time::{MissedTickBehavior, interval};

use crate::host::application;
use crate::host::signals::Stop;
use crate::output::exit::Failure;
pub(super) use arguments::FleetArguments;

/// How often it is looked whether more devices are to be started.
const STARTING: Duration = Duration::from_millis(20);
/// How often the summary is shown.
const SHOWING: Duration = Duration::from_secs(1);
/// Most devices the last line names.
const NAMED: usize = 5;

/// Runs until told to stop. Everything is looked at before anything is made.
pub(super) async fn run(arguments: FleetArguments) -> Result<(), Failure> {
    let application = application::load(&arguments.image, None)?;
    let plan = ground::plan(&arguments)?;
    let stop = Stop::listen()?;
    let mut stopping = pin!(stop.asked(None));
    let mut summary = Summary::new(arguments.json);
    summary.preparing(arguments.count);
    let mut ground = tokio::select! {
        () = &mut stopping => return Ok(()),
        prepared = plan.prepare() => prepared?,
    };
    let mut fleet = Fleet::new(application, &mut ground, arguments.ramp, arguments.pace.time_scale);
    summary.begin(fleet.members.len(), &fleet.cloud);
    let ended = tokio::select! {
        () = &mut stopping => Ok(()),
        () = pass(arguments.pace.seconds) => Ok(()),
        failure = fleet.run(&mut summary) => Err(failure),
    };
    summary.stopping();
    fleet.stop().await;
    ground.stop().await;
    summary.end(&fleet.totals(), fleet.members.iter());
    ended.and_then(|()| fleet.verdict())
}

async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The devices, those that run and those that will.
struct Fleet {
    application: Application,
    cloud: Address,
    members: Vec<Member>,
    running: Vec<Device>,
    began: Instant,
    /// Devices started in a second.
    ramp: u32,
    /// How fast their time goes.
    scale: TimeScale,
}

impl Fleet {
    fn new(application: Application, ground: &mut Ground, ramp: u32, scale: TimeScale) -> Self {
        let cloud = ground.address().clone();
        let members = ground.take_members();
        Self { application, cloud, members, running: Vec::new(), began: Instant::now(), ramp, scale }
    }

    /// Starts the devices one after the other and shows the summary. Ends only if a device cannot be started.
    async fn run(&mut self, summary: &mut Summary) -> Failure {
        let (mut starting, mut showing) = (interval(STARTING), interval(SHOWING));
        showing.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.began = Instant::now();
        loop {
            tokio::select! {
                _ = showing.tick() => summary.show(&self.totals(), self.members.iter()),
                _ = starting.tick(), if self.running.len() < self.members.len() => {
                    if let Err(failure) = self.start_due() {
                        return failure;
                    }
                }
            }
        }
    }

    /// Starts the devices whose turn has come.
    fn start_due(&mut self) -> Result<(), Failure> {
        let due = (self.began.elapsed().as_millis() * u128::from(self.ramp) / 1000) as usize + 1;
        while self.running.len() < self.members.len().min(due) {
            let member = &mut self.members[self.running.len()];
            let Some(identity) = member.take_identity() else { break };
            // The calls are what is counted.
            let options = Options {
                trace: true,
                time_scale: self.scale,
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

    /// Stops all of them at once; each says goodbye to the cloud.
    async fn stop(&mut self) {
        let running = std::mem::take(&mut self.running);
        for device in &running {
            device.remote().stop();
        }
        let _ = tokio::task::spawn_blocking(move || drop(running)).await;
    }

    /// Success if each device connected and no application was stopped by a fault.
    fn verdict(&self) -> Result<(), Failure> {
        let lost: Vec<_> = self.members.iter().filter_map(Member::trouble).collect();
        let Some((first, rest)) = lost.split_first() else { return Ok(()) };
        let (all, bad) = (self.members.len(), lost.len());
        let mut failure = Failure::not_happened(format!("{bad} of {all} devices did not do well: {first}"));
        for one in rest.iter().take(NAMED - 1) {
            failure = failure.hint(one.clone());
        }
        Err(failure)
    }
}

fn cannot_start(running: &[Device], error: &std::io::Error) -> Failure {
    let failure = Failure::environment(format!("cannot start device {}: {error}", running.len() + 1));
    failure.hint("fewer devices, or higher limits of open files and processes (ulimit -n, ulimit -u)")
}
