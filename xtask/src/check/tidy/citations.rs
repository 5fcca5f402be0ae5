//! Every N, M and D id that code, tests or pages cite exists.

use std::collections::BTreeSet;

use super::Violation;
use super::source::Source;
use crate::spec::is_id;

/// Where words such as `D15` and `M33` are registers and processors.
const OTHER_IDS: &[&str] = &["crates/armv8m", "sdk/"];

pub(super) fn check(known: &BTreeSet<String>, sources: &[Source]) -> Vec<Violation> {
    let citing =
        sources.iter().filter(|source| !OTHER_IDS.iter().any(|folder| source.path.starts_with(folder)));
    let mut found = Vec::new();
    for source in citing {
        for (number, line) in source.lines() {
            let unknown = cited(line).into_iter().filter(|id| !known.contains(*id));
            found.extend(unknown.map(|id| {
                let message = format!("{id}: no requirement and no decision has this id");
                Violation::new(&source.path, Some(number), message)
            }));
        }
    }
    found
}

/// Ids in parentheses, `(D11, N05)`, or after `Shows`; other words of this form are names of something else.
fn cited(line: &str) -> Vec<&str> {
    let shown = line.split_once("/// Shows ").map(|(_, rest)| rest);
    let in_parentheses = line.split('(').skip(1).filter_map(|rest| rest.split(')').next());
    let parts = shown.into_iter().chain(in_parentheses);
    let lists = parts.filter(|part| part.split([',', ' ', '.', ';', ':']).next().is_some_and(is_id));
    lists.flat_map(|list| list.split([',', ' ', '.', ';', ':']).filter(|word| is_id(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cited_in_parentheses_and_by_tests() {
        assert_eq!(cited("/// Posts a record (D11, N05); later (M20)."), ["D11", "N05", "M20"]);
        assert_eq!(cited("/// Shows N05, D02."), ["N05", "D02"]);
        assert!(cited("a Cortex-M33 with D15 and (see D99)").is_empty());
    }

    #[test]
    fn an_unknown_id_is_named_with_its_line() {
        let known = BTreeSet::from(["D11".to_owned()]);
        let source = Source::new("a.rs", concat!("// (D11)\n// why (", "D998)\n"));
        let found = check(&known, &[source]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].shown(), "a.rs:2: D998: no requirement and no decision has this id");
    }
}
