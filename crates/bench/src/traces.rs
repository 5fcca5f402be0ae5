//! What a trace costs a device: the same work with a trace and without, in pairs.
//!
//! What counts is what a user waits for: elapsed time for the same work. The polling application runs in a process of
//! its own, this program with [`ARGUMENT`], without a clock, until its own time has passed and its trace is written.
//! The measuring application publishes over MQTT as fast as it gets answers, in this process. Which of a pair is first
//! alternates. Processor time is beside it: on a machine whose processors are all busy, that of the thread that writes
//! delays the device too.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use device::debug::Debugging;
use device::debug::trace::{Format, TraceSink, Tracer};
use device::identity::DeviceId;
use device::image::Image;
use device::machine::{Machine, RestartPolicy, RunResult, Settings};

use crate::broker::Broker;
use crate::direct_client::Security;
use crate::idle::WaitMode;
use crate::scale::Scale;
use crate::statistics::median;
use crate::table::{Column, Section};
use crate::target::{Bound, Target};
use crate::test_cloud::{self, TestCloud, Workload};
use crate::{Error, cost_ledger};

/// The argument with which this program runs the polling application.
pub(crate) const ARGUMENT: &str = "--polling-application";
/// Instead of a trace's file: none.
const UNTRACED: &str = "-";
/// How much a trace may cost.
const MAX_RATIO: f64 = 1.2;
/// Cycles of guest time in a second.
const SECOND: u64 = 160_000_000;
/// Cycles between two looks at the machine, about as a device has it.
const STRETCH: u64 = 4_000;
/// Where the application's code begins, after sixteen vectors; where its stack ends; and its number.
const VECTORS: usize = 16;
const STACK: u32 = 0x2008_0000;
const CODE: u32 = 0x0800_0000 + 4 * VECTORS as u32;

/// `for (;;) { mvGetMicroseconds(&t); rounds++; if (t == UINT32_MAX) break; }`: the number of rounds makes each
/// different from the last, so that no call is delayed (D219).
#[rustfmt::skip]
const POLLING: [u16; 17] = [
    0xF241, 0x0500, // movw r5, #0x1000
    0xF2C2, 0x0500, // movt r5, #0x2000
    0xF24E, 0x0611, // movw r6, #0xe011
    0xF6C0, 0x461F, // movt r6, #0x0c1f
    0x4628, // mov r0, r5
    0x47B0, // blx r6
    0x6829, // ldr r1, [r5]
    0x3701, // adds r7, #1
    0xF1B1, 0x3FFF, // cmp.w r1, #0xffffffff
    0xD1F8, // bne.n back to the mov
    0xBF30, // wfi
    0xE7FD, // b.n to the wfi
];

/// Runs the polling application for some milliseconds of its time, and prints the microseconds it took, the process's
/// processor time in microseconds, and the calls it has made.
pub(crate) fn run_polling(arguments: &[String]) -> Result<(), Error> {
    let [milliseconds, trace] = arguments else {
        return Err(format!("{ARGUMENT} takes a time and a file").into());
    };
    let end = milliseconds.parse::<u64>()? * (SECOND / 1000);
    let mut machine = Machine::new(settings()?);
    let start = Instant::now();
    if trace != UNTRACED {
        machine.trace_to(tracer(trace.as_ref())?);
    }
    while machine.now() < end {
        if machine.run(STRETCH.min(end - machine.now())) == RunResult::Idle {
            machine.pass_time(end);
        }
        machine.take_events();
    }
    let rounds = machine.instructions() / 6;
    drop(machine);
    println!("{} {} {rounds}", start.elapsed().as_micros(), cost_ledger::own_time()?.as_micros());
    Ok(())
}

fn settings() -> Result<Settings, Error> {
    let mut vectors = [0u32; VECTORS];
    (vectors[0], vectors[1]) = (STACK, CODE | 1);
    let mut bytes: Vec<u8> = vectors.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(POLLING.iter().flat_map(|half| half.to_le_bytes()));
    Ok(Settings {
        device_id: DeviceId::parse("UV00112233445566778899aabbccddeeff").ok_or("an id")?,
        image: Image::parse(&bytes).map_err(|error| error.to_string())?,
        entropy: Arc::new(|| 0x5EED_0001),
        restart: RestartPolicy::default(),
        trace: false,
        attachments: Vec::new(),
    })
}

fn tracer(file: &Path) -> Result<Tracer, Error> {
    let to = Box::new(File::create(file)?);
    Ok(Tracer::start(vec![TraceSink { format: Format::Text, to }])?)
}

