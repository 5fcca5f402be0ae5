//! The ways from a publisher to the broker, and what is measured on each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::Failure;
use crate::cost::{Books, CLIENT_THREAD};
use crate::direct::{Client, Security, Writes};
use crate::latency::{median, percentile};
use crate::library;
use crate::proxy::Proxy;
use crate::scale::{PAYLOAD, Scale, TOPIC, WINDOW};
use crate::site::{self, Plan, Site};
use crate::table::{Column, Section};
use crate::target::{Bound, Target};

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) enum Publisher<'a> {
    /// An application on a device of this site.
    Device(&'a Site),
    /// A client that talks to the broker itself.
    Direct(Writes),
    /// The same, of a library.
    Library,
}

/// A way to the broker.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    /// As the tables call it.
    pub name: &'static str,
    /// Who publishes.
    pub publisher: Publisher<'a>,
    /// Where the broker listens.
    pub broker: SocketAddr,
    /// How the broker is reached: by the client, or by the cloud for the device.
    pub security: Security<'a>,
}

/// What was measured on one way.
#[derive(Default)]
pub(crate) struct Figures {
    /// Microseconds from publish to acknowledged, one at a time, of all rounds.
    pub latencies: Vec<u32>,
    /// Messages a second, quality of service 1, of each round.
    pub qos1: Vec<f64>,
    /// Messages a second, quality of service 0, of each round.
    pub qos0: Vec<f64>,
    /// Bytes that left the publisher for each acknowledged publish, and that came back.
    pub bytes: (f64, f64),
    /// What one message at a time costs, for each of a run's messages.
    pub one_at_a_time: Cost,
    /// What a message of quality of service 1 costs with [`WINDOW`] in flight.
    pub many_in_flight: Cost,
}

/// What each of so many messages has cost.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    books: Books,
    messages: u32,
}

/// Measures all ways, in rounds.
pub(crate) fn measure(paths: &[Path<'_>], broker: u32, scale: &Scale) -> Result<Vec<Figures>, Failure> {
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
        let plan = Plan { latency, ..Plan::default() };
        figures.one_at_a_time = path.cost(plan, broker, latency).map_err(named)?;
        figures.many_in_flight = path.cost(Plan { qos1, ..Plan::default() }, broker, qos1).map_err(named)?;
    }
    Ok(all)
}

