//! Many devices at once, compared with as many clients that connect to the broker directly.
//!
//! The devices are [`crate::link_device`]s and the clients [`crate::rumqttc_client`]s; either group shares one thread,
//! so that what is between it and the broker is compared. Devices and clients connect to their server by TLS, and the
//! cloud to the broker by TLS too. Our own direct client, which blocks, has a thread per connection.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::direct_client::{self, Security, Writes};
use crate::link_device::LinkDevice;
use crate::scale::Scale;
use crate::statistics::median;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::test_cloud::TestCloud;
use crate::{Error, link_device, rumqttc_client};

/// Runs devices and clients in turn.
pub(crate) fn measure(
    test_cloud: &TestCloud,
    broker: SocketAddr,
    authority: &[u8],
    scale: &Scale,
) -> Result<(Section, Target), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let identities = test_cloud.identities(scale.crowd)?;
    let identities = identities.iter().map(link_device::tls).collect::<Result<Vec<_>, _>>()?;
    let each = scale.crowd_messages / identities.len() as u32;
    let total = f64::from(each) * identities.len() as f64;
    let mut rates = Rates::default();
    for _ in 0..scale.rounds {
        let through = devices(&runtime, test_cloud.address(), broker, authority, &identities, each)?;
        rates.devices.push(total / through);
        rates.library.push(total / clients(&runtime, broker, authority, identities.len(), each)?);
        rates.direct.push(total / threads(broker, authority, identities.len(), each)?);
    }
    Ok(result(scale, each, &rates))
}

/// Messages a second of each round.
#[derive(Default)]
struct Rates {
    devices: Vec<f64>,
    library: Vec<f64>,
    direct: Vec<f64>,
}

fn result(scale: &Scale, each: u32, rates: &Rates) -> (Section, Target) {
    let title = format!(
        "{} at once, {each} messages of QoS 1 each, 16 in flight each, messages/s of all, the median of {} rounds",
        scale.crowd, scale.rounds
    );
    let (devices, library) = ("light devices, cloud to broker by TLS", "rumqttc, TLS");
    let direct = "direct, TLS, a thread each";
    let mut section = Section::new(title, &[Column::new("QoS 1", 0)]);
    section.row(devices, &[median(&rates.devices)]);
    section.row(library, &[median(&rates.library)]);
    section.row(direct, &[median(&rates.direct)]);
    section.quotient(devices, library);
    section.quotient(devices, direct);
    let ratio = median(&rates.devices).zip(median(&rates.library));
    let ratio = ratio.map_or(f64::NAN, |(through, direct)| through / direct);
    (section, Target::new("100 devices together / 100 clients of rumqttc, QoS 1", ratio, Bound::AtLeast(1.0)))
}

/// Seconds the devices take together, from the first message until the last answer.
fn devices(
    runtime: &Runtime,
    cloud: SocketAddr,
    broker: SocketAddr,
    authority: &[u8],
    identities: &[link_device::Tls],
    each: u32,
) -> Result<f64, Error> {
    runtime.block_on(async {
        let mut connected = Vec::new();
        for (number, tls) in identities.iter().enumerate() {
            let mut device = LinkDevice::connect(cloud, tls.clone(), 1).await?;
            let name = format!("bench-crowd-{number}");
            let channel = device.open(&name, broker, Security::Tls(authority)).await?;
            connected.push((device, channel));
        }
        let start = Instant::now();
        let publishing = connected.into_iter().map(|(mut device, channel)| async move {
            device.publish_all(channel, each).await?;
            Ok(device)
        });
        all(publishing).await?;
        Ok(start.elapsed().as_secs_f64())
    })
}

/// The same for clients of the broker.
fn clients(
    runtime: &Runtime,
    broker: SocketAddr,
    authority: &[u8],
    count: usize,
    each: u32,
) -> Result<f64, Error> {
    runtime.block_on(async {
        let mut connected = Vec::new();
        for number in 0..count {
            let name = format!("bench-crowd-{number}");
            connected.push(rumqttc_client::Client::connect(&name, broker, Security::Tls(authority)).await?);
        }
        let start = Instant::now();
        let publishing = connected.into_iter().map(|mut client| async move {
            client.publish_all(each, 1).await?;
            Ok(client)
        });
        all(publishing).await?;
        Ok(start.elapsed().as_secs_f64())
    })
}

/// The same for our own clients, each on a thread.
fn threads(broker: SocketAddr, authority: &[u8], count: usize, each: u32) -> Result<f64, Error> {
    let connect = || direct_client::Client::connect(broker, Security::Tls(authority), Writes::Gathered);
    let mut clients = (0..count).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let publish = |client| scope.spawn(move || direct_client::Client::publish_all(client, each, 1));
        let publishing: Vec<_> = clients.iter_mut().map(publish).collect();
        publishing
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::from("a client panicked"))?.map(|_| ()))
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Awaits all; keeps every connection until the last is done.
async fn all<T: Send + 'static>(
    work: impl Iterator<Item = impl Future<Output = Result<T, Error>> + Send + 'static>,
) -> Result<Vec<T>, Error> {
    let mut tasks: JoinSet<_> = work.collect();
    let mut done = Vec::new();
    while let Some(one) = tasks.join_next().await {
        done.push(one??);
    }
    Ok(done)
}
