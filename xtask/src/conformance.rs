//! `cargo xtask conformance`: docs/conformance.md, made from the requirements, the tests that cite them, and the
//! reasons of docs/spec/conformance.toml for those that no test cites.

mod statuses;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::spec::{self, DECISIONS, REQUIREMENTS, Rule, is_id};
use crate::workspace::{read, root, write_or_check};
use crate::{Outcome, check_flag};

const PAGE: &str = "docs/conformance.md";

/// Folders of end-to-end tests: through the real cloud, over TLS, to a broker or server in another process.
const END_TO_END: [&str; 2] = ["crates/cloud/tests/", "crates/openvisor/tests/"];

/// `docs/spec/conformance.toml`, written by hand.
#[derive(Deserialize)]
struct Notes {
    /// Ids that are up to the application, with what the product contributes.
    application: BTreeMap<String, String>,
    /// Ids that are not, or not completely, implemented or shown, each with the reason.
    not_yet: BTreeMap<String, String>,
    /// Requirements that no test can show end to end, each with the reason.
    not_end_to_end: BTreeMap<String, String>,
}

/// A test that cites an id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    name: String,
    /// Its file, from the project's root.
    file: String,
}

impl Test {
    fn is_end_to_end(&self) -> bool {
        END_TO_END.iter().any(|folder| self.file.starts_with(folder))
    }

    fn shown(&self) -> String {
        format!("`{}` ({})", self.name, self.file)
    }
}

/// Tests by the id they cite.
type Citations = BTreeMap<String, BTreeSet<Test>>;

/// Writes the page, or with `--check` compares it.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let check = check_flag(arguments)?;
    let requirements = spec::requirements()?;
    let decisions = spec::decisions()?;
    let notes: Notes = toml::from_str(&read("docs/spec/conformance.toml")?)
        .map_err(|error| format!("conformance.toml: {error}"))?;
    let mut citations = Citations::new();
    for folder in ["crates", "xtask"] {
        cite_folder(&root().join(folder), &mut citations)?;
    }
    let known: BTreeSet<&str> = requirements.iter().chain(&decisions).map(|row| row.id.as_str()).collect();
    let problems = problems(&requirements, &known, &notes, &citations);
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    write_or_check(PAGE, &page(&requirements, &decisions, &notes, &citations)?, check)
}

fn cite_folder(folder: &Path, citations: &mut Citations) -> Outcome {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            cite_folder(&path, citations)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            cite_file(&path, citations)?;
        }
    }
    Ok(())
}

/// Finds `/// Shows N01, D02.` above a test and the name of the function that follows. Above any other function it is
/// an error.
fn cite_file(path: &Path, citations: &mut Citations) -> Outcome {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let shown = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let mut pending: Vec<String> = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(list) = line.strip_prefix("/// Shows ").filter(|list| begins_with_id(list)) {
            // A sentence behind a colon may wrap; a list of ids may not, since only its first line is read.
            let ids =
                list.split_once(':').map(|(ids, _)| ids).or(list.strip_suffix('.')).ok_or_else(|| {
                    format!("{shown}: the list `Shows {list}` continues on another line: put it on one line")
                })?;
            pending.extend(ids.split([',', ' ', '.', ';']).filter(|word| is_id(word)).map(str::to_owned));
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = function_name(line) {
            if !core::mem::take(&mut is_test) && !pending.is_empty() {
                return Err(format!("{shown}: `{name}` has a line `Shows` but is no test"));
            }
            for id in pending.drain(..) {
                let test = Test { name: name.to_owned(), file: shown.clone() };
                citations.entry(id).or_default().insert(test);
            }
        }
    }
    Ok(())
}

