//! `cargo xtask vectors`: records what QEMU's Cortex-M33 makes of random instructions, for `armv8m` to be held against.
//!
//! With `--check` a part of the cases is recorded anew and compared; where the tools are missing that is skipped.

use crate::{Outcome, check_flag, process, workspace};
use armv8m_vectors::form::{Family, Form};
use armv8m_vectors::forms::FAMILIES;
use armv8m_vectors::recorder::{ASSEMBLER, QEMU, Recorder};
use armv8m_vectors::text;

const RECORDED: &str = "crates/armv8m-vectors/recorded";
/// One case of this many is recorded anew by `--check`.
const SAMPLE: u32 = 16;

/// Records every family, or with `--check` a sample of each.
pub fn run(arguments: &[String]) -> Outcome {
    let check = check_flag(arguments)?;
    if let Some(missing) = [QEMU, ASSEMBLER].into_iter().find(|tool| !process::is_on_path(tool)) {
        if check {
            println!("vectors: skipped: no {missing} here");
            return Ok(());
        }
        return Err(format!("recording needs {missing}"));
    }
    let recorder = Recorder::new(&workspace::root().join("target/vectors"))?;
    let work = if check { compare } else { record };
    FAMILIES.iter().try_for_each(|family| work(&recorder, family))
}

fn forms(family: &Family) -> impl Iterator<Item = &'static Form> {
    family.forms.iter().copied().flatten()
}

fn record(recorder: &Recorder, family: &Family) -> Outcome {
    let cases = forms(family).flat_map(|form| (0..family.cases).map(|index| form.case(index))).collect();
    let recorded = recorder.record(cases).map_err(|error| format!("{}: {error}", family.name))?;
    let path = path(family);
    std::fs::write(workspace::root().join(&path), text::write(&recorded))
        .map_err(|error| format!("{path}: {error}"))?;
    println!("vectors: {}: {} forms, {} cases", family.name, forms(family).count(), recorded.len());
    Ok(())
}

fn compare(recorder: &Recorder, family: &Family) -> Outcome {
    let path = path(family);
    let committed = text::read(&workspace::read(&path)?).map_err(|error| format!("{path}: {error}"))?;
    let sample: Vec<_> = committed.into_iter().filter(|one| one.case.index % SAMPLE == 0).collect();
    let anew = recorder.record(sample.iter().map(|one| one.case.clone()).collect())?;
    let wrong = sample.iter().zip(&anew).find(|(old, new)| old != new);
    match wrong {
        Some((old, new)) => {
            Err(format!("{path}: {}\n  has {}\n  now {}", old.case.form, text::line(old), text::line(new)))
        }
        None => {
            println!("vectors: {}: {} cases recorded anew, the same", family.name, anew.len());
            Ok(())
        }
    }
}

fn path(family: &Family) -> String {
    format!("{RECORDED}/{}.txt", family.name)
}
