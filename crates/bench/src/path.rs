//! A way from a publisher to the broker, and what was measured on it.

use crate::Failure;
use crate::direct::{Client, Security};
use crate::latency::percentile;
use crate::proxy::Proxy;
use crate::scale::{PAYLOAD, Scale, TOPIC, WINDOW};
use crate::site::{self, Plan, Site};
use crate::table::{Column, Section};
use std::net::SocketAddr;
use std::time::Instant;

/// What was measured on one way.
pub struct Path {
    /// As the tables call it.
    pub name: &'static str,
    /// Microseconds from publish to acknowledged, one at a time.
    pub latencies: Vec<u32>,
    /// Messages a second, quality of service 1.
    pub qos1: f64,
    /// Messages a second, quality of service 0.
    pub qos0: f64,
    /// Bytes that left the publisher's machine for each acknowledged publish, and that came back.
    pub bytes: (f64, f64),
}

/// Measures the direct client.
pub fn direct(
    name: &'static str,
    address: SocketAddr,
    security: &Security<'_>,
    scale: &Scale,
) -> Result<Path, Failure> {
    let mut client = Client::connect(address, security, "bench-direct")?;
    let latencies = client.latencies(scale.latency)?;
    let rate = |count: u32, qos, client: &mut Client| -> Result<f64, Failure> {
        Ok(f64::from(count) / client.publish_all(count, qos)?.as_secs_f64())
    };
    Ok(Path {
        name,
        latencies: latencies.iter().map(|latency| latency.as_micros() as u32).collect(),
        qos1: rate(scale.qos1, 1, &mut client)?,
        qos0: rate(scale.qos0, 0, &mut client)?,
        bytes: direct_bytes(address, security, scale.counted)?,
    })
}

/// On a connection of its own, so that counting delays nothing that is timed.
fn direct_bytes(address: SocketAddr, security: &Security<'_>, count: u32) -> Result<(f64, f64), Failure> {
    let proxy = Proxy::start(address)?;
    let mut client = Client::connect(proxy.address(), security, "bench-direct")?;
    // Session tickets and the like come right behind the handshake: an exchange later they are through.
    client.latencies(1)?;
    let start = Instant::now();
    client.latencies(count)?;
    Ok(each(proxy.bytes_between(start, Instant::now()), count))
}

/// Measures the way through device, link and cloud. `security` is between cloud and broker.
pub fn device(
    name: &'static str,
    site: &Site,
    address: SocketAddr,
    security: &Security<'_>,
    scale: &Scale,
) -> Result<Path, Failure> {
    let plan = Plan { latency: scale.latency, qos1: scale.qos1, qos0: scale.qos0 };
    let report = site.run(&site.provision(plan, address, security)?, site.address())?;
    if report.latencies.len() != scale.latency as usize {
        return Err(format!("{} latencies of {}", report.latencies.len(), scale.latency).into());
    }
    let rate = |count: u32, micros: Option<u32>| -> Result<f64, Failure> {
        Ok(f64::from(count) * 1e6 / f64::from(micros.ok_or("a rate is missing")?))
    };
    Ok(Path {
        name,
        qos1: rate(scale.qos1, report.qos1)?,
        qos0: rate(scale.qos0, report.qos0)?,
        latencies: report.latencies,
        bytes: device_bytes(site, address, security, scale.counted)?,
    })
}

/// The same, on a link that is counted.
fn device_bytes(
    site: &Site,
    address: SocketAddr,
    security: &Security<'_>,
    count: u32,
) -> Result<(f64, f64), Failure> {
    let plan = Plan { latency: count, ..Plan::default() };
    let proxy = Proxy::start(site.address())?;
    let report = site.run(&site.provision(plan, address, security)?, proxy.address())?;
    let (from, to) = site::quiet_window(report.latency_span.ok_or("no measurement")?);
    Ok(each(proxy.bytes_between(from, to), count))
}

/// Bytes for each of `count` messages.
pub fn each((out, back): (usize, usize), count: u32) -> (f64, f64) {
    (out as f64 / f64::from(count), back as f64 / f64::from(count))
}

/// The tables about all ways, the quotients those of `pairs`.
pub fn sections(paths: &[Path], pairs: &[(&str, &str)], scale: &Scale) -> [Section; 3] {
    let mut sections =
        [latency_section(paths, scale), rate_section(paths, scale), bytes_section(paths, scale)];
    for section in &mut sections {
        for (dividend, divisor) in pairs {
            section.quotient(dividend, divisor);
        }
    }
    sections
}

fn latency_section(paths: &[Path], scale: &Scale) -> Section {
    let title = format!(
        "Publish to acknowledged: QoS 1, {PAYLOAD}-byte payload, {}-byte topic, {} messages one at a time",
        TOPIC.len(),
        scale.latency
    );
    let mut section = Section::new(title, &[Column::new("p50 us", 1), Column::new("p99 us", 1)]);
    for path in paths {
        section.row(path.name, &[percentile(&path.latencies, 50), percentile(&path.latencies, 99)]);
    }
    section
}

fn rate_section(paths: &[Path], scale: &Scale) -> Section {
    let title = format!(
        "Throughput in messages/s: {WINDOW} in flight, {} of QoS 1, {} of QoS 0",
        scale.qos1, scale.qos0
    );
    let mut section = Section::new(title, &[Column::new("QoS 1", 2), Column::new("QoS 0", 2)]);
    for path in paths {
        section.row(path.name, &[Some(path.qos1), Some(path.qos0)]);
    }
    section
}

fn bytes_section(paths: &[Path], scale: &Scale) -> Section {
    let title = format!(
        "Bytes in the publisher's TCP stream for each publish with its acknowledgement, {} messages one at a time",
        scale.counted
    );
    let columns = [Column::new("out", 2), Column::new("back", 2), Column::new("together", 2)];
    let mut section = Section::new(title, &columns);
    for path in paths {
        let (out, back) = path.bytes;
        section.row(path.name, &[Some(out), Some(back), Some(out + back)]);
    }
    section
}
