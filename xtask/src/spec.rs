//! The two pages whose ids tests and comments cite: requirements (N.., M..) and decisions on behaviour (D..).

use std::collections::BTreeMap;

use crate::workspace::read;

/// Where the requirements are.
pub(crate) const REQUIREMENTS: &str = "docs/spec/requirements.md";
/// Where the decisions are.
pub(crate) const DECISIONS: &str = "docs/spec/decisions.md";

/// A requirement or a decision.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `N05`, `M20`, `D11`.
    pub id: String,
    /// A requirement's sentence; a decision's line in the index.
    pub title: String,
}

/// Whether a word has the form of an id.
pub(crate) fn is_id(word: &str) -> bool {
    let Some(digits) = word.strip_prefix(['N', 'M', 'D']) else { return false };
    (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// All requirements, in the order of the page.
///
/// # Errors
/// The page cannot be read.
pub(crate) fn requirements() -> Result<Vec<Rule>, String> {
    Ok(parse_requirements(&read(REQUIREMENTS)?))
}

/// All decisions, by number.
///
/// # Errors
/// The page cannot be read, is not in order, or its index differs from its sections.
pub(crate) fn decisions() -> Result<Vec<Rule>, String> {
    parse_decisions(&read(DECISIONS)?).map_err(|error| format!("{DECISIONS}: {error}"))
}

/// Rows of `| <a id="n01"></a>N01 | K | text |`.
fn parse_requirements(text: &str) -> Vec<Rule> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, title, _] = cells[..] else { return None };
        let id = id.rsplit('>').next().filter(|id| is_id(id))?;
        Some(Rule { id: id.to_owned(), title: title.to_owned() })
    });
    rows.collect()
}

/// Sections `### D01`, each with a line `- [D01](#d01) title` in the index.
fn parse_decisions(text: &str) -> Result<Vec<Rule>, String> {
    let sections: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("### ")).filter(|heading| is_id(heading)).collect();
    let mut index = BTreeMap::new();
    for (id, title) in text.lines().filter_map(index_entry) {
        if index.insert(id, title).is_some() {
            return Err(format!("{id} is in the index twice"));
        }
        if !sections.contains(&id) {
            return Err(format!("{id} is in the index, but there is no section `### {id}`"));
        }
    }
    let pairs = sections.iter().zip(sections.iter().skip(1));
    if let Some((first, second)) = pairs.into_iter().find(|(first, second)| number(first) >= number(second)) {
        return Err(format!("{first} comes before {second}: sections are sorted by number"));
    }
    let rule = |id: &str| {
        let title = index.get(id).ok_or_else(|| format!("{id} has no line in the index"))?;
        Ok(Rule { id: id.to_owned(), title: (*title).to_owned() })
    };
    sections.into_iter().map(rule).collect()
}

fn index_entry(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.strip_prefix("- [")?.split_once(']')?;
    let (_, title) = rest.split_once(") ")?;
    is_id(id).then_some((id, title))
}

fn number(id: &str) -> u32 {
    id[1..].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, title: &str) -> Rule {
        Rule { id: id.into(), title: title.into() }
    }

    #[test]
    fn requirements_are_read_from_table_rows_with_or_without_anchor() {
        let page =
            "| id | kind | text |\n|---|---|---|\n| <a id=\"n01\"></a>N01 | K | One. |\n| M02 | C | Two. |\n";
        assert_eq!(parse_requirements(page), [rule("N01", "One."), rule("M02", "Two.")]);
    }

    #[test]
    fn decisions_have_a_section_and_a_title_in_the_index() {
        let page =
            "- [D02](#d02) b\n- [D01](#d01) a\n\n### Topic\n\n### D01\n\nText.\n\n### D02\n\nText (D01).\n";
        assert_eq!(parse_decisions(page), Ok(vec![rule("D01", "a"), rule("D02", "b")]));
    }

    #[test]
    fn an_index_that_differs_from_the_sections_is_an_error() {
        for (page, part) in [
            ("### D01\n", "D01 has no line in the index"),
            ("- [D01](#d01) a\n", "no section `### D01`"),
            ("- [D01](#d01) a\n- [D01](#d01) a\n### D01\n", "twice"),
            ("- [D01](#d01) a\n- [D02](#d02) b\n### D02\n### D01\n", "sorted by number"),
        ] {
            let error = parse_decisions(page).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn ids_are_a_letter_and_two_or_three_digits() {
        assert!(is_id("D11") && is_id("N05") && is_id("D213"));
        assert!(
            !is_id("D1") && !is_id("X11") && !is_id("D2134") && !is_id("") && !is_id("…") && !is_id("Dxx")
        );
    }
}
