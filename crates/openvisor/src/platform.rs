//! Cloud and device in one process, connected as they would be across the world: over the link, with mutual TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloud::destinations::Destinations;
use cloud::events::{Event, EventKind};
use cloud::{Cloud, Config};
use device::events::DeviceEvent;
use device::identity::Identity;
use device::image::Image;
use device::transport::Address;
use device::{Device, Options};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};

use crate::exit::Failure;
use crate::failures;
use crate::folder::Folder;
use crate::settings::Setting;
use crate::stores;

/// Device events that may wait to be shown; more are counted, not kept.
const QUEUE: usize = 1024;

/// What is to be put together.
pub struct Plan {
    /// Where cloud and device keep their data.
    pub folder: Folder,
    /// The application.
    pub image: Image,
    /// What goes into the device's stores.
    pub settings: Vec<Setting>,
    /// Where the application's connections may go.
    pub destinations: Destinations,
}

/// Something that happened.
#[derive(Debug)]
pub enum Happening {
    /// As the cloud saw it.
    Cloud(EventKind),
    /// At the device.
    Device(DeviceEvent),
    /// So many happenings came faster than they were shown.
    Missed(u64),
    /// The device's thread is gone, though nobody stopped it.
    DeviceEnded,
}

/// A running cloud with one device.
pub struct Platform {
    cloud: Cloud,
    device: Device,
    device_id: String,
    cloud_events: broadcast::Receiver<Event>,
    device_events: mpsc::Receiver<DeviceEvent>,
    missed: Arc<AtomicU64>,
    /// Kept until everything that uses it has stopped.
    _folder: Folder,
}

impl Platform {
    /// Starts the cloud on a free loopback port, then the device.
    pub async fn start(plan: Plan) -> Result<Self, Failure> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config::local(plan.folder.join("cloud"), listen);
        config.destinations = plan.destinations;
        let cloud = Cloud::start(config).await.map_err(failures::of_start)?;
        let cloud_events = cloud.events();
        let identity = identity(&cloud, &plan.folder).await?;
        let device_id = identity.device_id().to_string();
        let known_as = cloud::DeviceId::parse(&device_id).expect("both rooms have the same rule for ids");
        stores::fill(cloud.store(), known_as, &plan.settings).await?;
        let (told, device_events) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let device = start_device(&cloud, identity, plan.image, told, missed.clone())?;
        Ok(Self { cloud, device, device_id, cloud_events, device_events, missed, _folder: plan.folder })
    }

    /// Where the cloud listens for its device.
    pub fn cloud_address(&self) -> SocketAddr {
        self.cloud.address()
    }

    /// The device's id.
    pub fn device_id(&self) -> &str {
        &self.device_id
    }

    /// The next thing that happens. Safe to cancel.
    pub async fn next(&mut self) -> Happening {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            return Happening::Missed(missed);
        }
        tokio::select! {
            event = self.cloud_events.recv() => match event {
                Ok(event) => Happening::Cloud(event.kind),
                Err(RecvError::Lagged(count)) => Happening::Missed(count),
                Err(RecvError::Closed) => std::future::pending().await,
            },
            event = self.device_events.recv() => event.map_or(Happening::DeviceEnded, Happening::Device),
        }
    }

    /// Stops the device, then the cloud; answers what was still to be told.
    pub async fn stop(self) -> Vec<Happening> {
        let Self { cloud, device, mut cloud_events, mut device_events, .. } = self;
        stop_device(device).await;
        cloud.stop().await;
        let mut last: Vec<_> =
            std::iter::from_fn(|| device_events.try_recv().ok()).map(Happening::Device).collect();
        loop {
            match cloud_events.try_recv() {
                Ok(event) => last.push(Happening::Cloud(event.kind)),
                Err(TryRecvError::Lagged(count)) => last.push(Happening::Missed(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return last,
            }
        }
    }
}

/// Stops a device; its thread says goodbye to the cloud first.
pub async fn stop_device(device: Device) {
    let _ = tokio::task::spawn_blocking(move || device.stop()).await;
}

/// The identity in the folder; a new one if there is none.
async fn identity(cloud: &Cloud, folder: &Folder) -> Result<Identity, Failure> {
    let place = folder.join("device");
    if !place.exists() {
        let made = cloud.provision(None).await.map_err(failures::of_provision)?;
        made.save(&place).map_err(|error| failures::of_data(&error))?;
    }
    Identity::load(&place).map_err(|error| failures::of_identity(&place, &error))
}

fn start_device(
    cloud: &Cloud,
    identity: Identity,
    image: Image,
    told: mpsc::Sender<DeviceEvent>,
    missed: Arc<AtomicU64>,
) -> Result<Device, Failure> {
    let address = Address::parse(&cloud.address().to_string()).expect("a socket address is an address");
    let observer = move |event| {
        // The observer holds up the device: what nobody takes in time is counted instead.
        if told.try_send(event).is_err() {
            missed.fetch_add(1, Ordering::Relaxed);
        }
    };
    Device::start(Options::new(address, identity, image), observer)
        .map_err(|error| Failure::environment(format!("cannot start the device: {error}")))
}