/// Measures all programs.
pub(crate) fn measure(scale: &Scale) -> Result<(Section, Vec<Target>), Error> {
    let title = format!("What a trace costs, the median of {} pairs: time with it / without", scale.rounds);
    let columns = [
        Column::new("us each, without", 3),
        Column::new("us each, with", 3),
        Column::new("ratio", 2),
        Column::new("of the device's processor time", 2),
        Column::new("with the writer's", 2),
        Column::new("KiB of trace", 0),
    ];
    let mut section = Section::new(title, &columns);
    let polling = measure_polling(scale)?;
    section.row("a call of mvGetMicroseconds, polled", &polling.row());
    let (broker, cloud) = (Broker::start()?, TestCloud::start()?);
    let latency = scale.latency * scale.rounds;
    let single = Workload { latency, ..Workload::default() };
    let single = measure_mqtt(&cloud, &broker, (single, latency), scale)?;
    section.row("a message of QoS 1, one at a time", &single.row());
    let gathered = Workload { qos1: scale.qos1, ..Workload::default() };
    let gathered = measure_mqtt(&cloud, &broker, (gathered, scale.qos1), scale)?;
    section.row("a message of QoS 1, 16 in flight", &gathered.row());
    let target =
        |name, pairs: &Pairs| Target::new(name, pairs.ratio(|used| used.elapsed), Bound::AtMost(MAX_RATIO));
    let targets = vec![
        target("time a polling application takes with a trace / without", &polling),
        target("time until a message is acknowledged, with a trace / without", &single),
        target("time for a message with 16 in flight, with a trace / without", &gathered),
    ];
    Ok((section, targets))
}

/// What was measured, in pairs without and with a trace.
#[derive(Default)]
struct Pairs(Vec<(Used, Used)>);

/// What one unit of work took.
#[derive(Clone, Copy, Default)]
struct Used {
    /// Microseconds that have passed.
    elapsed: f64,
    /// Microseconds of the device's processor time.
    device: f64,
    /// Of this and of the thread that writes.
    all: f64,
    /// Bytes of the trace, of all the work.
    bytes: u64,
}

impl Pairs {
    fn ratio(&self, figure: impl Fn(Used) -> f64) -> f64 {
        let ratios: Vec<f64> =
            self.0.iter().map(|(without, with)| figure(*with) / figure(*without)).collect();
        median(&ratios).unwrap_or(f64::NAN)
    }

    /// Adds a pair; which of the two is measured first alternates.
    fn measure(&mut self, measure: impl Fn(bool) -> Result<Used, Error>) -> Result<(), Error> {
        let is_traced_first = self.0.len() % 2 == 1;
        let first = measure(is_traced_first)?;
        let second = measure(!is_traced_first)?;
        self.0.push(if is_traced_first { (second, first) } else { (first, second) });
        Ok(())
    }

    fn row(&self) -> [Option<f64>; 6] {
        let middle =
            |figure: &dyn Fn(&(Used, Used)) -> f64| median(&self.0.iter().map(figure).collect::<Vec<_>>());
        [
            middle(&|(without, _)| without.elapsed),
            middle(&|(_, with)| with.elapsed),
            Some(self.ratio(|used| used.elapsed)),
            Some(self.ratio(|used| used.device)),
            Some(self.ratio(|used| used.all)),
            middle(&|(_, with)| with.bytes as f64 / 1024.0),
        ]
    }
}

fn measure_polling(scale: &Scale) -> Result<Pairs, Error> {
    let mut pairs = Pairs::default();
    for _ in 0..scale.rounds {
        pairs.measure(|is_traced| poll(scale, is_traced))?;
    }
    Ok(pairs)
}

/// Runs the polling application in a process of its own.
fn poll(scale: &Scale, is_traced: bool) -> Result<Used, Error> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.txt");
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ARGUMENT, &scale.polling_milliseconds.to_string()]);
    let output = if is_traced { command.arg(&file) } else { command.arg(UNTRACED) }.output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [elapsed, used, rounds] = numbers[..] else {
        return Err(format!("the polling application: {}", String::from_utf8_lossy(&output.stderr)).into());
    };
    let used = used / rounds;
    Ok(Used { elapsed: elapsed / rounds, device: used, all: used, bytes: size(&file) })
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |data| data.len())
}

fn measure_mqtt(
    cloud: &TestCloud,
    broker: &Broker,
    work: (Workload, u32),
    scale: &Scale,
) -> Result<Pairs, Error> {
    let mut pairs = Pairs::default();
    for _ in 0..scale.rounds {
        pairs.measure(|is_traced| publish(cloud, broker, work, is_traced))?;
    }
    Ok(pairs)
}

/// Publishes `messages` messages of a workload.
fn publish(
    cloud: &TestCloud,
    broker: &Broker,
    (workload, messages): (Workload, u32),
    is_traced: bool,
) -> Result<Used, Error> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("trace.txt");
    let tracer = if is_traced { Some(tracer(&file)?) } else { None };
    let device = cloud.provision(workload, broker.plain, Security::Plain)?;
    let debugging = Debugging { tracer, ..Debugging::default() };
    let image = test_cloud::image(WaitMode::Asleep)?;
    let running = test_cloud::start_device_with(&device.folder, &image, cloud.address(), debugging)?;
    let report = cloud.await_report(&device);
    // The threads are those of this device: no other runs.
    let used = (cost_ledger::threads_named("device")?, cost_ledger::threads_named("trace")?);
    running.stop();
    let report = report?;
    // By the host's clock: the device's own stands still while it cannot keep up.
    let span = report.qos1_span.filter(|_| workload.qos1 > 0).or(report.latency_span);
    let span = span.ok_or("the application has reported no span")?;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(messages);
    let elapsed = each(span.end - span.begin);
    Ok(Used { elapsed, device: each(used.0), all: each(used.0 + used.1), bytes: size(&file) })
}
