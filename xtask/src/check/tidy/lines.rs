//! Lines that wrap nowhere: rustfmt leaves comments alone, and a paragraph on one line cannot be read in a diff.

use super::Violation;
use super::source::Source;

/// Columns of a line with nothing but a comment in Rust.
const COMMENT: usize = 120;
/// Columns of a line in Markdown.
const MARKDOWN: usize = 160;

pub(super) fn check(sources: &[Source]) -> Vec<(String, Violation)> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_derived) {
        let (rule, limit, too_long) = if source.has_extension("rs") {
            ("comment line", COMMENT, long_comments(&source.text))
        } else if source.has_extension("md") {
            ("Markdown line", MARKDOWN, long_markdown(&source.text))
        } else {
            continue;
        };
        found.extend(too_long.into_iter().map(|(line, columns)| {
            let message = format!("{columns} columns, of at most {limit}: wrap it");
            (rule.to_owned(), Violation::new(&source.path, Some(line), message))
        }));
    }
    found
}

/// Line numbers and widths.
fn long_comments(text: &str) -> Vec<(usize, usize)> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//"));
    lines
        .filter(|(_, line)| !has_url(line))
        .filter_map(|(index, line)| longer(index, line, COMMENT))
        .collect()
}

/// Tables, code and lines with an address cannot be wrapped.
fn long_markdown(text: &str) -> Vec<(usize, usize)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if !is_code && !line.starts_with('|') && !line.starts_with("<!--") && !has_url(line) {
            found.extend(longer(index, line, MARKDOWN));
        }
    }
    found
}

fn longer(index: usize, line: &str, limit: usize) -> Option<(usize, usize)> {
    let columns = line.chars().count();
    (columns > limit).then_some((index + 1, columns))
}

fn has_url(line: &str) -> bool {
    line.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_count_in_rust() {
        let long = "x".repeat(130);
        let text = format!("/// {long}\nlet {long} = 1;\n    // {long}\n// https://{long}\n");
        assert_eq!(long_comments(&text), [(1, 134), (3, 137)]);
    }

    #[test]
    fn tables_code_and_addresses_do_not_count_in_markdown() {
        let long = "x ".repeat(90);
        let text = format!("{long}\n| {long} |\n```sh\n{long}\n```\n{long}https://a\n");
        assert_eq!(long_markdown(&text), [(1, 180)]);
    }

    #[test]
    fn columns_are_characters_and_not_bytes() {
        assert!(long_markdown(&"é".repeat(160)).is_empty());
    }
}