/// Other sentences may begin with "Shows" too.
fn begins_with_id(list: &str) -> bool {
    list.split([',', ' ', '.', ':']).next().is_some_and(is_id)
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

fn problems(rows: &[Rule], known: &BTreeSet<&str>, notes: &Notes, citations: &Citations) -> Vec<String> {
    let uncited =
        rows.iter().filter(|row| !citations.contains_key(&row.id) && reason(notes, &row.id).is_none());
    let mut problems: Vec<String> = uncited
        .map(|row| format!("{}: no test shows it, and docs/spec/conformance.toml gives no reason", row.id))
        .collect();
    let cited = citations.keys().filter(|id| !known.contains(id.as_str()));
    problems
        .extend(cited.map(|id| format!("{id}: a test cites it, but no requirement or decision has this id")));
    let noted = notes.application.keys().chain(notes.not_yet.keys()).chain(notes.not_end_to_end.keys());
    let stale = noted.filter(|id| !known.contains(id.as_str()));
    problems
        .extend(stale.map(|id| format!("{id}: docs/spec/conformance.toml has an id that does not exist")));
    problems.extend(rows.iter().filter_map(|row| end_to_end_problem(&row.id, notes, citations)));
    problems
}

/// Every requirement is shown end to end, or there is a reason why none can; never both.
fn end_to_end_problem(id: &str, notes: &Notes, citations: &Citations) -> Option<String> {
    let reason = notes.not_end_to_end.get(id);
    match (is_shown_end_to_end(id, citations), reason) {
        (false, None) => {
            Some(format!("{id}: no test shows it end to end, and docs/spec/conformance.toml gives no reason"))
        }
        (true, Some(_)) => {
            Some(format!("{id}: a test shows it end to end: remove it from docs/spec/conformance.toml"))
        }
        _ => None,
    }
}

fn is_shown_end_to_end(id: &str, citations: &Citations) -> bool {
    citations.get(id).is_some_and(|tests| tests.iter().any(Test::is_end_to_end))
}

fn reason<'a>(notes: &'a Notes, id: &str) -> Option<&'a String> {
    notes.not_yet.get(id).or_else(|| notes.application.get(id))
}

fn page(
    requirements: &[Rule],
    decisions: &[Rule],
    notes: &Notes,
    citations: &Citations,
) -> Result<String, String> {
    let mut page = String::from(
        "<!-- Generated by `cargo xtask conformance`. Do not edit: edit the tests' citations, docs/spec/ and \
         docs/spec/conformance.toml. -->\n\n# Conformance\n\nEvery requirement and decision with the tests that show \
         it. A row is *shown* when at least one test that runs in `cargo xtask check` cites it. *End to end* are the \
         tests through the real cloud, over TLS, to a broker or server in another process; the others test a part.\n",
    );
    let cited = requirements.iter().filter(|row| citations.contains_key(&row.id));
    let (partly, fully): (Vec<_>, Vec<_>) = cited.partition(|row| notes.not_yet.contains_key(&row.id));
    let (all, fully, partly) = (requirements.len(), fully.len(), partly.len());
    let end_to_end = requirements.iter().filter(|row| is_shown_end_to_end(&row.id, citations)).count();
    let _ = writeln!(
        page,
        "\n{fully} of {all} requirements are shown by tests, {partly} more in part; {end_to_end} of them end to end.\n"
    );
    calls(&mut page);
    table(&mut page, "Requirements", requirements, notes, citations);
    table(&mut page, "Decisions", decisions, notes, citations);
    statuses::write(&mut page)?;
    Ok(page)
}

/// The kernel's dispatch is exhaustive over the calls of the interface, so all of them are implemented.
fn calls(page: &mut String) {
    let all = abi::Call::ALL.len();
    let _ = writeln!(page, "## System calls\n\n{all} of {all} are done.\n");
}

fn table(page: &mut String, title: &str, rows: &[Rule], notes: &Notes, citations: &Citations) {
    let _ = writeln!(
        page,
        "## {title}\n\n| id | what | state | end to end | other tests |\n|---|---|---|---|---|"
    );
    for row in rows {
        let tests = citations.get(&row.id).into_iter().flatten();
        let (end_to_end, other): (Vec<_>, Vec<_>) = tests.partition(|test| test.is_end_to_end());
        let why_not = notes.not_end_to_end.get(&row.id).map(|why| format!("none can: {why}"));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            linked(&row.id),
            row.title.replace('|', "\\|").replace("](", "](spec/"),
            state(&row.id, end_to_end.is_empty() && other.is_empty(), notes),
            why_not.unwrap_or_else(|| list(&end_to_end)),
            list(&other)
        );
    }
    page.push('\n');
}

/// An id that leads to its text, from the page's own folder.
fn linked(id: &str) -> String {
    let page = if id.starts_with('D') { DECISIONS } else { REQUIREMENTS };
    format!("[{id}]({}#{})", page.trim_start_matches("docs/"), id.to_lowercase())
}

fn list(tests: &[&Test]) -> String {
    tests.iter().map(|test| test.shown()).collect::<Vec<_>>().join("<br>")
}

fn state(id: &str, uncited: bool, notes: &Notes) -> String {
    match (uncited, notes.not_yet.get(id), notes.application.get(id)) {
        (true, Some(why), _) => format!("not yet: {why}"),
        (false, Some(why), _) => format!("shown in part; not yet: {why}"),
        (true, None, Some(why)) => format!("the application's: {why}"),
        (true, None, None) => "no test cites it".to_owned(),
        (false, None, _) => "shown".to_owned(),
    }
}
