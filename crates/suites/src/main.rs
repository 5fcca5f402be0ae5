//! Public MQTT test suites against the `mqtt` crate and the demo's broker:
//! `cargo xtask suite mosquitto|paho --path DIR`.
//!
//! The suites are not part of this project; who runs them has a copy. What is here reads them, runs them, and
//! compares the outcome with a table of the differences that are expected, each with the clause of the standard it
//! rests on (`expected/*.toml`). A case that differs without an entry fails the run, and so does an entry that no
//! longer holds.
//!
//! Terms are defined in `docs/glossary.md`.

mod broker;
mod cases;
mod client;
mod notation;
mod packet;
mod paho;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use table::{Outcome, Table};

const HELP: &str = "\
usage: cargo xtask suite mosquitto|paho --path DIR [--only TEXT] [--json]

Runs a public MQTT test suite and compares its outcome with the expected differences in crates/suites/expected.

  mosquitto     the packet sequences of mosquitto's own tests: those for clients against the mqtt crate, those for brokers
                against the broker of `openvisor demo`
  paho          the Paho interoperability tests against the broker of `openvisor demo`; needs python3

  --path DIR    a checkout of the suite
  --only TEXT   only cases whose name contains TEXT; the table is then not checked for entries that no longer hold
  --json        the outcome as JSON on standard output

The suites are separate projects under their own licences and are not included. A checkout of each:
  git clone --depth 1 https://github.com/eclipse-mosquitto/mosquitto        (test/lib/data, test/broker/data)
  git clone --depth 1 https://github.com/eclipse-paho/paho.mqtt.testing     (interoperability)

Exit code: 0 if every difference is in the table and every entry of the table holds, 1 otherwise.";

/// What to run.
struct Plan {
    suite: String,
    path: PathBuf,
    only: Option<String>,
    json: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match read(&arguments).and_then(|plan| run(&plan)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("suite: {message}");
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &[String]) -> Result<Plan, String> {
    let (suite, options) = arguments.split_first().ok_or(HELP)?;
    if suite != "mosquitto" && suite != "paho" {
        return Err(format!("no suite is called {suite}\n{HELP}"));
    }
    let (mut path, mut only, mut json) = (None, None, false);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--path" => path = Some(PathBuf::from(value()?)),
            "--only" => only = Some(value()?),
            "--json" => json = true,
            _ => return Err(format!("unexpected argument {option}\n{HELP}")),
        }
    }
    let path = path.ok_or(format!("--path is missing\n{HELP}"))?;
    Ok(Plan { suite: suite.clone(), path, only, json })
}

/// Runs the suite; whether the outcome is as expected.
fn run(plan: &Plan) -> Result<bool, String> {
    // One thread, so that the broker takes what several clients send in the order in which it arrives: tests count on
    // it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let mut reports = Vec::new();
    if plan.suite == "mosquitto" {
        let cases = cases::load(&plan.path.join("test/lib/data"), plan.only.as_deref())?;
        let outcomes = client::run(&cases);
        reports.push(compare(
            "mosquitto, client cases: the mqtt crate",
            table::MOSQUITTO_CLIENT,
            outcomes,
            plan,
        )?);
        let cases = cases::load(&plan.path.join("test/broker/data"), plan.only.as_deref())?;
        let outcomes = runtime.block_on(broker::run(&cases))?;
        reports.push(compare(
            "mosquitto, broker cases: the demo's broker",
            table::MOSQUITTO_BROKER,
            outcomes,
            plan,
        )?);
    } else {
        let outcomes =
            runtime.block_on(paho::run(&plan.path.join("interoperability"), plan.only.as_deref()))?;
        reports.push(compare("Paho interoperability: the demo's broker", table::PAHO, outcomes, plan)?);
    }
    if plan.json {
        let json: Vec<_> = reports.iter().map(table::Report::json).collect();
        println!("{}", serde_json::Value::from(json));
    } else {
        reports.iter().for_each(table::Report::print);
    }
    Ok(reports.iter().all(table::Report::is_expected))
}

fn compare(
    title: &'static str,
    table: &str,
    outcomes: Vec<Outcome>,
    plan: &Plan,
) -> Result<table::Report, String> {
    Table::parse(table)?.compare(title, outcomes, plan.only.is_none())
}
