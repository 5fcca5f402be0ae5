//! `openvisor device`: a virtual device with a cloud elsewhere, or the replay of a recording.

mod arguments;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::device::Options;
use ::device::application::Application;
use ::device::entropy::Seed;
use ::device::identity::Identity;
use ::device::recording::{Recorder, Status};

use crate::host::address::parse_cloud_address;
use crate::host::observed_device::{Observation, ObservedDevice};
use crate::host::signals::{StopSignal, elapsed};
use crate::host::test_report::TestReport;
use crate::host::verdict::{Ending, Verdict};
use crate::host::wiring::{InputReaders, Wiring};
use crate::host::{application, debugging};
use crate::options::ShowOptions;
use crate::output::error_text::identity_failure;
use crate::output::event_output;
use crate::output::exit::Failure;
use crate::output::timeline::{Format, Source, Timeline};
pub(super) use arguments::DeviceArguments;

/// Runs until a signal, until the time is over, or until the factory test ends.
pub(super) async fn run(arguments: DeviceArguments) -> Result<(), Failure> {
    let verdict = &arguments.verdict;
    let report = TestReport::create(verdict.junit.as_deref(), "device", &arguments.application.image)?;
    let mut verdict = Verdict::new(verdict, arguments.factory_test.factory_test);
    let result = run_to_end(&arguments, &mut verdict).await;
    report.finish(&verdict, result)
}

async fn run_to_end(arguments: &DeviceArguments, verdict: &mut Verdict) -> Result<(), Failure> {
    let image = &arguments.application;
    let application = application::load(&image.image, image.signer.as_deref())?;
    let signature = application::signature_line(&application, image.signer.is_some());
    if let Some(recording) = &arguments.recording.replay {
        return replay(recording, application, arguments, verdict).await;
    }
    let (mut options, readers) = options(arguments, application)?;
    let recording = start_recording(&mut options, arguments)?;
    let stop = StopSignal::listen()?;
    let timeline = Timeline::on_stdout(Format::from_flag(arguments.json));
    debugging::announce(&options.debugging, &timeline);
    timeline.add(Source::Device, format!("id {}", options.identity.device_id()));
    timeline.add(Source::Device, format!("cloud at {}", options.cloud));
    if let Some(line) = signature {
        timeline.add(Source::Device, line);
    }
    let mut device = ObservedDevice::start(options)?;
    readers.start(&device.remote());
    let ending = tokio::select! {
        () = stop.received() => Ok(Ending::Interrupted),
        () = elapsed(arguments.pace.seconds) => Ok(Ending::TimeOver),
        () = elapsed(arguments.verdict.timeout) => Ok(Ending::TimedOut),
        ending = show_events(&mut device, &timeline, &arguments.show, verdict) => ending,
    };
    timeline.add(Source::Device, "stopping");
    for observation in device.stop().await {
        verdict.observe(&observation);
        show_one(&observation, &timeline, &arguments.show);
    }
    let ending = ending?;
    check_recording(recording)?;
    verdict.result(ending)
}

/// Applies `--record` and `--deterministic`.
fn start_recording(options: &mut Options, arguments: &DeviceArguments) -> Result<Option<Status>, Failure> {
    let recording = &arguments.recording;
    options.seed = recording.deterministic.as_deref().map(Seed::of_text);
    let Some(path) = &recording.record else { return Ok(None) };
    let recorder = Recorder::create(path).map_err(|error| {
        Failure::environment(format!("--record: cannot write {}: {error}", path.display()))
    })?;
    let status = recorder.status();
    options.recorder = Some(recorder);
    Ok(Some(status))
}

/// Whether the recording was written completely.
fn check_recording(recording: Option<Status>) -> Result<(), Failure> {
    match recording.and_then(|status| status.take_failure()) {
        Some(error) => {
            Err(Failure::environment(format!("the recording is incomplete, a write failed: {error}"))
                .hint("it can be replayed up to that point"))
        }
        None => Ok(()),
    }
}

/// Replays on a thread of its own, which it keeps busy; a signal ends it between two steps.
async fn replay(
    recording: &Path,
    application: Application,
    arguments: &DeviceArguments,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let attachments = Wiring::read(&arguments.wiring)?.into_attachments();
    let stop = StopSignal::listen()?;
    let is_stopping = Arc::new(AtomicBool::new(false));
    let set_stopping = is_stopping.clone();
    // A replay is faster than any reader, and must not drop lines: its thread waits for the reader, until there is a
    // signal.
    let timeline = Timeline::on_stdout(Format::from_flag(arguments.json)).lossless();
    let out = timeline.output().clone();
    let drained = out.clone();
    let signals = stop.clone();
    tokio::spawn(async move {
        signals.received().await;
        set_stopping.store(true, Ordering::Relaxed);
        out.stop_waiting();
    });
    let recording = recording.to_owned();
    let mut observed = Verdict::new(&arguments.verdict, arguments.factory_test.factory_test);
    let replayed = tokio::task::spawn_blocking(move || {
        let is_stopping = || is_stopping.load(Ordering::Relaxed) || timeline.has_failed();
        let image = &application.image;
        let ending =
            super::replay::run(&recording, image, attachments, &timeline, is_stopping, &mut observed);
        (ending, observed)
    });
    let (ending, observed) = replayed.await.map_err(|_| Failure::failed("the replay has panicked"))?;
    *verdict = observed;
    let result = ending.and_then(|ending| verdict.result(ending));
    tokio::select! {
        () = drained.drained() => {}
        () = stop.received() => {}
    }
    result
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
            return Err(Failure::failed(event_output::DEVICE_ENDED));
        }
        verdict.observe(&observation);
        show_one(&observation, timeline, show);
        if verdict.is_decided() {
            return Ok(Ending::Decided);
        }
    }
}

fn show_one(observation: &Observation, timeline: &Timeline, show: &ShowOptions) {
    if let Observation::Event(event) = observation
        && !show.shows(event)
    {
        return;
    }
    if let Some(crash) = observation.crash() {
        return debugging::report_crash(crash, timeline);
    }
    let lines = std::iter::once(observation.line()).chain(observation.picture_lines());
    lines.for_each(|(source, text)| timeline.add(source, text));
}
