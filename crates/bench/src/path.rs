//! The paths from a publisher to the broker, and the measurements on each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::cost_ledger::{CLIENT_THREAD, CostLedger};
use crate::direct_client::{Client, Security, Writes};
use crate::proxy::Proxy;
use crate::scale::{PAYLOAD, Scale, TOPIC, WINDOW};
use crate::statistics::{median, percentile};
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::test_cloud::{self, TestCloud, Workload};
use crate::{Error, rumqttc_client};

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) enum Publisher<'a> {
    /// An application on a device of this cloud.
    Device(&'a TestCloud),
    /// Our own client, connected to the broker directly.
    Direct(Writes),
    /// rumqttc, connected to the broker directly.
    Library,
}

/// A path to the broker.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    /// Its name in the tables.
    pub name: &'static str,
    /// Who publishes.
    pub publisher: Publisher<'a>,
    /// Where the broker listens.
    pub broker: SocketAddr,
    /// How the client, or the cloud for the device, connects to the broker.
    pub security: Security<'a>,
}

/// The figures of one path.
#[derive(Default)]
pub(crate) struct Figures {
    /// Microseconds from publish to acknowledged, one at a time, of all rounds.
    pub latencies: Vec<u32>,
    /// Messages a second, quality of service 1, of each round.
    pub qos1: Vec<f64>,
    /// Messages a second, quality of service 0, of each round.
    pub qos0: Vec<f64>,
    /// Bytes from and to the publisher per acknowledged publish.
    pub bytes: (f64, f64),
    /// Cost per message with one message in flight.
    pub one_at_a_time: Cost,
    /// Cost per message of quality of service 1 with [`WINDOW`] in flight.
    pub many_in_flight: Cost,
}

/// The cost per message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    ledger: CostLedger,
    messages: u32,
}

