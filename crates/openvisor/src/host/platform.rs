//! A cloud and a device in one process, connected as across a network: over the link, with mutual TLS.

use std::net::SocketAddr;
use std::time::Duration;

use cloud::Cloud;
use cloud::events::{Event as CloudEvent, EventKind};
use device::Options;
use device::application::Application;
use device::clock::TimeScale;
use device::debug::Debugging;
use device::events::PinFilter;
use relay::Notice;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::host::folder::Folder;
use crate::host::local_cloud;
use crate::host::observed_device::{Observation, ObservedDevice};
use crate::host::outbound::Outbound;
use crate::host::recording::Recording;
use crate::host::wiring::Wiring;
use crate::operate::settings::{self, Setting};
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::{Source, Timeline};

/// What `run` and `demo` start.
pub(crate) struct PlatformConfig {
    /// Where cloud and device keep their data.
    pub(crate) folder: Folder,
    pub(crate) application: Application,
    /// Written to the cloud's stores.
    pub(crate) settings: Vec<Setting>,
    pub(crate) outbound: Outbound,
    pub(crate) debugging: Debugging,
    pub(crate) wiring: Wiring,
    pub(crate) time_scale: TimeScale,
    /// The seed of the device's random numbers, and where its inputs are recorded.
    pub(crate) recording: Recording,
    /// The time of the device's clock after which it stops.
    pub(crate) device_end: Option<Duration>,
    /// Pins whose changes are reported.
    pub(crate) pins: PinFilter,
    /// Whether the application runs as a factory test, which it learns as its reason to start (D107).
    pub(crate) factory_test: bool,
}

/// An event of the cloud or its device.
#[derive(Debug)]
pub(crate) enum PlatformEvent {
    /// Seen at the device.
    Device(Observation),
    /// Seen at the cloud.
    Cloud(EventKind),
    /// This many events of the cloud were dropped, because they arrived faster than they were taken.
    CloudMissed(u64),
}

impl PlatformEvent {
    /// Adds it to the timeline.
    pub(crate) fn show(&self, timeline: &Timeline) {
        match self {
            Self::Device(observation) => timeline.add(&observation.event()),
            // The text has what the device reports of its channels; the cloud knows their numbers.
            Self::Cloud(EventKind::Notice(
                notice @ (Notice::ChannelOpened { .. } | Notice::ChannelClosed { by_device: true, .. }),
            )) => timeline.add_to_json(&notice.into()),
            Self::Cloud(kind) => timeline.add(&kind.into()),
            Self::CloudMissed(count) => {
                timeline.add(&Event::EventsDropped { count: *count, source: Source::Cloud });
            }
        }
    }
}

/// A running cloud with one device.
pub(crate) struct Platform {
    cloud: Cloud,
    cloud_events: broadcast::Receiver<CloudEvent>,
    device: ObservedDevice,
    device_id: String,
    /// Removed, if it is temporary, after everything that uses it has stopped.
    folder: Folder,
}

impl Platform {
    /// Starts the cloud, then the device.
    pub(crate) async fn start(config: PlatformConfig) -> Result<Self, Failure> {
        let PlatformConfig { folder, application, settings, outbound, wiring, .. } = config;
        let cloud = local_cloud::start(&folder, outbound, config.time_scale).await?;
        let cloud_events = cloud.events();
        let identity = local_cloud::identity(&cloud, &folder.join("device")).await?;
        let device_id = identity.device_id().to_string();
        settings::write(cloud.store(), local_cloud::device_id(&identity), &settings).await?;
        let mut options = Options {
            debugging: config.debugging,
            time_scale: config.time_scale,
            pins: config.pins,
            end: config.device_end,
            seed: config.recording.seed,
            recorder: config.recording.recorder,
            ..Options::new(local_cloud::address(&cloud), identity, application)
        };
        options.provisioning.factory_test = config.factory_test;
        let (options, readers) = wiring.apply(options);
        let device = ObservedDevice::start(options)?;
        readers.start(&device.remote());
        Ok(Self { cloud, cloud_events, device, device_id, folder })
    }

    /// The address on which the cloud listens for its device.
    pub(crate) fn cloud_address(&self) -> SocketAddr {
        self.cloud.address()
    }

    /// The device's id.
    pub(crate) fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> PlatformEvent {
        tokio::select! {
            event = self.cloud_events.recv() => match event {
                Ok(event) => PlatformEvent::Cloud(event.kind),
                Err(RecvError::Lagged(count)) => PlatformEvent::CloudMissed(count),
                Err(RecvError::Closed) => std::future::pending().await,
            },
            observation = self.device.next() => PlatformEvent::Device(observation),
        }
    }

    /// Stops the device, then the cloud, and returns the events not taken yet.
    pub(crate) async fn stop(self) -> Vec<PlatformEvent> {
        let Self { cloud, mut cloud_events, device, folder, .. } = self;
        let mut events: Vec<_> = device.stop().await.into_iter().map(PlatformEvent::Device).collect();
        cloud.stop().await;
        loop {
            match cloud_events.try_recv() {
                Ok(event) => events.push(PlatformEvent::Cloud(event.kind)),
                Err(TryRecvError::Lagged(count)) => events.push(PlatformEvent::CloudMissed(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        drop(folder);
        events
    }
}
