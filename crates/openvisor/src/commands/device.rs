//! `openvisor device`: a virtual device whose cloud is elsewhere.

use ::device::Options;
use ::device::identity::Identity;
use ::device::image::Image;
use ::device::transport::Address;

use crate::arguments;
use crate::exit::Failure;
use crate::failures;
use crate::feed;
use crate::signals::Stop;
use crate::timeline::{Form, Source, Timeline};
use crate::watched::{Told, Watched};
use crate::wired::{Feeds, Wired};

/// Runs until told to stop.
pub async fn device(arguments: arguments::Device) -> Result<(), Failure> {
    let (options, feeds) = options(&arguments)?;
    let stop = Stop::listen()?;
    let timeline = Timeline::on_stdout(Form::of(arguments.json));
    let greeting = format!("{} with its cloud at {}", options.identity.device_id(), options.cloud);
    timeline.say(Source::Device, greeting);
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
fn options(arguments: &arguments::Device) -> Result<(Options, Feeds), Failure> {
    let image = Image::load(&arguments.image).map_err(|error| failures::of_image(&error))?;
    let cloud = Address::parse(&arguments.cloud).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })?;
    let identity =
        Identity::load(&arguments.data).map_err(|error| failures::of_identity(&arguments.data, &error))?;
    Ok(Wired::read(&arguments.wiring)?.wire(Options::new(cloud, identity, image)))
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
    let lines = std::iter::once(feed::of_told(told)).chain(feed::picture(told));
    lines.for_each(|(source, text)| timeline.say(source, text));
}
