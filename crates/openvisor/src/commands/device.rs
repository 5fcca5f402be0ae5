//! `openvisor device`: a virtual device whose cloud is elsewhere.

mod arguments;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::device::Options;
use ::device::application::Application;
use ::device::chance::Seed;
use ::device::identity::Identity;
use ::device::recording::{Recorder, Status};
use ::device::transport::Address;

use super::replay;
use crate::host::observed_device::{Told, Watched};
use crate::host::signals::Stop;
use crate::host::wiring::{Feeds, Wired};
use crate::host::{application, debugging, factory_test};
use crate::options::ShowOptions;
use crate::output::exit::Failure;
use crate::output::timeline::{Form, Source, Timeline};
use crate::output::{error_text, event_output};
pub(super) use arguments::DeviceArguments;

/// Runs until told to stop.
pub(super) async fn run(arguments: DeviceArguments) -> Result<(), Failure> {
    let named = &arguments.application;
    let application = application::load(&named.image, named.signer.as_deref())?;
    let signature = application::of_signature(&application, named.signer.is_some());
    if let Some(recording) = &arguments.recording.replay {
        return replay_one(recording, application, &arguments).await;
    }
    let (mut options, feeds) = options(&arguments, application)?;
    let recording = record(&mut options, &arguments)?;
    let stop = Stop::listen()?;
    let timeline = Timeline::on_stdout(Form::of(arguments.json));
    debugging::announce(&options.debugging, &timeline);
    let greeting = format!("{} with its cloud at {}", options.identity.device_id(), options.cloud);
    timeline.say(Source::Device, greeting);
    if let Some(line) = signature {
        timeline.say(Source::Device, line);
    }
    let mut device = Watched::start(options)?;
    feeds.start(&device.remote());
    let result = tokio::select! {
        () = stop.asked(arguments.pace.seconds) => factory_test::stopped(arguments.factory_test.factory_test),
        ended = show_events(&mut device, &timeline, &arguments.show) => ended,
    };
    timeline.say(Source::Device, "stopping");
    device.stop().await.iter().for_each(|told| show_one(told, &timeline, &arguments.show));
    result.and_then(|()| check(recording))
}

/// What was asked for with `--record` and `--deterministic`.
fn record(options: &mut Options, arguments: &DeviceArguments) -> Result<Option<Status>, Failure> {
    let recording = &arguments.recording;
    options.seed = recording.deterministic.as_deref().map(Seed::of_text);
    let Some(path) = &recording.record else { return Ok(None) };
    let recorder = Recorder::create(path).map_err(|error| {
        Failure::environment(format!("--record {}: cannot be written: {error}", path.display()))
    })?;
    let status = recorder.status();
    options.recorder = Some(recorder);
    Ok(Some(status))
}

/// Whether the recording was written to its end.
fn check(recording: Option<Status>) -> Result<(), Failure> {
    match recording.and_then(|status| status.take_failure()) {
        Some(error) => {
            Err(Failure::environment(format!("the recording could not be written further: {error}"))
                .hint("what is there can be replayed up to there"))
        }
        None => Ok(()),
    }
}

/// The replay keeps a thread busy; a signal ends it between two turns.
async fn replay_one(
    recording: &Path,
    application: Application,
    arguments: &DeviceArguments,
) -> Result<(), Failure> {
    let targets = Wired::read(&arguments.wiring)?.into_targets();
    let json = arguments.json;
    let stop = Stop::listen()?;
    let is_asked = Arc::new(AtomicBool::new(false));
    let asked = is_asked.clone();
    // A replay is faster than any reader, and complete: its thread waits for the reader until a signal comes.
    let timeline = Timeline::on_stdout(Form::of(json)).complete();
    let out = timeline.output().clone();
    let drained = out.clone();
    let signals = stop.clone();
    tokio::spawn(async move {
        signals.signalled().await;
        asked.store(true, Ordering::Relaxed);
        out.stop_waiting();
    });
    let recording = recording.to_owned();
    let replayed = tokio::task::spawn_blocking(move || {
        let is_stopping = || is_asked.load(Ordering::Relaxed) || timeline.is_unread();
        replay::replay(&recording, &application.image, targets, &timeline, is_stopping)
    });
    let result = replayed.await.map_err(|_| Failure::not_happened("the replay has broken down"))?;
    tokio::select! {
        () = drained.drained() => {}
        () = stop.signalled() => {}
    }
    result
}

/// Everything is looked at before anything starts.
fn options(arguments: &DeviceArguments, application: Application) -> Result<(Options, Feeds), Failure> {
    let (Some(cloud), Some(data)) = (&arguments.cloud, &arguments.data) else {
        return Err(Failure::bad_input("--cloud and --data are needed"));
    };
    let cloud = Address::parse(cloud).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })?;
    let identity = Identity::load(data).map_err(|error| error_text::of_identity(data, &error))?;
    let debugging = debugging::open(&arguments.debugging, Some(&arguments.application.image))?;
    let mut options = Options {
        debugging,
        time_scale: arguments.pace.time_scale,
        pins: arguments.show.pins(),
        ..Options::new(cloud, identity, application)
    };
    options.provisions.factory_test = arguments.factory_test.factory_test;
    Ok(Wired::read(&arguments.wiring)?.wire(options))
}

async fn show_events(device: &mut Watched, timeline: &Timeline, show: &ShowOptions) -> Result<(), Failure> {
    loop {
        let told = device.next().await;
        if told == Told::Ended {
            return Err(Failure::not_happened(event_output::DEVICE_ENDED));
        }
        show_one(&told, timeline, show);
        if let Some(result) = factory_test::result(&told) {
            return result;
        }
    }
}

fn show_one(told: &Told, timeline: &Timeline, show: &ShowOptions) {
    if let Told::Event(event) = told
        && !show.shows(event)
    {
        return;
    }
    if let Some(crash) = event_output::crash_in(told) {
        return debugging::show_crash(crash, timeline);
    }
    let lines = std::iter::once(event_output::of_told(told)).chain(event_output::picture(told));
    lines.for_each(|(source, text)| timeline.say(source, text));
}
