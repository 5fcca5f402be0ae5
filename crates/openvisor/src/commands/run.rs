//! `openvisor run`: the user's image with a cloud around it.

mod arguments;

use std::io::{self, IsTerminal};

use ::cloud::destinations::Destinations;
use ::cloud::events::EventKind;
use ::device::events::DeviceEvent;

use crate::host::folder::Folder;
use crate::host::local_cloud::{Happening, Plan, Platform};
use crate::host::observed_device::Told;
use crate::host::outbound::Relayed;
use crate::host::signals::Stop;
use crate::host::wiring::Wired;
use crate::host::{application, debugging, factory_test};
use crate::operate::settings;
use crate::options::ShowOptions;
use crate::output;
use crate::output::exit::Failure;
use crate::output::timeline::{Form, Source, Timeline, shown_to};
use crate::output::{error_text, event_output};
pub(super) use arguments::RunArguments;

/// Runs until told to stop, or until nobody reads the log any more.
pub(super) async fn run(arguments: RunArguments) -> Result<(), Failure> {
    let form = if arguments.quiet { Form::Silent } else { Form::of(arguments.json) };
    let timeline = Timeline::on_stderr(form);
    let plan = plan(&arguments)?;
    let signature = application::of_signature(&plan.application, arguments.application.signer.is_some());
    let stop = Stop::listen()?;
    debugging::announce(&plan.debugging, &timeline);
    let open = error_text::open_to_applications(&plan.destinations);
    let mut platform = Platform::start(plan).await?;
    timeline.say(Source::Cloud, open);
    timeline.say(Source::Cloud, format!("listening on {}", platform.cloud_address()));
    timeline.say(Source::Device, format!("id {}", platform.device_id()));
    if let Some(line) = signature {
        timeline.say(Source::Device, line);
    }
    let ended = tokio::select! {
        () = stop.asked(arguments.pace.seconds) => factory_test::stopped(arguments.factory_test.factory_test),
        ended = show_events(&mut platform, &timeline, &arguments.show) => ended,
        // Nobody reads the log any more.
        () = output::raw_stdout().failed() => Ok(()),
    };
    timeline.say(Source::Device, "stopping");
    let last = platform.stop().await;
    tokio::select! {
        biased;
        () = show_last(&last, &timeline, &arguments.show) => {}
        // What is queued is still written when the process ends, as far as somebody reads it.
        () = stop.signalled() => {}
    }
    ended
}

/// Shows what happened at the end, and waits until standard output is written: `run --seconds 5 | less` shows all of it.
async fn show_last(last: &[Happening], timeline: &Timeline, show: &ShowOptions) {
    for happening in last {
        if show_one(happening, timeline, show).await.is_err() {
            return;
        }
    }
    output::raw_stdout().drained().await;
}

/// Everything is looked at before anything is made.
fn plan(arguments: &RunArguments) -> Result<Plan, Failure> {
    let named = &arguments.application;
    let application = application::load(&named.image, named.signer.as_deref())?;
    let settings = settings::of_run(&arguments.settings, &arguments.account_settings)?;
    let relayed = Relayed::read(&arguments.outbound)?;
    let destinations = error_text::allowing(Destinations::with_loopback(), &arguments.allow.allow)?;
    let wired = Wired::read(&arguments.wiring)?;
    let folder = Folder::open(arguments.data.as_deref())?;
    let debugging = debugging::open(&arguments.debugging, Some(&arguments.application.image))?;
    Ok(Plan {
        folder,
        application,
        settings,
        destinations,
        relayed,
        debugging,
        wired,
        time_scale: arguments.pace.time_scale,
        pins: arguments.show.pins(),
        factory_test: arguments.factory_test.factory_test,
    })
}

async fn show_events(
    platform: &mut Platform,
    timeline: &Timeline,
    show: &ShowOptions,
) -> Result<(), Failure> {
    loop {
        let happening = platform.next().await;
        if matches!(happening, Happening::Device(Told::Ended)) {
            return Err(Failure::not_happened(event_output::DEVICE_ENDED));
        }
        if show_one(&happening, timeline, show).await.is_err() {
            return Ok(());
        }
        if let Happening::Device(told) = &happening
            && let Some(result) = factory_test::result(told)
        {
            return result;
        }
    }
}

/// The application's lines to standard output, each ended once: as they are for a file or another program, escaped on a
/// terminal, which an image could otherwise control (D207). Everything else to the timeline. Waits until standard output is
/// read: meanwhile events wait in their own queues, which say how many they had to drop.
async fn show_one(happening: &Happening, timeline: &Timeline, show: &ShowOptions) -> io::Result<()> {
    if let Happening::Device(Told::Event(event)) = happening
        && !show.shows(event)
    {
        return Ok(());
    }
    if let Happening::Cloud(EventKind::Log { text, .. })
    | Happening::Device(Told::Event(DeviceEvent::TestLog { text })) = happening
    {
        let line = shown_to(io::stdout().is_terminal(), text.strip_suffix(b"\n").unwrap_or(text));
        return output::raw_stdout().send(&line).await;
    }
    if let Happening::Device(told) = happening
        && let Some(crash) = event_output::crash_in(told)
    {
        debugging::show_crash(crash, timeline);
        return Ok(());
    }
    let picture = match happening {
        Happening::Device(told) => event_output::picture(told),
        Happening::Cloud(_) | Happening::CloudMissed(_) => Vec::new(),
    };
    let lines = event_output::of_platform(happening).into_iter().chain(picture);
    lines.for_each(|(source, text)| timeline.say(source, text));
    Ok(())
}
