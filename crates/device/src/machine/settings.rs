//! What a machine is made from, and what its board and its kernel get of it.

use abi::power::WakeReason;
use kernel::{Boot, Policy};

use super::RestartPolicy;
use crate::board::BoardConfig;
use crate::entropy::EntropySource;
use crate::identity::DeviceId;
use crate::image::Image;
use crate::storage::Storage;
use crate::wiring::Attachment;

/// What a machine is made from.
pub struct Settings {
    /// The device's id.
    pub device_id: DeviceId,
    /// The application.
    pub image: Image,
    /// Random words for handles, back-off and the random number generator.
    pub entropy: EntropySource,
    /// How soon an application that faulted restarts.
    pub restart: RestartPolicy,
    /// Report every system call.
    pub trace: bool,
    /// What is wired to the board.
    pub attachments: Vec<Attachment>,
}

/// What a device is provisioned with, beside its application.
#[derive(Debug, Default)]
pub struct Provisioning {
    /// What survives a loss of power.
    pub storage: Storage,
    /// What the application's bundle says of the network.
    pub policy: Policy,
    /// What the application's bundle has for the external flash.
    pub layers: Vec<bundle::Layer>,
    /// The application is a factory test: its log goes to the observer and never to the cloud
    /// (D107).
    pub factory_test: bool,
    /// Its time runs at another rate than the cloud's, so the kernel takes the time of day from the cloud only once and
    /// counts on by itself (D141).
    pub free_clock: bool,
    /// Factor of the longest delay of a polling application's calls: how many times faster than the wall clock its time
    /// is, so that the host sleeps as long at each poll as without a scale (D219). 0 is 1.
    pub poll_scale: u32,
}

impl Provisioning {
    /// Writes the bundle's layers to the external flash, as an installation does: each replaces its region, the rest
    /// stays, because the application stores its own data there (D152).
    ///
    /// # Errors
    /// The external flash cannot be read or written; layers before the failing one have been installed.
    pub fn install(&mut self) -> std::io::Result<()> {
        self.layers.drain(..).try_for_each(|layer| {
            self.storage.flash.install(layer.region.start, layer.region.size, &layer.bytes)
        })
    }
}

pub(super) fn board_config(settings: &mut Settings) -> BoardConfig {
    let entropy = settings.entropy.clone();
    // The microcontroller's unique number is the first digits of the device's id, so that every device has its own.
    let unique = settings.device_id.as_bytes().first_chunk::<14>().expect("an id is longer");
    BoardConfig {
        entropy: Box::new(move || entropy()),
        unique: std::array::from_fn(|at| unique[at + 2]),
        attachments: std::mem::take(&mut settings.attachments),
    }
}

pub(super) fn boot(settings: &Settings, provisioning: &Provisioning, wake_reason: WakeReason) -> Boot {
    let mut seed = [0; 16];
    for word in seed.chunks_exact_mut(4) {
        word.copy_from_slice(&(settings.entropy)().to_le_bytes());
    }
    Boot {
        device_id: *settings.device_id.as_bytes(),
        seed,
        wake_reason,
        image: settings.image.digest(),
        policy: provisioning.policy,
        application_test: provisioning.factory_test,
    }
}
