//! `fuzz [TARGET] [--seconds N] [--seed S]`: mutates the corpus without libFuzzer.

use std::process::ExitCode;
use std::time::Duration;

use fuzz::{TARGETS, Target, mutation};

fn main() -> ExitCode {
    match arguments() {
        Ok((targets, seconds, seed)) => run(&targets, seconds, seed),
        Err(message) => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!(
                "fuzz: {message}\nusage: fuzz [TARGET] [--seconds N] [--seed S]\ntargets: {}",
                names.join(" ")
            );
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<(Vec<&'static Target>, u64, u64), String> {
    let (mut targets, mut seconds, mut seed) = (Vec::new(), 60, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| format!("{argument} requires a number"))
        };
        match &argument[..] {
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            name => targets.push(fuzz::target(name).ok_or_else(|| format!("no target {name}"))?),
        }
    }
    if targets.is_empty() {
        targets = TARGETS.iter().collect();
    }
    Ok((targets, seconds, seed))
}

fn run(targets: &[&Target], seconds: u64, seed: u64) -> ExitCode {
    let share = Duration::from_secs(seconds) / targets.len() as u32;
    for target in targets {
        match mutation::run(target, seed, u32::MAX, share) {
            Ok(done) => println!("{}: {done} inputs, nothing found", target.name),
            Err(finding) => {
                let file = format!("{}-found", target.name);
                let saved =
                    std::fs::write(&file, &finding.input).map_or_else(|error| error.to_string(), |()| file);
                println!(
                    "{}: {}\nthe input is in {saved}: {:02x?}",
                    target.name, finding.message, finding.input
                );
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
