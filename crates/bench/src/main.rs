//! Measures what going through Openvisor costs, each figure beside the same work done directly in the same run.
//!
//! Nothing is printed that was not measured; what cannot be measured is named, with the reason, and fails the run.
#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod arguments;
mod broker;
mod cost;
mod direct;
mod idle;
mod latency;
mod loops;
mod machine;
mod path;
mod processor;
mod proxy;
mod report;
mod scale;
mod site;
mod table;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::direct::{Security, Writes};
use crate::machine::Machine;
use crate::path::{Path, Publisher};
use crate::scale::Scale;
use crate::site::Site;
use crate::table::Section;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const DEVICE_TLS: &str = "device, cloud to broker by TLS";
const DEVICE_TCP: &str = "device, cloud to broker by TCP";
const DIRECT_TLS: &str = "direct, TLS";
const DIRECT_TCP: &str = "direct, TCP";
/// As most clients do it.
const SIMPLE_TLS: &str = "direct, TLS, a write a message";

/// The last group.
const IDLE: &str = "idle devices";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == idle::ARGUMENT => end(idle::run_devices(rest)),
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
    let machine = Machine::look();
    let results =
        if arguments.idle_only { vec![measure_idle(arguments.scale)] } else { measure_all(arguments.scale) };
    print(&machine, &results, arguments.json);
    let complete = results.iter().all(|(_, result)| result.is_ok());
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of one group of measurements.
type Outcome = (&'static str, Result<Vec<Section>, Failure>);

fn measure_all(scale: &Scale) -> Vec<Outcome> {
    let mut outcomes = vec![("processor", processor::measure(scale).map(|section| vec![section]))];
    match start_all() {
        Ok((broker, site)) => {
            outcomes.push(("publishing", measure_publishing(&broker, &site, scale)));
            outcomes.push((IDLE, idle_devices(&broker, &site, scale)));
        }
        Err(failure) => outcomes.push(("publishing, idle devices", Err(failure))),
    }
    outcomes
}

/// Only what idle devices cost.
fn measure_idle(scale: &Scale) -> Outcome {
    (IDLE, start_all().and_then(|(broker, site)| idle_devices(&broker, &site, scale)))
}

fn idle_devices(broker: &Broker, site: &Site, scale: &Scale) -> Result<Vec<Section>, Failure> {
    idle::measure(site, broker.plain, scale).map(|section| vec![section])
}

fn start_all() -> Result<(Broker, Site), Failure> {
    Ok((Broker::start()?, Site::start()?))
}

fn measure_publishing(broker: &Broker, site: &Site, scale: &Scale) -> Result<Vec<Section>, Failure> {
    let tls = (broker.tls, Security::Tls(&broker.authority));
    let tcp = (broker.plain, Security::Plain);
    let (device, direct) = (Publisher::Device(site), Publisher::Direct(Writes::Gathered));
    let way = |name, publisher, (broker, security)| Path { name, publisher, broker, security };
    let paths = [
        way(DEVICE_TLS, device, tls),
        way(DEVICE_TCP, device, tcp),
        way(DIRECT_TLS, direct, tls),
        way(DIRECT_TCP, direct, tcp),
        way(SIMPLE_TLS, Publisher::Direct(Writes::Each), tls),
    ];
    let names = paths.iter().map(|path| path.name);
    let measured: Vec<_> = names.zip(path::measure(&paths, broker.process(), scale)?).collect();
    let pairs = [(DEVICE_TLS, DIRECT_TLS), (DEVICE_TLS, SIMPLE_TLS), (DEVICE_TCP, DIRECT_TCP)];
    Ok(path::sections(&measured, &pairs, scale).into())
}

fn print(machine: &Machine, results: &[Outcome], json: bool) {
    for (name, result) in results {
        if let Err(failure) = result {
            eprintln!("bench: {name}: not measured: {failure}");
        }
    }
    let sections = results.iter().filter_map(|(_, result)| result.as_ref().ok()).flatten();
    if json {
        let sections: Vec<Value> = sections.map(Section::to_json).collect();
        println!("{:#}", json!({ "machine": machine.to_json(), "sections": sections }));
    } else {
        println!("{machine}\n");
        for section in sections {
            println!("{section}");
        }
    }
}
