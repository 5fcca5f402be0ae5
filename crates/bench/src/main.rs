//! Measures the cost of going through Openvisor, next to the same work done directly in the same run.
//!
//! Only measured figures are printed. A group that cannot be measured is reported with the reason, and fails the run.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "rounded for display")]

mod arguments;
mod broker;
mod coremark;
mod cost_ledger;
mod cpu_loops;
mod direct_client;
mod fleet;
mod host_info;
mod idle;
mod link_device;
mod logs;
mod many_devices;
mod misbehaving;
mod path;
mod processor;
mod proxy;
mod report;
mod rumqttc_client;
mod scale;
mod statistics;
mod table;
mod target;
mod test_cloud;
mod traces;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::broker::Broker;
use crate::direct_client::{Security, Writes};
use crate::host_info::HostInfo;
use crate::path::{Path, Publisher};
use crate::scale::Scale;
use crate::table::Section;
use crate::target::Target;
use crate::test_cloud::TestCloud;

/// Why a measurement failed.
type Error = Box<dyn std::error::Error + Send + Sync>;

const DEVICE_TLS: &str = "device, cloud to broker by TLS";
const DEVICE_TCP: &str = "device, cloud to broker by TCP";
const DIRECT_TLS: &str = "direct, TLS";
const DIRECT_TCP: &str = "direct, TCP";
/// The client most Rust programs use, against which the targets are set.
const LIBRARY_TLS: &str = "rumqttc, TLS";
/// Our own client, writing each message by itself as most clients do.
const SIMPLE_TLS: &str = "direct, TLS, a write a message";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == idle::ARGUMENT => end(idle::run_devices(rest)),
        Some((first, rest)) if first == fleet::ARGUMENT => end(fleet::run_cloud(rest)),
        Some((first, rest)) if first == traces::ARGUMENT => end(traces::run_polling(rest)),
        _ => run(arguments.into_iter()),
    }
}

fn end(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments = match arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if let Some(path) = &arguments.coremark {
        return end(coremark::run(path));
    }
    let machine = HostInfo::read();
    let results = measure_all(&arguments);
    print(&machine, &results, arguments.json);
    let complete = results.iter().all(|(_, result)| result.is_ok());
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Figures, and targets for them.
#[derive(Default)]
struct Measurements {
    sections: Vec<Section>,
    targets: Vec<Target>,
}

/// The name and the result of a group.
type GroupResult = (&'static str, Result<Measurements, Error>);

fn measure_all(arguments: &Arguments) -> Vec<GroupResult> {
    let scale = arguments.scale;
    let mut outcomes = Vec::new();
    let mut run_group = |group: &'static str, measure: &dyn Fn() -> Result<Measurements, Error>| {
        if arguments.includes(group) {
            outcomes.push((group, measure()));
        }
    };
    run_group("processor", &|| {
        Ok(Measurements { sections: vec![processor::measure(scale)?], targets: Vec::new() })
    });
    run_group("publishing", &|| measure_publishing(scale));
    run_group("crowd", &|| {
        let (broker, test_cloud) = start_all()?;
        let (section, target) = many_devices::measure(&test_cloud, broker.tls, &broker.authority, scale)?;
        Ok(Measurements { sections: vec![section], targets: vec![target] })
    });
    run_group("misbehaving", &|| {
        let broker = Broker::start()?;
        let (section, target) = misbehaving::measure(broker.tls, &broker.authority, scale)?;
        Ok(Measurements { sections: vec![section], targets: vec![target] })
    });
    run_group(arguments::IDLE, &|| {
        let (broker, test_cloud) = start_all()?;
        let (section, targets) = idle::measure(&test_cloud, broker.plain, scale)?;
        Ok(Measurements { sections: vec![section], targets })
    });
    run_group("fleet", &|| {
        let (section, targets) = fleet::measure(scale)?;
        Ok(Measurements { sections: vec![section], targets })
    });
    run_group("logs", &|| {
        let (section, target) = logs::measure(scale)?;
        Ok(Measurements { sections: vec![section], targets: vec![target] })
    });
    run_group("trace", &|| {
        let (section, targets) = traces::measure(scale)?;
        Ok(Measurements { sections: vec![section], targets })
    });
    outcomes
}

/// Starts a broker and a cloud.
fn start_all() -> Result<(Broker, TestCloud), Error> {
    Ok((Broker::start()?, TestCloud::start()?))
}

fn measure_publishing(scale: &Scale) -> Result<Measurements, Error> {
    let (broker, test_cloud) = start_all()?;
    let tls = (broker.tls, Security::Tls(&broker.authority));
    let tcp = (broker.plain, Security::Plain);
    let (device, direct) = (Publisher::Device(&test_cloud), Publisher::Direct(Writes::Gathered));
    let path = |name, publisher, (broker, security)| Path { name, publisher, broker, security };
    let paths = [
        path(DEVICE_TLS, device, tls),
        path(LIBRARY_TLS, Publisher::Library, tls),
        path(DIRECT_TLS, direct, tls),
        path(SIMPLE_TLS, Publisher::Direct(Writes::Each), tls),
        path(DEVICE_TCP, device, tcp),
        path(DIRECT_TCP, direct, tcp),
    ];
    let names = paths.iter().map(|path| path.name);
    let measured: Vec<_> = names.zip(path::measure(&paths, broker.process(), scale)?).collect();
    let pairs = [
        (DEVICE_TLS, LIBRARY_TLS),
        (DEVICE_TLS, DIRECT_TLS),
        (DEVICE_TLS, SIMPLE_TLS),
        (DEVICE_TCP, DIRECT_TCP),
    ];
    let sections = path::sections(&measured, &pairs, scale).into();
    Ok(Measurements { sections, targets: path::targets(&measured[0].1, &measured[1].1).into() })
}

fn print(machine: &HostInfo, results: &[GroupResult], json: bool) {
    for (name, result) in results {
        if let Err(failure) = result {
            eprintln!("bench: {name}: not measured: {failure}");
        }
    }
    let measured = || results.iter().filter_map(|(_, result)| result.as_ref().ok());
    let sections = measured().flat_map(|measured| &measured.sections);
    let targets = measured().flat_map(|measured| &measured.targets);
    if json {
        let sections: Vec<Value> = sections.map(Section::to_json).collect();
        let targets: Vec<Value> = targets.map(Target::to_json).collect();
        println!("{:#}", json!({ "machine": machine.to_json(), "sections": sections, "targets": targets }));
    } else {
        println!("{machine}\n");
        for section in sections {
            println!("{section}");
        }
        println!("Targets");
        for target in targets {
            println!("{target}");
        }
    }
}
