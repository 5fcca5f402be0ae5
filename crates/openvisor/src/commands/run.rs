//! `openvisor run`: an application on a device, with its cloud in the same process.

mod arguments;
mod image_tests;

use std::io::{self, IsTerminal};
use std::path::Path;

use ::cloud::destinations::Destinations;
use ::cloud::events::EventKind;
use ::device::clock::TimeScale;
use ::device::events::DeviceEvent;

use super::replay::{self, ReplayConfig};
use crate::host::folder::Folder;
use crate::host::observed_device::Observation;
use crate::host::outbound::Outbound;
use crate::host::platform::{Platform, PlatformConfig, PlatformEvent};
use crate::host::recording::Recording;
use crate::host::signals::{StopSignal, elapsed};
use crate::host::test_report::TestReport;
use crate::host::verdict::{Ending, Verdict};
use crate::host::wiring::Wiring;
use crate::host::{application, debugging};
use crate::operate::settings;
use crate::options::ShowOptions;
use crate::output;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Format, Source, Timeline, stdout_line};
pub(super) use arguments::RunArguments;

/// Runs until a signal, until the time is over, or until standard output is closed; an image of tests until the last
/// has ended.
pub(super) async fn run(arguments: RunArguments) -> Result<(), Failure> {
    if let Some(tests) = image_tests::of(&arguments)? {
        return image_tests::run(&arguments, &tests).await;
    }
    let verdict = &arguments.verdict;
    let report = TestReport::create(verdict.junit.as_deref(), "run", &arguments.application.image)?;
    let mut verdict = Verdict::new(verdict, arguments.factory_test.factory_test);
    let format = if arguments.quiet { Format::Silent } else { Format::from_flag(arguments.json) };
    let timeline = Timeline::on_stderr(format);
    let result = run_to_end(&arguments, &mut verdict, timeline.clone()).await;
    let result = report.finish(&verdict, result);
    timeline.add_end(&verdict.event(&result));
    result
}

async fn run_to_end(
    arguments: &RunArguments,
    verdict: &mut Verdict,
    timeline: Timeline,
) -> Result<(), Failure> {
    if let Some(recording) = &arguments.recording.replay {
        return replay::run(replay_config(arguments, recording, timeline)?, verdict).await;
    }
    let config = platform_config(arguments)?;
    let recording = config.recording.status();
    let signature = application::signature(&config.application, arguments.application.signer.is_some());
    let stop = StopSignal::listen()?;
    debugging::announce(&config.debugging, &timeline);
    let outbound = config.outbound.event();
    let mut platform = Platform::start(config).await?;
    timeline.add(&outbound);
    timeline.add(&Event::CloudListening { address: platform.cloud_address().to_string() });
    timeline.add(&Event::DeviceId { id: platform.device_id().to_owned() });
    if let Some(signature) = signature {
        timeline.add(&signature);
    }
    let ending = tokio::select! {
        () = stop.received() => Ok(Ending::Interrupted),
        () = elapsed(arguments.pace.seconds) => Ok(Ending::TimeOver),
        () = elapsed(arguments.verdict.timeout) => Ok(Ending::TimedOut),
        ending = show_events(&mut platform, &timeline, &arguments.show, verdict) => ending,
        // The reader of the log lines is gone.
        () = output::raw_stdout().failed() => Ok(Ending::OutputClosed),
    };
    timeline.add(&Event::Stopping { source: Source::Device });
    let last_events = platform.stop().await;
    for event in &last_events {
        observe(event, verdict);
    }
    tokio::select! {
        biased;
        () = show_last_events(&last_events, &timeline, &arguments.show) => {}
        // The end of the process still writes what is queued, as long as the reader makes progress.
        () = stop.received() => {}
    }
    let ending = ending?;
    recording.check()?;
    verdict.result(ending)
}

/// A replay has everything from its recording; the application's log lines go where they go in a run.
fn replay_config<'a>(
    arguments: &'a RunArguments,
    recording: &'a Path,
    timeline: Timeline,
) -> Result<ReplayConfig<'a>, Failure> {
    if let Some(option) = without_effect(arguments) {
        return Err(Failure::bad_input(format!("{option} has no effect in a replay"))
            .hint("the recording has all that reached the device; leave the option out"));
    }
    let image = &arguments.application;
    Ok(ReplayConfig {
        recording,
        application: application::load(&image.image, image.signer.as_deref())?,
        image: &image.image,
        wiring: &arguments.wiring,
        debugging: &arguments.debugging,
        show: &arguments.show,
        conditions: &arguments.verdict,
        is_factory_test: arguments.factory_test.factory_test,
        timeline,
        log: Some(output::raw_stdout()),
        reports_log: false,
    })
}

