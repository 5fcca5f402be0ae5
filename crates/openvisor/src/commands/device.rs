//! `openvisor device`: a virtual device whose cloud is elsewhere.

use ::device::Options;
use ::device::application::Application;
use ::device::identity::Identity;
use ::device::transport::Address;

use crate::application;
use crate::arguments;
use crate::debugging;
use crate::exit::Failure;
use crate::failures;
use crate::feed;
use crate::signals::Stop;
use crate::timeline::{Form, Source, Timeline};
use crate::watched::{Told, Watched};
use crate::wired::{Feeds, Wired};

/// Runs until told to stop.
pub async fn device(arguments: arguments::Device) -> Result<(), Failure> {
    let named = &arguments.application;
    let application = application::load(&named.image, named.signer.as_deref())?;
    let signature = application::of_signature(&application, named.signer.is_some());
    let (options, feeds) = options(&arguments, application)?;
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
        () = stop.asked(arguments.seconds) => Ok(()),
        failure = show(&mut device, &timeline) => Err(failure),
    };
    timeline.say(Source::Device, "stopping");
    device.stop().await.iter().for_each(|told| show_one(told, &timeline));
    result
}

/// Everything is looked at before anything starts.
fn options(arguments: &arguments::Device, application: Application) -> Result<(Options, Feeds), Failure> {
    let cloud = Address::parse(&arguments.cloud).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })?;
    let identity =
        Identity::load(&arguments.data).map_err(|error| failures::of_identity(&arguments.data, &error))?;
    let debugging = debugging::open(&arguments.debugging, Some(&arguments.application.image))?;
    let options = Options { debugging, ..Options::new(cloud, identity, application) };
    Ok(Wired::read(&arguments.wiring)?.wire(options))
}

async fn show(device: &mut Watched, timeline: &Timeline) -> Failure {
    loop {
        match device.next().await {
            Told::Ended => return Failure::not_happened(feed::DEVICE_ENDED),
            told => show_one(&told, timeline),
        }
    }
}

fn show_one(told: &Told, timeline: &Timeline) {
    if let Some(crash) = feed::crash_in(told) {
        return debugging::show_crash(crash, timeline);
    }
    let lines = std::iter::once(feed::of_told(told)).chain(feed::picture(told));
    lines.for_each(|(source, text)| timeline.say(source, text));
}
