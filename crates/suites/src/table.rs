//! Outcomes, and the table of differences that are expected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

/// Expected differences of the client cases.
pub(crate) const MOSQUITTO_CLIENT: &str = include_str!("../expected/mosquitto-client.toml");
/// Expected differences of the broker cases.
pub(crate) const MOSQUITTO_BROKER: &str = include_str!("../expected/mosquitto-broker.toml");
/// Expected differences of Paho's tests.
pub(crate) const PAHO: &str = include_str!("../expected/paho.toml");

/// How one case ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Names the case within its suite; no two are the same.
    pub case: String,
    /// What differed from what the suite expects, if anything.
    pub difference: Option<String>,
}

/// The table: each case that may differ, and why.
#[derive(Debug, Default)]
pub(crate) struct Table {
    reasons: BTreeMap<String, Reason>,
}

/// Why a case differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reason {
    /// The clause of the standard, or our own limitation.
    pub clause: String,
    /// What the clause has to do with the case.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    difference: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    clause: String,
    reason: String,
    cases: Vec<String>,
}

impl Table {
    /// Reads a table.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| format!("table of differences: {error}"))?;
        let mut reasons = BTreeMap::new();
        for Group { clause, reason, cases } in file.difference {
            for case in cases {
                let reason = Reason { clause: clause.clone(), reason: reason.clone() };
                if reasons.insert(case.clone(), reason).is_some() {
                    return Err(format!("table of differences: {case} is listed twice"));
                }
            }
        }
        Ok(Self { reasons })
    }

    /// Compares outcomes with the table; `all` says that every case of the suite was run.
    pub(crate) fn compare(
        self,
        title: &'static str,
        outcomes: Vec<Outcome>,
        all: bool,
    ) -> Result<Report, String> {
        let mut report = Report { title, total: outcomes.len(), ..Report::default() };
        let mut seen = BTreeSet::new();
        for Outcome { case, difference } in outcomes {
            if !seen.insert(case.clone()) {
                return Err(format!("two cases are called {case}"));
            }
            match (self.reasons.get(&case), difference) {
                (None, None) => report.agree += 1,
                (None, Some(difference)) => report.unexpected.push((case, difference)),
                (Some(_), None) => report.obsolete.push((case, "it agrees now")),
                (Some(reason), Some(_)) => report.expected.entry(reason.clone()).or_default().push(case),
            }
        }
        if all {
            let gone = self.reasons.into_keys().filter(|case| !seen.contains(case));
            report.obsolete.extend(gone.map(|case| (case, "the suite has no such case")));
        }
        Ok(report)
    }
}

/// Outcomes beside what was expected.
#[derive(Debug, Default)]
pub(crate) struct Report {
    title: &'static str,
    total: usize,
    agree: usize,
    expected: BTreeMap<Reason, Vec<String>>,
    /// Differences without an entry.
    unexpected: Vec<(String, String)>,
    /// Entries that do not hold.
    obsolete: Vec<(String, &'static str)>,
}

impl Report {
    /// Whether nothing differs from the table.
    pub(crate) fn is_expected(&self) -> bool {
        self.unexpected.is_empty() && self.obsolete.is_empty()
    }

    fn differ(&self) -> usize {
        self.expected.values().map(Vec::len).sum()
    }

    /// For the reader of the table.
    pub(crate) fn print(&self) {
        println!("\n{}", self.title);
        println!("  {} cases: {} agree, {} differ as expected", self.total, self.agree, self.differ());
        for (Reason { clause, reason }, cases) in &self.expected {
            println!("    {:>4}  {clause}: {reason}", cases.len());
        }
        println!("  {} differ unexpectedly", self.unexpected.len());
        for (case, difference) in &self.unexpected {
            println!("    {case}: {difference}");
        }
        println!("  {} entries of the table do not hold", self.obsolete.len());
        for (case, why) in &self.obsolete {
            println!("    {case}: {why}");
        }
    }

    /// For machines.
    pub(crate) fn json(&self) -> Value {
        let expected: Vec<Value> = self
            .expected
            .iter()
            .map(|(why, cases)| json!({ "clause": why.clause, "reason": why.reason, "cases": cases }))
            .collect();
        let unexpected: Vec<Value> = self
            .unexpected
            .iter()
            .map(|(case, difference)| json!({ "case": case, "difference": difference }))
            .collect();
        let obsolete: Vec<Value> =
            self.obsolete.iter().map(|(case, why)| json!({ "case": case, "why": why })).collect();
        json!({
            "suite": self.title, "cases": self.total, "agree": self.agree, "differ_as_expected": self.differ(),
            "expected": expected, "unexpected": unexpected, "obsolete_entries": obsolete,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[[difference]]\nclause = \"1.2\"\nreason = \"because\"\ncases = [\"a\", \"b\"]\n";

    fn outcome(case: &str, difference: Option<&str>) -> Outcome {
        Outcome { case: case.into(), difference: difference.map(Into::into) }
    }

    fn compare(outcomes: Vec<Outcome>, all: bool) -> Report {
        Table::parse(TEXT).unwrap().compare("t", outcomes, all).unwrap()
    }

    #[test]
    fn what_differs_as_the_table_says_is_expected() {
        let outcomes =
            vec![outcome("a", Some("x")), outcome("b", Some("y")), outcome("c", None), outcome("d", None)];
        let report = compare(outcomes, true);
        assert!(report.is_expected());
        assert_eq!((report.total, report.agree, report.differ()), (4, 2, 2));
    }

    #[test]
    fn a_difference_without_an_entry_fails_the_run() {
        let outcomes = vec![outcome("a", Some("x")), outcome("b", Some("y")), outcome("c", Some("z"))];
        let report = compare(outcomes, true);
        assert!(!report.is_expected());
        assert_eq!(report.unexpected, [("c".to_owned(), "z".to_owned())]);
    }

    #[test]
    fn an_entry_that_no_longer_holds_fails_the_run() {
        let report = compare(vec![outcome("a", None), outcome("b", Some("y"))], true);
        assert!(!report.is_expected());
        assert_eq!(report.obsolete, [("a".to_owned(), "it agrees now")]);
        let report = compare(vec![outcome("b", Some("y"))], true);
        assert_eq!(report.obsolete, [("a".to_owned(), "the suite has no such case")]);
        assert!(compare(vec![outcome("b", Some("y"))], false).is_expected(), "only a part was run");
    }

    #[test]
    fn the_committed_tables_can_be_read_and_give_reasons() {
        for text in [MOSQUITTO_CLIENT, MOSQUITTO_BROKER, PAHO] {
            let table = Table::parse(text).unwrap();
            assert!(table.reasons.values().all(|why| !why.clause.is_empty() && why.reason.len() > 10));
        }
        let twice = TEXT.replace("\"b\"", "\"a\"");
        assert!(Table::parse(&twice).is_err());
    }
}
