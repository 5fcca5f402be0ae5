//! `cargo xtask vectors`: records what QEMU's Cortex-M33 does with random instructions, as test vectors for `armv8m`.
//!
//! With `--check` a sample of the cases is recorded again and compared; it is skipped if the tools are missing.
//! With `--more N` further cases, N of each form, are recorded into `target/vectors/more`, which the test replays when
//! `ARMV8M_VECTORS` names that folder.

use std::ops::Range;

use armv8m_vectors::case::{self, Recorded};
use armv8m_vectors::form::{Family, Form};
use armv8m_vectors::forms::FAMILIES;
use armv8m_vectors::recorder::{ASSEMBLER, QEMU, Recorder};
use armv8m_vectors::text;

use crate::{Outcome, process, workspace};

const RECORDED: &str = "crates/armv8m-vectors/recorded";
const MORE: &str = "target/vectors/more";
/// `--check` records one case of this many.
const SAMPLE: u32 = 16;
/// Further cases have numbers from here on.
const FURTHER: u32 = 0x10000;

/// Records every family, or what the flag selects.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => record_all(&recorder()?, RECORDED, &|form, family| 0..form.count(family)),
        ["--check"] => match recorder() {
            Ok(recorder) => FAMILIES.iter().try_for_each(|family| compare(&recorder, family)),
            Err(message) => {
                println!("vectors: skipped: {message}");
                Ok(())
            }
        },
        ["--more", count] => {
            let count: u32 = count.parse().map_err(|_| format!("{count} is not a number of cases"))?;
            record_all(&recorder()?, MORE, &|_, _| FURTHER..FURTHER.saturating_add(count))
        }
        _ => Err(format!("unexpected arguments: {}", arguments.join(" "))),
    }
}

fn recorder() -> Result<Recorder, String> {
    match [QEMU, ASSEMBLER].into_iter().find(|tool| !process::is_on_path(tool)) {
        Some(missing) => Err(format!("recording needs {missing}")),
        None => Recorder::new(&workspace::root().join("target/vectors")),
    }
}

fn forms(family: &Family) -> impl Iterator<Item = &'static Form> {
    family.forms.iter().copied().flatten()
}

/// Which cases of a form of a family are recorded.
type Which<'a> = &'a dyn Fn(&Form, &Family) -> Range<u32>;

fn record_all(recorder: &Recorder, folder: &str, which: Which<'_>) -> Outcome {
    std::fs::create_dir_all(workspace::root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    FAMILIES.iter().try_for_each(|family| record(recorder, family, &path(folder, family), which))
}

fn record(recorder: &Recorder, family: &Family, path: &str, which: Which<'_>) -> Outcome {
    let all = |form: &'static Form| which(form, family).map(|index| form.case(index));
    let cases = forms(family).flat_map(all).collect();
    let recorded = recorder.record(cases).map_err(|error| format!("{}: {error}", family.name))?;
    expect_kind(family, &recorded)?;
    std::fs::write(workspace::root().join(path), text::write(&recorded))
        .map_err(|error| format!("{path}: {error}"))?;
    println!("vectors: {}: {} forms, {} cases", family.name, forms(family).count(), recorded.len());
    Ok(())
}

/// A case that faults in a family without faults, or the reverse, is a mistake in its form.
fn expect_kind(family: &Family, recorded: &[Recorded]) -> Outcome {
    let faulted = |one: &&Recorded| matches!(one.outcome, case::Outcome::Fault(_));
    match recorded.iter().find(|one| faulted(one) != family.faults) {
        Some(one) => Err(format!("{}: unexpected outcome: {}", one.case.form, text::line(one))),
        None => Ok(()),
    }
}

/// Records a sample of the committed cases again, and compares.
fn compare(recorder: &Recorder, family: &Family) -> Outcome {
    let path = path(RECORDED, family);
    let committed = text::read(&workspace::read(&path)?).map_err(|error| format!("{path}: {error}"))?;
    let sample: Vec<_> = committed.into_iter().filter(|one| one.case.index % SAMPLE == 0).collect();
    let again = recorder.record(sample.iter().map(|one| one.case.clone()).collect())?;
    if let Some((old, new)) = sample.iter().zip(&again).find(|(old, new)| old != new) {
        return Err(difference(&path, old, new));
    }
    println!("vectors: {}: {} cases recorded again, no difference", family.name, again.len());
    Ok(())
}

fn difference(path: &str, old: &Recorded, new: &Recorded) -> String {
    format!("{path}: {}\n  has {}\n  now {}", old.case.form, text::line(old), text::line(new))
}

fn path(folder: &str, family: &Family) -> String {
    format!("{folder}/{}.txt", family.name)
}
