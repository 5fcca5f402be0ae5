//! A cloud in this process, and virtual devices that run the measuring application against it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cloud::{Cloud, Config, DeviceId, Scope};
use device::debug::Debugging;
use device::identity::Identity;
use device::image::Image;
use device::transport::Address;
use device::{Device, Options};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::Error;
use crate::cost_ledger::CLOUD_THREAD;
use crate::direct_client::Security;
use crate::idle::WaitMode;
use crate::report::{Report, Span};
use crate::scale::{PAYLOAD, TOPIC};

/// `sdk/samples/bench`, as committed.
const IMAGE: &[u8] = include_bytes!("../../../sdk/samples/bench/bench.bin");
/// `sdk/tests/apps/watching`, as committed.
const POLLING_IMAGE: &[u8] = include_bytes!("../../../sdk/tests/apps/watching/watching.elf");
/// How often the log is polled: seldom enough to disturb nothing, often enough for [`SILENCE`].
const POLL: Duration = Duration::from_millis(200);
/// The application's silence before and after a measurement whose bytes are counted.
const SILENCE: Duration = Duration::from_millis(800);
/// Longer than any workload takes.
const TIMEOUT: Duration = Duration::from_mins(2);
/// More lines than any workload makes.
const LINES: u32 = 10_000;

/// How many messages the application publishes for each measurement; 0 skips it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Workload {
    /// One at a time.
    pub latency: u32,
    /// Quality of service 1, many in flight.
    pub qos1: u32,
    /// Quality of service 0.
    pub qos0: u32,
    /// Pause before and after each, so that [`quiet_window`] contains its bytes alone.
    pub is_counted: bool,
}

/// The running cloud.
pub(crate) struct TestCloud {
    runtime: Runtime,
    cloud: Option<Cloud>,
    folder: TempDir,
}

/// A device with its configuration.
pub(crate) struct ProvisionedDevice {
    id: DeviceId,
    /// Where its identity is.
    pub folder: PathBuf,
}

/// Removes a cloud's rate limits: the measurement is about the machine, not about the limits.
pub(crate) fn remove_rate_limits(config: &mut Config) {
    let limits = &mut config.limits;
    (limits.requests_a_second, limits.requests_a_second_per_account) = (0, 0);
    (limits.link_bytes_a_second, limits.link_bytes_a_second_per_account) = (0, 0);
    limits.log_lines_a_second = 0;
    (limits.channels_a_second, limits.channels_a_second_per_account) = (0, 0);
    (limits.broker_packets_a_second, limits.broker_bytes_a_second) = (0, 0);
    // All devices of a measurement come from this machine.
    limits.allow_single_source();
}

impl TestCloud {
    /// Starts a cloud with a new data folder on a free loopback port.
    pub(crate) fn start() -> Result<Self, Error> {
        Self::start_with(remove_rate_limits)
    }

    /// Starts it with the default configuration as changed by `adjust`.
    pub(crate) fn start_with(adjust: impl FnOnce(&mut Config)) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let runtime = Builder::new_multi_thread().enable_all().thread_name(CLOUD_THREAD).build()?;
        let mut config =
            Config::local(folder.path().join("cloud"), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        adjust(&mut config);
        let cloud = runtime.block_on(Cloud::start(config))?;
        Ok(Self { runtime, cloud: Some(cloud), folder })
    }

    /// The address for devices.
    pub(crate) fn address(&self) -> SocketAddr {
        self.cloud().address()
    }

    fn cloud(&self) -> &Cloud {
        self.cloud.as_ref().expect("it is taken only when this is dropped")
    }

    /// Provisions a device, and writes the workload and its broker to its configuration.
    pub(crate) fn provision(
        &self,
        workload: Workload,
        broker: SocketAddr,
        security: Security<'_>,
    ) -> Result<ProvisionedDevice, Error> {
        let made = self.runtime.block_on(self.cloud().provision(None))?;
        let folder = self.folder.path().join(made.device_id.as_str());
        made.save(&folder)?;
        for (key, value) in settings(workload, broker, security) {
            let set = self.cloud().store().set_config(Scope::Device(made.device_id), key, &value);
            self.runtime.block_on(set)?;
        }
        Ok(ProvisionedDevice { id: made.device_id, folder })
    }

    /// Provisions `count` devices.
    pub(crate) fn identities(&self, count: u32) -> Result<Vec<cloud::Identity>, Error> {
        self.runtime.block_on(async {
            let mut identities = Vec::new();
            for _ in 0..count {
                identities.push(self.cloud().provision(None).await?);
            }
            Ok(identities)
        })
    }