/// Measures all paths, in rounds.
pub(crate) fn measure(paths: &[Path<'_>], broker: u32, scale: &Scale) -> Result<Vec<Figures>, Error> {
    let mut all: Vec<Figures> = paths.iter().map(|_| Figures::default()).collect();
    for _ in 0..scale.rounds {
        for (path, figures) in paths.iter().zip(&mut all) {
            path.round(figures, scale).map_err(|failure| format!("{}: {failure}", path.name))?;
        }
    }
    for (path, figures) in paths.iter().zip(&mut all) {
        let named = |failure| format!("{}: {failure}", path.name);
        figures.bytes = path.bytes(scale.counted).map_err(named)?;
        let (latency, qos1) = (scale.latency * scale.rounds, scale.qos1);
        let workload = Workload { latency, ..Workload::default() };
        figures.one_at_a_time = path.cost(workload, broker, latency).map_err(named)?;
        figures.many_in_flight =
            path.cost(Workload { qos1, ..Workload::default() }, broker, qos1).map_err(named)?;
    }
    Ok(all)
}

impl Path<'_> {
    fn round(&self, figures: &mut Figures, scale: &Scale) -> Result<(), Error> {
        on_a_fresh_thread(|| self.measure_round(figures, scale))
    }

    fn measure_round(&self, figures: &mut Figures, scale: &Scale) -> Result<(), Error> {
        match self.publisher {
            Publisher::Device(test_cloud) => self.device_round(test_cloud, figures, scale),
            Publisher::Direct(writes) => {
                let mut client = Client::connect(self.broker, self.security, writes)?;
                Self::client_round(figures, scale, |workload| run_direct(&mut client, workload))
            }
            Publisher::Library => {
                let (runtime, mut client) = self.library(self.broker)?;
                Self::client_round(figures, scale, |workload| {
                    runtime.block_on(run_library(&mut client, workload))
                })
            }
        }
    }

    /// A rumqttc client, and the one thread it runs on.
    fn library(&self, broker: SocketAddr) -> Result<(Runtime, rumqttc_client::Client), Error> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client =
            runtime.block_on(rumqttc_client::Client::connect(LIBRARY_NAME, broker, self.security))?;
        Ok((runtime, client))
    }

    fn client_round(
        figures: &mut Figures,
        scale: &Scale,
        mut run: impl FnMut(Workload) -> Result<Answers, Error>,
    ) -> Result<(), Error> {
        let latencies = run(Workload { latency: scale.latency, ..Workload::default() })?.0;
        figures.latencies.extend(latencies.iter().map(|latency| latency.as_micros() as u32));
        let qos1 = run(Workload { qos1: scale.qos1, ..Workload::default() })?.1;
        figures.qos1.push(f64::from(scale.qos1) / qos1.as_secs_f64());
        let qos0 = run(Workload { qos0: scale.qos0, ..Workload::default() })?.1;
        figures.qos0.push(f64::from(scale.qos0) / qos0.as_secs_f64());
        Ok(())
    }

    fn device_round(
        &self,
        test_cloud: &TestCloud,
        figures: &mut Figures,
        scale: &Scale,
    ) -> Result<(), Error> {
        let workload =
            Workload { latency: scale.latency, qos1: scale.qos1, qos0: scale.qos0, ..Workload::default() };
        let device = test_cloud.provision(workload, self.broker, self.security)?;
        let report = test_cloud.run(&device, test_cloud.address())?;
        if report.latencies.len() != scale.latency as usize {
            return Err(format!("{} latencies of {}", report.latencies.len(), scale.latency).into());
        }
        let micros = |took: Option<u32>| took.map(f64::from).ok_or("a rate is missing");
        figures.latencies.extend(report.latencies);
        figures.qos1.push(f64::from(scale.qos1) * 1e6 / micros(report.qos1)?);
        figures.qos0.push(f64::from(scale.qos0) * 1e6 / micros(report.qos0)?);
        Ok(())
    }

    /// The cost of a workload, including its connection.
    fn cost(&self, workload: Workload, broker: u32, messages: u32) -> Result<Cost, Error> {
        Ok(Cost { ledger: on_a_fresh_thread(|| self.ledger(workload, broker))?, messages })
    }

    fn ledger(&self, workload: Workload, broker: u32) -> Result<CostLedger, Error> {
        Ok(match self.publisher {
            Publisher::Device(test_cloud) => self.device_cost(test_cloud, workload, broker)?,
            Publisher::Direct(writes) => {
                let before = CostLedger::read(broker, false)?;
                run_direct(&mut Client::connect(self.broker, self.security, writes)?, workload)?;
                CostLedger::read(broker, false)?.since(&before)
            }
            Publisher::Library => {
                let before = CostLedger::read(broker, false)?;
                let (runtime, mut client) = self.library(self.broker)?;
                runtime.block_on(run_library(&mut client, workload))?;
                CostLedger::read(broker, false)?.since(&before)
            }
        })
    }

    fn device_cost(
        &self,
        test_cloud: &TestCloud,
        workload: Workload,
        broker: u32,
    ) -> Result<CostLedger, Error> {
        let device = test_cloud.provision(workload, self.broker, self.security)?;
        let before = CostLedger::read(broker, true)?;
        let (_, after) =
            test_cloud.run_observed(&device, test_cloud.address(), || CostLedger::read(broker, true))?;
        Ok(after.since(&before))
    }

    /// On a separate connection, so that counting bytes does not delay what is timed.
    fn bytes(&self, count: u32) -> Result<(f64, f64), Error> {
        match self.publisher {
            Publisher::Device(test_cloud) => self.device_bytes(test_cloud, count),
            Publisher::Direct(writes) => self.client_bytes(count, |address| {
                let mut client = Client::connect(address, self.security, writes)?;
                Ok(move |workload| run_direct(&mut client, workload))
            }),
            Publisher::Library => self.client_bytes(count, |address| {
                let (runtime, mut client) = self.library(address)?;
                Ok(move |workload| runtime.block_on(run_library(&mut client, workload)))
            }),
        }
    }

    fn client_bytes<R: FnMut(Workload) -> Result<Answers, Error>>(
        &self,
        count: u32,
        connect: impl FnOnce(SocketAddr) -> Result<R, Error>,
    ) -> Result<(f64, f64), Error> {
        let proxy = Proxy::start(self.broker)?;
        let mut run = connect(proxy.address())?;
        // Session tickets and the like come right behind the handshake: an exchange later they are through.
        run(Workload { latency: 1, ..Workload::default() })?;
        let start = Instant::now();
        run(Workload { latency: count, ..Workload::default() })?;
        Ok(each(proxy.bytes_between(start, Instant::now()), count))
    }

    fn device_bytes(&self, test_cloud: &TestCloud, count: u32) -> Result<(f64, f64), Error> {
        let workload = Workload { latency: count, is_counted: true, ..Workload::default() };
        let proxy = Proxy::start(test_cloud.address())?;
        let device = test_cloud.provision(workload, self.broker, self.security)?;
        let report = test_cloud.run(&device, proxy.address())?;
        let window = report.latency_span.and_then(test_cloud::quiet_window);
        let (from, to) = window.ok_or("the log does not say when it was counted")?;
        Ok(each(proxy.bytes_between(from, to), count))
    }
}

/// Runs a round on a new thread: the core on which a thread runs decides how long it takes to wake, and the operating
/// system should choose again for every round of every path.
fn on_a_fresh_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(CLIENT_THREAD.into()).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| Error::from("a measurement panicked"))?
    })
}

/// The client id of the rumqttc client.
const LIBRARY_NAME: &str = "bench-library";

/// How long each message of the latency measurement took, and all messages of the others.
type Answers = (Vec<Duration>, Duration);

fn run_direct(client: &mut Client, workload: Workload) -> Result<Answers, Error> {
    let latencies = client.latencies(workload.latency)?;
    let mut took = Duration::ZERO;
    for (count, qos) in [(workload.qos1, 1), (workload.qos0, 0)] {
        if count > 0 {
            took += client.publish_all(count, qos)?;
        }
    }
    Ok((latencies, took))
}