impl Path<'_> {
    fn round(&self, figures: &mut Figures, scale: &Scale) -> Result<(), Failure> {
        on_a_fresh_thread(|| self.measure_round(figures, scale))
    }

    fn measure_round(&self, figures: &mut Figures, scale: &Scale) -> Result<(), Failure> {
        match self.publisher {
            Publisher::Device(site) => self.device_round(site, figures, scale),
            Publisher::Direct(writes) => {
                let mut client = Client::connect(self.broker, self.security, writes)?;
                Self::client_round(figures, scale, |plan| run_direct(&mut client, plan))
            }
            Publisher::Library => {
                let (runtime, mut client) = self.library(self.broker)?;
                Self::client_round(figures, scale, |plan| runtime.block_on(run_library(&mut client, plan)))
            }
        }
    }

    /// A client of the library, and the one thread it runs on.
    fn library(&self, broker: SocketAddr) -> Result<(Runtime, library::Client), Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(library::Client::connect(LIBRARY_NAME, broker, self.security))?;
        Ok((runtime, client))
    }

    fn client_round(
        figures: &mut Figures,
        scale: &Scale,
        mut run: impl FnMut(Plan) -> Result<Answers, Failure>,
    ) -> Result<(), Failure> {
        let latencies = run(Plan { latency: scale.latency, ..Plan::default() })?.0;
        figures.latencies.extend(latencies.iter().map(|latency| latency.as_micros() as u32));
        let qos1 = run(Plan { qos1: scale.qos1, ..Plan::default() })?.1;
        figures.qos1.push(f64::from(scale.qos1) / qos1.as_secs_f64());
        let qos0 = run(Plan { qos0: scale.qos0, ..Plan::default() })?.1;
        figures.qos0.push(f64::from(scale.qos0) / qos0.as_secs_f64());
        Ok(())
    }

    fn device_round(&self, site: &Site, figures: &mut Figures, scale: &Scale) -> Result<(), Failure> {
        let plan = Plan { latency: scale.latency, qos1: scale.qos1, qos0: scale.qos0, ..Plan::default() };
        let device = site.provision(plan, self.broker, self.security)?;
        let report = site.run(&device, site.address())?;
        if report.latencies.len() != scale.latency as usize {
            return Err(format!("{} latencies of {}", report.latencies.len(), scale.latency).into());
        }
        let micros = |took: Option<u32>| took.map(f64::from).ok_or("a rate is missing");
        figures.latencies.extend(report.latencies);
        figures.qos1.push(f64::from(scale.qos1) * 1e6 / micros(report.qos1)?);
        figures.qos0.push(f64::from(scale.qos0) * 1e6 / micros(report.qos0)?);
        Ok(())
    }

    /// What a plan of so many messages costs, the connection's making included.
    fn cost(&self, plan: Plan, broker: u32, messages: u32) -> Result<Cost, Failure> {
        Ok(Cost { books: on_a_fresh_thread(|| self.books(plan, broker))?, messages })
    }

    fn books(&self, plan: Plan, broker: u32) -> Result<Books, Failure> {
        Ok(match self.publisher {
            Publisher::Device(site) => self.device_books(site, plan, broker)?,
            Publisher::Direct(writes) => {
                let before = Books::look(broker, false)?;
                run_direct(&mut Client::connect(self.broker, self.security, writes)?, plan)?;
                Books::look(broker, false)?.since(&before)
            }
            Publisher::Library => {
                let before = Books::look(broker, false)?;
                let (runtime, mut client) = self.library(self.broker)?;
                runtime.block_on(run_library(&mut client, plan))?;
                Books::look(broker, false)?.since(&before)
            }
        })
    }

    fn device_books(&self, site: &Site, plan: Plan, broker: u32) -> Result<Books, Failure> {
        let device = site.provision(plan, self.broker, self.security)?;
        let before = Books::look(broker, true)?;
        let (_, after) = site.run_watched(&device, site.address(), || Books::look(broker, true))?;
        Ok(after.since(&before))
    }

    /// On a connection of its own, so that counting delays nothing that is timed.
    fn bytes(&self, count: u32) -> Result<(f64, f64), Failure> {
        match self.publisher {
            Publisher::Device(site) => self.device_bytes(site, count),
            Publisher::Direct(writes) => self.client_bytes(count, |address| {
                let mut client = Client::connect(address, self.security, writes)?;
                Ok(move |plan| run_direct(&mut client, plan))
            }),
            Publisher::Library => self.client_bytes(count, |address| {
                let (runtime, mut client) = self.library(address)?;
                Ok(move |plan| runtime.block_on(run_library(&mut client, plan)))
            }),
        }
    }

    fn client_bytes<R: FnMut(Plan) -> Result<Answers, Failure>>(
        &self,
        count: u32,
        connect: impl FnOnce(SocketAddr) -> Result<R, Failure>,
    ) -> Result<(f64, f64), Failure> {
        let proxy = Proxy::start(self.broker)?;
        let mut run = connect(proxy.address())?;
        // Session tickets and the like come right behind the handshake: an exchange later they are through.
        run(Plan { latency: 1, ..Plan::default() })?;
        let start = Instant::now();
        run(Plan { latency: count, ..Plan::default() })?;
        Ok(each(proxy.bytes_between(start, Instant::now()), count))
    }

    fn device_bytes(&self, site: &Site, count: u32) -> Result<(f64, f64), Failure> {
        let plan = Plan { latency: count, is_counted: true, ..Plan::default() };
        let proxy = Proxy::start(site.address())?;
        let device = site.provision(plan, self.broker, self.security)?;
        let report = site.run(&device, proxy.address())?;
        let window = report.latency_span.and_then(site::quiet_window);
        let (from, to) = window.ok_or("the log does not say when it was counted")?;
        Ok(each(proxy.bytes_between(from, to), count))
    }
}

/// Runs a round on a thread of its own: where the operating system puts a thread decides how long waking it takes, and it is to
/// choose anew for every round of every way.
fn on_a_fresh_thread<T: Send>(work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(CLIENT_THREAD.into()).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| Failure::from("a measurement panicked"))?
    })
}

/// The library's client's identifier.
const LIBRARY_NAME: &str = "bench-library";

/// How long each message took that was sent alone, and all that were not.
type Answers = (Vec<Duration>, Duration);

fn run_direct(client: &mut Client, plan: Plan) -> Result<Answers, Failure> {
    let latencies = client.latencies(plan.latency)?;
    let mut took = Duration::ZERO;
    for (count, qos) in [(plan.qos1, 1), (plan.qos0, 0)] {
        if count > 0 {
            took += client.publish_all(count, qos)?;
        }
    }
    Ok((latencies, took))
}

async fn run_library(client: &mut library::Client, plan: Plan) -> Result<Answers, Failure> {
    let latencies = client.latencies(plan.latency).await?;
    let mut took = Duration::ZERO;
    for (count, qos) in [(plan.qos1, 1), (plan.qos0, 0)] {
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

/// What is wanted of the device's way, against the library's client.
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

/// The tables about all ways, the quotients those of `pairs`.
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
        let Cost { books, messages } = cost(figures);
        let each = |total: f64| Some(total / f64::from(messages));
        let parts = [books.publisher, books.cloud, books.broker];
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