/// An option that a replay would ignore, if one is given.
fn without_effect(arguments: &RunArguments) -> Option<&'static str> {
    let (own, account) = (&arguments.settings, &arguments.account_settings);
    let outbound = &arguments.outbound;
    let given = [
        (!own.configs.is_empty(), "--config"),
        (!own.secrets.is_empty(), "--secret"),
        (!account.account_configs.is_empty(), "--account-config"),
        (!account.account_secrets.is_empty(), "--account-secret"),
        (!arguments.allow.allow.is_empty(), "--allow"),
        (!outbound.resolve.is_empty(), "--resolve"),
        (!outbound.authorities.is_empty(), "--cacert"),
        (!outbound.tls_ports.is_empty(), "--tls-port"),
        (!outbound.plain_ports.is_empty(), "--plain-port"),
        (arguments.pace.time_scale != TimeScale::ONE, "--time-scale"),
    ];
    given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
}

/// Reads all options before anything is created.
fn platform_config(arguments: &RunArguments) -> Result<PlatformConfig, Failure> {
    let image = &arguments.application;
    Ok(PlatformConfig {
        application: application::load(&image.image, image.signer.as_deref())?,
        settings: settings::parse_all(&arguments.settings, &arguments.account_settings)?,
        outbound: Outbound::read(Destinations::with_loopback(), &arguments.allow.allow, &arguments.outbound)?,
        wiring: Wiring::read(&arguments.wiring)?,
        folder: Folder::open(arguments.data.as_deref())?,
        debugging: debugging::open(&arguments.debugging, Some(&image.image))?,
        time_scale: arguments.pace.time_scale,
        device_end: arguments.verdict.device_seconds,
        recording: Recording::create(&arguments.recording)?,
        pins: arguments.show.pins(),
        factory_test: arguments.factory_test.factory_test,
    })
}

async fn show_events(
    platform: &mut Platform,
    timeline: &Timeline,
    show: &ShowOptions,
    verdict: &mut Verdict,
) -> Result<Ending, Failure> {
    loop {
        let event = platform.next().await;
        // Before it is shown, which may wait for a reader: the verdict does not depend on who reads.
        observe(&event, verdict);
        if matches!(event, PlatformEvent::Device(Observation::Ended)) {
            return Err(Failure::failed(Event::DeviceFailed.text()));
        }
        if show_event(&event, timeline, show).await.is_err() {
            return Ok(Ending::OutputClosed);
        }
        if verdict.is_decided() {
            return Ok(Ending::Decided);
        }
    }
}

fn observe(event: &PlatformEvent, verdict: &mut Verdict) {
    match event {
        PlatformEvent::Device(observation) => verdict.observe(observation),
        PlatformEvent::Cloud(EventKind::Log { text, .. }) => {
            verdict.observe_line(&String::from_utf8_lossy(text));
        }
        PlatformEvent::Cloud(_) => {}
        PlatformEvent::CloudMissed(count) => verdict.note_missed(*count),
    }
}

/// Shows the events of the shutdown, and waits until standard output is written, so that `run --seconds 5 | less` shows
/// all of it.
async fn show_last_events(events: &[PlatformEvent], timeline: &Timeline, show: &ShowOptions) {
    for event in events {
        if show_event(event, timeline, show).await.is_err() {
            return;
        }
    }
    output::raw_stdout().drained().await;
}

/// Writes the application's log lines to standard output: byte for byte to a file or a program, escaped to a terminal,
/// which an image could otherwise control (D207). Everything else goes to the timeline; in JSON the log lines do, too,
/// so that it has all events in their order.
///
/// Waits for room on standard output; meanwhile events stay in their own queues, which count those they drop.
async fn show_event(event: &PlatformEvent, timeline: &Timeline, show: &ShowOptions) -> io::Result<()> {
    if let PlatformEvent::Device(Observation::Event(event)) = event
        && !show.shows(event)
    {
        return Ok(());
    }
    if let PlatformEvent::Cloud(EventKind::Log { text, .. })
    | PlatformEvent::Device(Observation::Event(DeviceEvent::TestLog { text })) = event
    {
        // A newline at the end of a message is not a line of its own.
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        timeline.add_to_json(&match event {
            PlatformEvent::Cloud(kind) => kind.into(),
            _ => Event::app_log(text),
        });
        let line = stdout_line(io::stdout().is_terminal(), text);
        return output::raw_stdout().send(&line).await;
    }
    event.show(timeline);
    Ok(())
}
