//! Measures what going through Openvisor costs, each figure beside the same work done directly in the same run.
//!
//! Nothing is printed that was not measured; what cannot be measured is named, with the reason, and fails the run.
#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod arguments;
mod broker;
mod direct;
mod latency;
mod loops;
mod path;
mod processor;
mod proxy;
mod scale;
mod table;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::direct::Security;
use crate::scale::Scale;
use crate::table::Section;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const DIRECT_TLS: &str = "direct, TLS";
const DIRECT_TCP: &str = "direct, TCP";

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let results = measure_all(arguments.scale);
    print(&results, arguments.json);
    let complete = results.iter().all(|(_, result)| result.is_ok());
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of one group of measurements.
type Outcome = (&'static str, Result<Vec<Section>, Failure>);

fn measure_all(scale: &Scale) -> Vec<Outcome> {
    vec![
        ("processor", processor::measure(scale).map(|section| vec![section])),
        ("publishing", measure_publishing(scale)),
    ]
}

fn measure_publishing(scale: &Scale) -> Result<Vec<Section>, Failure> {
    let broker = Broker::start()?;
    let paths = [
        path::direct(DIRECT_TLS, broker.tls, &Security::Tls(&broker.authority), scale)?,
        path::direct(DIRECT_TCP, broker.plain, &Security::Plain, scale)?,
    ];
    Ok(path::sections(&paths, &[], scale).into())
}

fn print(results: &[Outcome], json: bool) {
    for (name, result) in results {
        if let Err(failure) = result {
            eprintln!("bench: {name}: not measured: {failure}");
        }
    }
    let sections = results.iter().filter_map(|(_, result)| result.as_ref().ok()).flatten();
    if json {
        let sections: Vec<Value> = sections.map(Section::to_json).collect();
        println!("{:#}", json!(sections));
    } else {
        for section in sections {
            println!("{section}");
        }
    }
}
