//! What a trace costs a device: the same work with a trace and without, in pairs.
//!
//! The polling application runs in a process of its own, this program with [`ARGUMENT`], without a clock: the processor
//! time of the whole process counts, that of the thread that writes included. The measuring application publishes over
//! MQTT as fast as it gets answers, in this process: what the device's thread uses counts, because the thread that
//! writes runs beside it; its part is in the table.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

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

/// Runs the polling application for some milliseconds of its time, and prints the process's processor time in
/// microseconds and the calls it has made.
pub(crate) fn run_polling(arguments: &[String]) -> Result<(), Error> {
    let [milliseconds, trace] = arguments else {
        return Err(format!("{ARGUMENT} takes a time and a file").into());
    };
    let end = milliseconds.parse::<u64>()? * (SECOND / 1000);
    let mut machine = Machine::new(settings()?);
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
    println!("{} {rounds}", cost_ledger::own_time()?.as_micros());
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
    let title =
        format!("What a trace costs, the median of {} pairs: processor time with it / without", scale.rounds);
    let columns = [
        Column::new("us each, without", 3),
        Column::new("us each, with", 3),
        Column::new("ratio", 2),
        Column::new("with the writer", 2),
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
        |name, pairs: &Pairs| Target::new(name, pairs.ratio(|pair| pair.device), Bound::AtMost(MAX_RATIO));
    let targets = vec![
        target("processor time of a polling application with a trace / without", &polling),
        target("processor time of a device for a message, with a trace / without", &single),
    ];
    Ok((section, targets))
}

/// What was measured, in pairs without and with a trace.
#[derive(Default)]
struct Pairs(Vec<(Used, Used)>);

/// What one unit of work took.
#[derive(Clone, Copy, Default)]
struct Used {
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

    fn row(&self) -> [Option<f64>; 5] {
        let middle =
            |figure: &dyn Fn(&(Used, Used)) -> f64| median(&self.0.iter().map(figure).collect::<Vec<_>>());
        [
            middle(&|(without, _)| without.device),
            middle(&|(_, with)| with.device),
            Some(self.ratio(|used| used.device)),
            Some(self.ratio(|used| used.all)),
            middle(&|(_, with)| with.bytes as f64 / 1024.0),
        ]
    }
}

fn measure_polling(scale: &Scale) -> Result<Pairs, Error> {
    let mut pairs = Pairs::default();
    for _ in 0..scale.rounds {
        pairs.0.push((poll(scale, false)?, poll(scale, true)?));
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
    let (used, rounds) = text
        .trim()
        .split_once(' ')
        .ok_or_else(|| format!("the polling application: {}", String::from_utf8_lossy(&output.stderr)))?;
    let each = used.parse::<f64>()? / rounds.parse::<f64>()?;
    Ok(Used { device: each, all: each, bytes: size(&file) })
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
        pairs.0.push((publish(cloud, broker, work, false)?, publish(cloud, broker, work, true)?));
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
    report?;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(messages);
    Ok(Used { device: each(used.0), all: each(used.0 + used.1), bytes: size(&file) })
}