    /// Runs a workload on a device that reaches the cloud at `address`, and returns its report.
    pub(crate) fn run(&self, device: &ProvisionedDevice, address: SocketAddr) -> Result<Report, Error> {
        Ok(self.run_observed(device, address, || Ok(()))?.0)
    }

    /// The same, and what `look` saw before the device stopped.
    pub(crate) fn run_observed<T>(
        &self,
        device: &ProvisionedDevice,
        address: SocketAddr,
        look: impl FnOnce() -> Result<T, Error>,
    ) -> Result<(Report, T), Error> {
        let running = start_device(&device.folder, &image(WaitMode::Asleep)?, address)?;
        let report = self.await_report(device);
        let seen = look();
        running.stop();
        Ok((report?, seen?))
    }

    /// Reads the device's log until its application is done.
    pub(crate) fn await_report(&self, device: &ProvisionedDevice) -> Result<Report, Error> {
        let start = Instant::now();
        let mut report = Report::default();
        let mut taken = 0;
        while !report.is_done {
            if start.elapsed() > TIMEOUT {
                return Err(format!("the application is not done in time; {}", report.remarks()).into());
            }
            std::thread::sleep(POLL);
            let lines = self.runtime.block_on(self.cloud().store().logs(device.id, LINES))?;
            let seen = Instant::now();
            for line in &lines[taken..] {
                report.take(&String::from_utf8_lossy(&line.text), seen)?;
            }
            taken = lines.len();
        }
        Ok(report)
    }
}

impl Drop for TestCloud {
    fn drop(&mut self) {
        if let Some(cloud) = self.cloud.take() {
            self.runtime.block_on(cloud.stop());
        }
    }
}

/// The measuring application. It waits at one instruction, which `waits` selects.
pub(crate) fn image(waits: WaitMode) -> Result<Image, Error> {
    const WFI: [u8; 2] = [0x30, 0xBF];
    const NOP: [u8; 2] = [0x00, 0xBF];
    let mut bytes = if waits == WaitMode::Polling { POLLING_IMAGE.to_vec() } else { IMAGE.to_vec() };
    if waits == WaitMode::Spinning {
        let mut places = bytes.chunks_exact_mut(2).filter(|half| **half == WFI);
        places.next().ok_or("no WFI in the application")?.copy_from_slice(&NOP);
        if places.next().is_some() {
            return Err("more than one WFI in the application".into());
        }
    }
    Image::parse(&bytes).map_err(|error| error.to_string().into())
}

/// Starts a device with the identity in `folder` and the application in `image`.
pub(crate) fn start_device(folder: &Path, image: &Image, cloud: SocketAddr) -> Result<Device, Error> {
    start_device_with(folder, image, cloud, Debugging::default())
}

/// The same with a trace, or whatever else shows what it does.
pub(crate) fn start_device_with(
    folder: &Path,
    image: &Image,
    cloud: SocketAddr,
    debugging: Debugging,
) -> Result<Device, Error> {
    let identity = Identity::load(folder).map_err(|error| error.to_string())?;
    let address = Address::parse(&cloud.to_string())?;
    let options = Options { debugging, ..Options::new(address, identity, image.clone()) };
    Ok(Device::start(options, |_| {})?)
}

/// The part of a measurement's span in which only the measured work is on the wire: the log lines around it are a pause
/// away, part of which is lost because they are seen late. `None` if there is no such part.
pub(crate) fn quiet_window(span: Span) -> Option<(Instant, Instant)> {
    Some((span.begin + SILENCE / 4, span.end.checked_sub(SILENCE / 2)?))
}

fn settings(workload: Workload, broker: SocketAddr, security: Security<'_>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("broker-host", broker.ip().to_string()),
        ("broker-port", broker.port().to_string()),
        ("publish-topic", TOPIC.to_owned()),
        ("bench-latency", workload.latency.to_string()),
        ("bench-qos1", workload.qos1.to_string()),
        ("bench-qos0", workload.qos0.to_string()),
        ("bench-payload", PAYLOAD.to_string()),
        ("bench-silence", if workload.is_counted { SILENCE.as_millis() } else { 0 }.to_string()),
    ];
    if let Security::Tls(authority) = security {
        let digits = authority.iter().map(|byte| format!("{byte:02x}"));
        settings.push(("broker-ca", digits.collect()));
    }
    settings
}