async fn run_library(client: &mut rumqttc_client::Client, workload: Workload) -> Result<Answers, Error> {
    let latencies = client.latencies(workload.latency).await?;
    let mut took = Duration::ZERO;
    for (count, qos) in [(workload.qos1, 1), (workload.qos0, 0)] {
        if count > 0 {
            took += client.publish_all(count, qos).await?;
        }
    }
    Ok((latencies, took))
}

/// Bytes for each of `count` messages.
fn each((out, back): (usize, usize), count: u32) -> (f64, f64) {
    (out as f64 / f64::from(count), back as f64 / f64::from(count))
}

/// The targets for the device's path, relative to the rumqttc client.
pub(crate) fn targets(device: &Figures, library: &Figures) -> [Target; 4] {
    let ratio = |above: Option<f64>, below: Option<f64>| above.zip(below).map_or(f64::NAN, |(a, b)| a / b);
    let p50 = |figures: &Figures| percentile(&figures.latencies, 50);
    let (out, back) = device.bytes;
    [
        Target::new(
            "throughput of QoS 1 / rumqttc's",
            ratio(median(&device.qos1), median(&library.qos1)),
            Bound::AtLeast(0.7),
        ),
        Target::new(
            "throughput of QoS 0 / rumqttc's",
            ratio(median(&device.qos0), median(&library.qos0)),
            Bound::AtLeast(0.5),
        ),
        Target::new(
            "median from publish to acknowledged / rumqttc's",
            ratio(p50(device), p50(library)),
            Bound::AtMost(2.2),
        ),
        Target::new("bytes for a message of QoS 1 with its answer", out + back, Bound::AtMost(64.0)),
    ]
}

/// The tables of all paths, with the quotients of `pairs`.
pub(crate) fn sections(measured: &[(&str, Figures)], pairs: &[(&str, &str)], scale: &Scale) -> [Section; 5] {
    let mut sections = [
        latency_section(measured, scale),
        rate_section(measured, scale),
        cost_section(measured, "one at a time", |figures| figures.one_at_a_time),
        cost_section(measured, "16 in flight", |figures| figures.many_in_flight),
        bytes_section(measured, scale),
    ];
    for section in &mut sections {
        for (dividend, divisor) in pairs {
            section.quotient(dividend, divisor);
        }
    }
    sections
}

fn latency_section(measured: &[(&str, Figures)], scale: &Scale) -> Section {
    let title = format!(
        "Publish to acknowledged: QoS 1, {PAYLOAD}-byte payload, {}-byte topic, {} messages one at a time",
        TOPIC.len(),
        scale.latency * scale.rounds
    );
    let columns = [Column::new("p50 us", 0), Column::new("p99 us", 0), Column::new("max us", 0)];
    let mut section = Section::new(title, &columns);
    for (name, figures) in measured {
        section.row(*name, &[50, 99, 100].map(|per_cent| percentile(&figures.latencies, per_cent)));
    }
    section
}

fn rate_section(measured: &[(&str, Figures)], scale: &Scale) -> Section {
    let title = format!(
        "Throughput in messages/s: {WINDOW} in flight, {} of QoS 1, {} of QoS 0, in each of {} rounds, the median",
        scale.qos1, scale.qos0, scale.rounds
    );
    let mut section = Section::new(title, &[Column::new("QoS 1", 0), Column::new("QoS 0", 0)]);
    for (name, figures) in measured {
        section.row(*name, &[median(&figures.qos1), median(&figures.qos0)]);
    }
    section
}

fn cost_section(measured: &[(&str, Figures)], how: &str, cost: impl Fn(&Figures) -> Cost) -> Section {
    let title = format!("Processor time for each message of QoS 1, {how}, microseconds");
    let columns = ["publisher", "cloud", "broker", "together"].map(|name| Column::new(name, 2));
    let mut section = Section::new(title, &[&columns[..], &[Column::new("switches", 2)]].concat());
    for (name, figures) in measured {
        let Cost { ledger, messages } = cost(figures);
        let each = |total: f64| Some(total / f64::from(messages));
        let parts = [ledger.publisher, ledger.cloud, ledger.broker];
        let micros = parts.map(|part| part.time.as_secs_f64() * 1e6);
        let switches: u64 = parts.iter().map(|part| part.switches).sum();
        section.row(
            *name,
            &[
                each(micros[0]),
                each(micros[1]),
                each(micros[2]),
                each(micros.iter().sum()),
                each(switches as f64),
            ],
        );
    }
    section
}

fn bytes_section(measured: &[(&str, Figures)], scale: &Scale) -> Section {
    let title = format!(
        "Bytes in the publisher's TCP stream for each publish with its acknowledgement, {} messages one at a time",
        scale.counted
    );
    let columns = [Column::new("out", 2), Column::new("back", 2), Column::new("together", 2)];
    let mut section = Section::new(title, &columns);
    for (name, figures) in measured {
        let (out, back) = figures.bytes;
        section.row(*name, &[Some(out), Some(back), Some(out + back)]);
    }
    section
}
