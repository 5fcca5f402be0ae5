//! The latency of well-behaved devices while other devices and brokers misbehave, which is what the limits are for
//! (D122, D180, D181).
//!
//! One device connects and closes as fast as it can, one has brokers that send PINGRESP without end on each of its
//! channels, and one asks for names that are never resolved. They share this machine with the cloud.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::Error;
use crate::direct_client::Security;
use crate::link_device::{self, LinkDevice};
use crate::scale::Scale;
use crate::statistics::percentile;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::test_cloud::TestCloud;

/// Pause between two messages of a quiet device.
const PAUSE: Duration = Duration::from_millis(100);
/// Channels of each misbehaving device: all that a kernel has.
const CHANNELS: usize = 4;
/// Number of misbehaving devices.
const MISBEHAVING: u32 = 3;

/// Measures the quiet devices alone, then next to the others.
pub(crate) fn measure(
    broker: SocketAddr,
    authority: &[u8],
    scale: &Scale,
) -> Result<(Section, Target), Error> {
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let name_server = others.block_on(silent_name_server())?;
    let test_cloud = TestCloud::start_with(|config| config.name_servers = vec![name_server])?;
    let identities = test_cloud.identities(scale.crowd + MISBEHAVING)?;
    let identities = identities.iter().map(link_device::tls).collect::<Result<Vec<_>, _>>()?;
    let (noisy, quiet) = identities.split_at(MISBEHAVING as usize);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let alone = latencies(&runtime, test_cloud.address(), broker, authority, quiet, scale)?;
    let stop = Arc::new(AtomicBool::new(false));
    let running = misbehave(&others, test_cloud.address(), noisy, &stop)?;
    let beside = latencies(&runtime, test_cloud.address(), broker, authority, quiet, scale);
    stop.store(true, Ordering::Relaxed);
    for device in running {
        others.block_on(device)??;
    }
    Ok(result(scale, &alone, &beside?))
}

fn result(scale: &Scale, alone: &[u32], beside: &[u32]) -> (Section, Target) {
    let title = format!(
        "{} quiet devices, a message of QoS 1 every {} ms each, microseconds to its answer, {} s",
        scale.crowd,
        PAUSE.as_millis(),
        scale.idle_seconds
    );
    let mut section = Section::new(title, &[Column::new("p50", 0), Column::new("p99", 0)]);
    let row = |values: &[u32]| [percentile(values, 50), percentile(values, 99)];
    let (quietly, noisily) = ("alone", "beside 3 misbehaving devices and their brokers");
    section.row(quietly, &row(alone));
    section.row(noisily, &row(beside));
    section.quotient(noisily, quietly);
    let ratio = percentile(beside, 99).zip(percentile(alone, 99));
    let ratio = ratio.map_or(f64::NAN, |(beside, alone)| beside / alone);
    (section, Target::new("p99 of quiet devices beside misbehaving ones / alone", ratio, Bound::AtMost(2.0)))
}

/// Microseconds from each message of the quiet devices to its acknowledgement.
fn latencies(
    runtime: &Runtime,
    cloud: SocketAddr,
    broker: SocketAddr,
    authority: &[u8],
    identities: &[link_device::Tls],
    scale: &Scale,
) -> Result<Vec<u32>, Error> {
    runtime.block_on(async {
        let mut connected = Vec::new();
        for (number, tls) in identities.iter().enumerate() {
            let mut device = LinkDevice::connect(cloud, tls.clone(), 1).await?;
            let channel =
                device.open(&format!("bench-quiet-{number}"), broker, Security::Tls(authority)).await?;
            connected.push((device, channel));
        }
        let end = Instant::now() + Duration::from_secs(scale.idle_seconds);
        let mut tasks: Vec<JoinHandle<Result<Vec<u32>, Error>>> = Vec::new();
        for (number, (mut device, channel)) in connected.into_iter().enumerate() {
            tasks.push(tokio::spawn(async move {
                let mut taken = Vec::new();
                tokio::time::sleep(PAUSE * number as u32 / 100).await;
                while Instant::now() < end {
                    let start = Instant::now();
                    device.publish_all(channel, 1).await?;
                    taken.push(start.elapsed().as_micros() as u32);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(taken)
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await??);
        }
        Ok(all)
    })
}

/// Starts the misbehaving devices.
fn misbehave(
    runtime: &Runtime,
    cloud: SocketAddr,
    identities: &[link_device::Tls],
    stop: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<Result<(), Error>>>, Error> {
    let flooding = runtime.block_on(flooding_broker())?;
    let [reconnecting, flooded, nameless] = identities else { return Err("three identities".into()) };
    let ports = [
        (reconnecting, Misbehaviour::Reconnects),
        (flooded, Misbehaviour::IsFlooded),
        (nameless, Misbehaviour::AsksForNames),
    ];
    let start = |(tls, misbehaviour): (&link_device::Tls, Misbehaviour)| {
        runtime.spawn(run(cloud, tls.clone(), misbehaviour, flooding, stop.clone()))
    };
    Ok(ports.into_iter().map(start).collect())
}

#[derive(Clone, Copy, PartialEq)]
enum Misbehaviour {
    Reconnects,
    IsFlooded,
    AsksForNames,
}

async fn run(
    cloud: SocketAddr,
    tls: link_device::Tls,
    misbehaviour: Misbehaviour,
    broker: SocketAddr,
    stop: Arc<AtomicBool>,
) -> Result<(), Error> {
    let mut device = LinkDevice::connect(cloud, tls, 1).await?;
    let mut number = 0u32;
    while !stop.load(Ordering::Relaxed) {
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            number += 1;
            let host = match misbehaviour {
                Misbehaviour::AsksForNames => format!("name-{number}.example.com"),
                Misbehaviour::Reconnects | Misbehaviour::IsFlooded => broker.ip().to_string(),
            };
            channels.extend(device.request_connect(&host, broker.port()).await?);
        }
        let span = Duration::from_millis(if misbehaviour == Misbehaviour::IsFlooded { 60_000 } else { 1 });
        let end = Instant::now() + span;
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            device.read_for(Duration::from_millis(1).max(span / 1000)).await?;
        }
        for channel in channels {
            device.close(channel).await?;
        }
    }
    Ok(())
}

/// A broker that accepts and then sends PINGRESP as fast as possible.
async fn flooding_broker() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut sent = stream.write_all(&[0x20, 2, 0, 0]).await;
                let flood = [0xd0, 0].repeat(8192);
                while sent.is_ok() {
                    sent = stream.write_all(&flood).await;
                }
            });
        }
    });
    Ok(address)
}

/// A name server that never answers.
async fn silent_name_server() -> Result<SocketAddr, Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move { while socket.recv_from(&mut [0; 1500]).await.is_ok() {} });
    Ok(address)
}
