//! The table of calls and statuses: every error the interface documents, and whether it is provoked or why it cannot
//! come.
//!
//! The kernel's test `every_documented_error_is_provoked_or_says_why_it_cannot_occur` holds the two apart; the reasons
//! are read from its list.

use std::collections::BTreeMap;
use std::fmt::Write;

use abi::Call;

use crate::workspace::read;

/// Where the test and its list of reasons are.
const TESTS: &str = "crates/kernel/tests/statuses.rs";

/// Writes the table behind the page.
///
/// # Errors
/// The list of reasons is not where it is looked for.
pub(super) fn write(page: &mut String) -> Result<(), String> {
    let reasons = reasons(&read(TESTS)?)?;
    let _ = writeln!(
        page,
        "## Calls and statuses\n\nEvery error the interface documents for a call. *Provoked* ones are caused, and the call's \
         answer compared, by `every_documented_error_is_provoked_or_says_why_it_cannot_occur` ({TESTS}).\n\n\
         | call | provoked | cannot come |\n|---|---|---|"
    );
    for call in Call::ALL {
        let (mut provoked, mut excused) = (Vec::new(), Vec::new());
        for error in call.documented_errors() {
            let name = error.name().trim_start_matches("MV_STATUS_");
            match reasons.get(&(format!("{call:?}"), format!("{error:?}"))) {
                Some(why) => excused.push(format!("`{name}`: {why}")),
                None => provoked.push(format!("`{name}`")),
            }
        }
        let none = if call.documented_errors().is_empty() { "none is documented" } else { "" };
        let _ =
            writeln!(page, "| `{}` | {}{none} | {} |", call.name(), provoked.join(" "), excused.join("<br>"));
    }
    page.push('\n');
    Ok(())
}

/// The rows `(Call::X, Status::Y, "why")` of the test's list, however they are broken into lines.
fn reasons(source: &str) -> Result<BTreeMap<(String, String), String>, String> {
    let list = source.split_once("const IMPOSSIBLE").and_then(|(_, rest)| rest.split_once("];"));
    let (list, _) = list.ok_or_else(|| format!("{TESTS}: there is no list IMPOSSIBLE"))?;
    let rows = list.split("Call::").skip(1).filter_map(|row| {
        let (call, rest) = row.split_once(',')?;
        let (status, rest) = rest.split_once("Status::")?.1.split_once(',')?;
        let why = rest.split_once('"')?.1.split_once('"')?.0;
        Some(((call.trim().to_owned(), status.trim().to_owned()), why.to_owned()))
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::reasons;

    #[test]
    fn a_reason_is_found_by_its_call_and_status() {
        let source = "const IMPOSSIBLE: &[..] = &[\n (\n Call::NoOp,\n Status::LateFault,\n \"it has no arguments\",\n ),\n];";
        let found = reasons(source).expect("a list");
        assert_eq!(found[&("NoOp".to_owned(), "LateFault".to_owned())], "it has no arguments");
        assert_eq!(found.len(), 1);
    }
}
