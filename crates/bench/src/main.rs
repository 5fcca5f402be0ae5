//! Measures what going through Openvisor costs, each figure beside the same work done directly in the same run.
//!
//! Nothing is printed that was not measured; what cannot be measured is named, with the reason, and fails the run.
//!
//! Terms are defined in `docs/glossary.md`.
#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod arguments;
mod broker;
mod coremark;
mod cost;
mod crowd;
mod direct;
mod fleet;
mod idle;
mod latency;
mod library;
mod light;
mod logs;
mod loops;
mod machine;
mod misbehaving;
mod path;
mod processor;
mod proxy;
mod report;
mod scale;
mod site;
mod table;
mod target;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::broker::Broker;
use crate::direct::{Security, Writes};
use crate::machine::Machine;
use crate::path::{Path, Publisher};
use crate::scale::Scale;
use crate::site::Site;
use crate::table::Section;
use crate::target::Target;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const DEVICE_TLS: &str = "device, cloud to broker by TLS";
const DEVICE_TCP: &str = "device, cloud to broker by TCP";
const DIRECT_TLS: &str = "direct, TLS";
const DIRECT_TCP: &str = "direct, TCP";
/// What a user would otherwise run: what the targets are about.
const LIBRARY_TLS: &str = "rumqttc, TLS";
/// Our own, as most clients do it.
const SIMPLE_TLS: &str = "direct, TLS, a write a message";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == idle::ARGUMENT => end(idle::run_devices(rest)),
        Some((first, rest)) if first == fleet::ARGUMENT => end(fleet::run_cloud(rest)),
        _ => run(arguments.into_iter()),
    }
}

fn end(result: Result<(), Failure>) -> ExitCode {
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
    let machine = Machine::look();
    let results = measure_all(&arguments);
    print(&machine, &results, arguments.json);
    let complete = results.iter().all(|(_, result)| result.is_ok());
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Figures, and what is wanted of them.
#[derive(Default)]
struct Measured {
    sections: Vec<Section>,
    targets: Vec<Target>,
}

/// What came of one group of measurements.
type Outcome = (&'static str, Result<Measured, Failure>);

fn measure_all(arguments: &Arguments) -> Vec<Outcome> {
    let scale = arguments.scale;
    let mut outcomes = Vec::new();
    let mut note = |group: &'static str, measure: &dyn Fn() -> Result<Measured, Failure>| {
        if arguments.wants(group) {
            outcomes.push((group, measure()));
        }
    };
    note("processor", &|| Ok(Measured { sections: vec![processor::measure(scale)?], targets: Vec::new() }));
    note("publishing", &|| measure_publishing(scale));
    note("crowd", &|| {
        let (broker, site) = start_all()?;
        let (section, target) = crowd::measure(&site, broker.tls, &broker.authority, scale)?;
        Ok(Measured { sections: vec![section], targets: vec![target] })
    });
    note("misbehaving", &|| {
        let broker = Broker::start()?;
        let (section, target) = misbehaving::measure(broker.tls, &broker.authority, scale)?;
        Ok(Measured { sections: vec![section], targets: vec![target] })
    });
    note(arguments::IDLE, &|| {
        let (broker, site) = start_all()?;
        let (section, targets) = idle::measure(&site, broker.plain, scale)?;
        Ok(Measured { sections: vec![section], targets })
    });
    note("fleet", &|| {
        let (section, targets) = fleet::measure(scale)?;
        Ok(Measured { sections: vec![section], targets })
    });
    note("logs", &|| {
        let (section, target) = logs::measure(scale)?;
        Ok(Measured { sections: vec![section], targets: vec![target] })
    });
    outcomes
}

/// A broker and a cloud with nothing to do yet.
fn start_all() -> Result<(Broker, Site), Failure> {
    Ok((Broker::start()?, Site::start()?))
}

fn measure_publishing(scale: &Scale) -> Result<Measured, Failure> {
    let (broker, site) = start_all()?;
    let tls = (broker.tls, Security::Tls(&broker.authority));
    let tcp = (broker.plain, Security::Plain);
    let (device, direct) = (Publisher::Device(&site), Publisher::Direct(Writes::Gathered));
    let way = |name, publisher, (broker, security)| Path { name, publisher, broker, security };
    let paths = [
        way(DEVICE_TLS, device, tls),
        way(LIBRARY_TLS, Publisher::Library, tls),
        way(DIRECT_TLS, direct, tls),
        way(SIMPLE_TLS, Publisher::Direct(Writes::Each), tls),
        way(DEVICE_TCP, device, tcp),
        way(DIRECT_TCP, direct, tcp),
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
    Ok(Measured { sections, targets: path::targets(&measured[0].1, &measured[1].1).into() })
}

fn print(machine: &Machine, results: &[Outcome], json: bool) {
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
