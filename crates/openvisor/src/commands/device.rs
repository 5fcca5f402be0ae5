//! `openvisor device`: a virtual device whose cloud is elsewhere.

use std::sync::Arc;

use ::device::identity::Identity;
use ::device::image::Image;
use ::device::transport::Address;
use ::device::{Device, Options};
use tokio::sync::oneshot;

use crate::arguments;
use crate::exit::Failure;
use crate::failures;
use crate::feed;
use crate::platform;
use crate::signals::Stop;
use crate::timeline::{Form, Source, Timeline};

/// Runs until told to stop.
pub async fn device(arguments: arguments::Device) -> Result<(), Failure> {
    let image = Image::load(&arguments.image).map_err(|error| failures::of_image(&error))?;
    let cloud = Address::parse(&arguments.cloud).map_err(|error| {
        Failure::bad_input(format!("--cloud: {error}")).hint("for example --cloud 127.0.0.1:7883")
    })?;
    let identity =
        Identity::load(&arguments.data).map_err(|error| failures::of_identity(&arguments.data, &error))?;
    let timeline = Arc::new(Timeline::on_stdout(Form::of(arguments.json)));
    timeline.say(Source::Device, format!("{} with its cloud at {cloud}", identity.device_id()));
    let stop = Stop::listen()?;
    let shown = timeline.clone();
    // Never used to send: its end is the end of the device's thread.
    let (alive, ended) = oneshot::channel::<()>();
    let observer = move |event| {
        let _held = &alive;
        let (source, text) = feed::of_device(&event);
        shown.say(source, text);
    };
    let device = Device::start(Options::new(cloud, identity, image), observer)
        .map_err(|error| Failure::environment(format!("cannot start the device: {error}")))?;
    let result = tokio::select! {
        () = stop.asked(arguments.seconds) => Ok(()),
        _ = ended => Err(Failure::not_happened(feed::DEVICE_ENDED)),
    };
    timeline.say(Source::Device, "stopping");
    platform::stop_device(device).await;
    result
}
