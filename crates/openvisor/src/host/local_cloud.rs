//! Cloud and device in one process, connected as they would be across the world: over the link, with mutual TLS.

use std::net::{Ipv4Addr, SocketAddr};

use cloud::destinations::Destinations;
use cloud::events::{Event, EventKind};
use cloud::{Cloud, Config};
use device::Options;
use device::application::Application;
use device::clock::TimeScale;
use device::debug::Debugging;
use device::events::PinFilter;
use device::identity::Identity;
use device::transport::Address;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::host::folder::Folder;
use crate::host::observed_device::{Told, Watched};
use crate::host::outbound::Relayed;
use crate::host::wiring::Wired;
use crate::operate::settings::Setting;
use crate::operate::stores;
use crate::output::error_text;
use crate::output::exit::Failure;

/// What is to be put together.
pub(crate) struct Plan {
    /// Where cloud and device keep their data.
    pub(crate) folder: Folder,
    /// The application.
    pub(crate) application: Application,
    /// What goes into the stores.
    pub(crate) settings: Vec<Setting>,
    /// Where the application's connections may go.
    pub(crate) destinations: Destinations,
    /// Where they lead, and who is believed there.
    pub(crate) relayed: Relayed,
    /// Who looks into the device.
    pub(crate) debugging: Debugging,
    /// What is wired to the device.
    pub(crate) wired: Wired,
    /// How fast the device's time goes.
    pub(crate) time_scale: TimeScale,
    /// Which of the device's outputs are reported.
    pub(crate) pins: PinFilter,
    /// The application is started as a factory test (D107).
    pub(crate) factory_test: bool,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// At the device.
    Device(Told),
    /// As the cloud saw it.
    Cloud(EventKind),
    /// So many of the cloud's events came faster than they were taken.
    CloudMissed(u64),
}

/// A running cloud with one device.
pub(crate) struct Platform {
    cloud: Cloud,
    cloud_events: broadcast::Receiver<Event>,
    device: Watched,
    device_id: String,
    /// Kept until everything that uses it has stopped.
    folder: Folder,
}

impl Platform {
    /// Starts the cloud on a free loopback port, then the device.
    pub(crate) async fn start(plan: Plan) -> Result<Self, Failure> {
        let Plan { folder, application, settings, destinations, relayed, wired, .. } = plan;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let Relayed { resolve, extra_authorities, tls_ports } = relayed;
        let local = Config::local(folder.join("cloud"), listen);
        let mut config = Config { destinations, resolve, extra_authorities, tls_ports, ..local };
        // The one device comes from this process, and its time may go faster.
        config.limits.allow_single_source();
        if plan.time_scale != TimeScale::ONE {
            // The kernel holds its application to the rate by guest time; the cloud would by the wall clock.
            config.limits.channels_a_second = 0;
        }
        let cloud = Cloud::start(config).await.map_err(error_text::of_start)?;
        let cloud_events = cloud.events();
        let identity = identity(&cloud, &folder).await?;
        let device_id = identity.device_id().to_string();
        let known_as = cloud::DeviceId::parse(&device_id).expect("both rooms have the same rule for ids");
        stores::fill(cloud.store(), known_as, &settings).await?;
        let address = Address::parse(&cloud.address().to_string()).expect("a socket address is an address");
        let mut options = Options {
            debugging: plan.debugging,
            time_scale: plan.time_scale,
            pins: plan.pins,
            ..Options::new(address, identity, application)
        };
        options.provisions.factory_test = plan.factory_test;
        let (options, feeds) = wired.wire(options);
        let device = Watched::start(options)?;
        feeds.start(&device.remote());
        Ok(Self { cloud, cloud_events, device, device_id, folder })
    }

    /// Where the cloud listens for its device.
    pub(crate) fn cloud_address(&self) -> SocketAddr {
        self.cloud.address()
    }

    /// The device's id.
    pub(crate) fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The next thing that happens. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Happening {
        tokio::select! {
            event = self.cloud_events.recv() => match event {
                Ok(event) => Happening::Cloud(event.kind),
                Err(RecvError::Lagged(count)) => Happening::CloudMissed(count),
                Err(RecvError::Closed) => std::future::pending().await,
            },
            told = self.device.next() => Happening::Device(told),
        }
    }

    /// Stops the device, then the cloud; answers what was still to be told.
    pub(crate) async fn stop(self) -> Vec<Happening> {
        let Self { cloud, mut cloud_events, device, folder, .. } = self;
        let mut last: Vec<_> = device.stop().await.into_iter().map(Happening::Device).collect();
        cloud.stop().await;
        loop {
            match cloud_events.try_recv() {
                Ok(event) => last.push(Happening::Cloud(event.kind)),
                Err(TryRecvError::Lagged(count)) => last.push(Happening::CloudMissed(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        drop(folder);
        last
    }
}

/// The identity in the folder; a new one if there is none.
async fn identity(cloud: &Cloud, folder: &Folder) -> Result<Identity, Failure> {
    let place = folder.join("device");
    if !place.exists() {
        let made = cloud.provision(None).await.map_err(error_text::of_provision)?;
        made.save(&place).map_err(|error| error_text::of_data(&error.into()))?;
    }
    Identity::load(&place).map_err(|error| error_text::of_identity(&place, &error))
}
