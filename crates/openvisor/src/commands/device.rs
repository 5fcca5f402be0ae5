//! `openvisor device`: a virtual device with a cloud elsewhere, or the replay of a recording.

mod arguments;

use std::path::Path;

use ::device::Options;
use ::device::application::Application;
use ::device::events::DeviceEvent;
use ::device::identity::Identity;

use super::replay::{self, ReplayConfig};
use crate::host::address::parse_cloud_address;
use crate::host::observed_device::{Observation, ObservedDevice};
use crate::host::recording::Recording;
use crate::host::signals::{StopSignal, elapsed};
use crate::host::test_report::TestReport;
use crate::host::verdict::{Ending, Verdict};
use crate::host::wiring::{InputReaders, Wiring};
use crate::host::{application, debugging};
use crate::options::ShowOptions;
use crate::output::error_text::identity_failure;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Format, Source, Timeline};
pub(super) use arguments::DeviceArguments;

/// Runs until a signal, until the time is over, or until the factory test ends.
pub(super) async fn run(arguments: DeviceArguments) -> Result<(), Failure> {
    let verdict = &arguments.verdict;
    let report = TestReport::create(verdict.junit.as_deref(), "device", &arguments.application.image)?;
    let mut verdict = Verdict::new(verdict, arguments.factory_test.factory_test);
    let timeline = Timeline::on_stdout(Format::from_flag(arguments.json));
    let result = run_to_end(&arguments, &mut verdict, timeline.clone()).await;
    let result = report.finish(&verdict, result);
    timeline.add_end(&verdict.event(&result));
    result
}

async fn run_to_end(
    arguments: &DeviceArguments,
    verdict: &mut Verdict,
    timeline: Timeline,
) -> Result<(), Failure> {
    let image = &arguments.application;
    let application = application::load(&image.image, image.signer.as_deref())?;
    let signature = application::signature(&application, image.signer.is_some());
    if let Some(recording) = &arguments.recording.replay {
        return replay::run(replay_config(arguments, recording, application, timeline), verdict).await;
    }
    let (mut options, readers) = options(arguments, application)?;
    let recording = Recording::create(&arguments.recording)?;
    let status = recording.status();
    (options.seed, options.recorder) = (recording.seed, recording.recorder);
    let stop = StopSignal::listen()?;
    debugging::announce(&options.debugging, &timeline);
    timeline.add(&Event::DeviceId { id: options.identity.device_id().to_string() });
    timeline.add(&Event::DeviceCloud { address: options.cloud.to_string() });
    if let Some(signature) = signature {
        timeline.add(&signature);
    }
    let mut device = ObservedDevice::start(options)?;
    readers.start(&device.remote());
    let ending = tokio::select! {
        () = stop.received() => Ok(Ending::Interrupted),
        () = elapsed(arguments.pace.seconds) => Ok(Ending::TimeOver),
        () = elapsed(arguments.verdict.timeout) => Ok(Ending::TimedOut),
        ending = show_events(&mut device, &timeline, &arguments.show, verdict) => ending,
        () = timeline.output().closed() => Ok(Ending::OutputClosed),
    };
    timeline.add(&Event::Stopping { source: Source::Device });
    // What the device has reported until its end still counts for the verdict.
    for observation in device.stop().await {
        verdict.observe(&observation);
        show_one(&observation, &timeline, &arguments.show);
    }
    let ending = ending?;
    status.check()?;
    verdict.result(ending)
}

fn replay_config<'a>(
    arguments: &'a DeviceArguments,
    recording: &'a Path,
    application: Application,
    timeline: Timeline,
) -> ReplayConfig<'a> {
    ReplayConfig {
        recording,
        application,
        image: &arguments.application.image,
        wiring: &arguments.wiring,
        debugging: &arguments.debugging,
        show: &arguments.show,
        conditions: &arguments.verdict,
        is_factory_test: arguments.factory_test.factory_test,
        timeline,
        log: None,
        reports_log: arguments.reports_log(),
    }
}

/// Reads all options before anything is started.
fn options(
    arguments: &DeviceArguments,
    application: Application,
) -> Result<(Options, InputReaders), Failure> {
    let (Some(cloud), Some(data)) = (&arguments.cloud, &arguments.data) else {
        return Err(Failure::bad_input("--cloud and --data are required"));
    };
    let cloud = parse_cloud_address(cloud)?;
    let identity = Identity::load(data).map_err(|error| identity_failure(data, &error))?;
    let debugging = debugging::open(&arguments.debugging, Some(&arguments.application.image))?;
    let mut options = Options {
        debugging,
        time_scale: arguments.pace.time_scale,
        pins: arguments.show.pins(),
        report_log: arguments.reports_log(),
        end: arguments.verdict.device_seconds,
        ..Options::new(cloud, identity, application)
    };
    options.provisioning.factory_test = arguments.factory_test.factory_test;
    Ok(Wiring::read(&arguments.wiring)?.apply(options))
}

async fn show_events(
    device: &mut ObservedDevice,
    timeline: &Timeline,
    show: &ShowOptions,
    verdict: &mut Verdict,
) -> Result<Ending, Failure> {
    loop {
        let observation = device.next().await;
        if observation == Observation::Ended {
            return Err(Failure::failed(Event::DeviceFailed.text()));
        }
        verdict.observe(&observation);
        show_one(&observation, timeline, show);
        if verdict.is_decided() {
            return Ok(Ending::Decided);
        }
    }
}

fn show_one(observation: &Observation, timeline: &Timeline, show: &ShowOptions) {
    // The log is the cloud's to show; the conditions of this process need it.
    if let Observation::Event(event) = observation
        && (!show.shows(event) || matches!(event, DeviceEvent::Logged { .. }))
    {
        return;
    }
    timeline.add(&observation.event());
}
