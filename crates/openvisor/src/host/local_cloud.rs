//! A cloud for the devices of this process, on a free loopback port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use cloud::{Cloud, Config};
use device::clock::TimeScale;
use device::identity::Identity;
use device::transport::Address;

use crate::host::folder::Folder;
use crate::host::outbound::Outbound;
use crate::output::error_text::identity_failure;
use crate::output::exit::Failure;

/// Starts it, with its data in the subfolder `cloud`.
pub(crate) async fn start(
    folder: &Folder,
    outbound: Outbound,
    time_scale: TimeScale,
) -> Result<Cloud, Failure> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config::local(folder.join("cloud"), listen);
    outbound.apply(&mut config);
    // All devices connect from this process, so that limits per source address would apply to all of them together.
    config.limits.allow_single_source();
    if time_scale != TimeScale::ONE {
        // The kernel limits the rate by the device's clock; the cloud would by the slower wall clock.
        config.limits.channels_a_second = 0;
        config.limits.channels_a_second_per_account = 0;
    }
    Ok(Cloud::start(config).await?)
}

/// The address on which `cloud` listens, as devices take it.
pub(crate) fn address(cloud: &Cloud) -> Address {
    Address::parse(&cloud.address().to_string()).expect("a socket address is an address")
}

/// The device's identity in `folder`; a new one if the folder does not exist.
pub(crate) async fn identity(cloud: &Cloud, folder: &Path) -> Result<Identity, Failure> {
    if !folder.exists() {
        cloud.provision(None).await?.save(folder)?;
    }
    Identity::load(folder).map_err(|error| identity_failure(folder, &error))
}

/// The id of `identity`, as the cloud has it.
pub(crate) fn device_id(identity: &Identity) -> cloud::DeviceId {
    cloud::DeviceId::parse(&identity.device_id().to_string())
        .expect("device and cloud check ids by the same rule")
}
