//! What `--limit` can set, for the help.

use cloud::limits::LIMITS;

/// The text with every limit, its default value and what it bounds, under it.
pub(super) fn help(before: &str) -> String {
    let name = LIMITS.iter().map(|named| named.name.len()).max().unwrap_or(0);
    let line = |named: &cloud::limits::LimitSpec| {
        format!("\n  {:<name$}  {:>8}  {}", named.name, named.default_value(), named.what)
    };
    let lines: String = LIMITS.iter().map(line).collect();
    format!(
        "{before}\n\nLimits, and their values unless --limit says otherwise. A rate (a second) of 0 is none; ten\n\
         seconds of a rate may come at once, two of new connections.{lines}"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_limit_has_a_line_that_fits_a_terminal() {
        let help = super::help("Examples:");
        assert!(help.starts_with("Examples:\n\nLimits"));
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.len() <= 100, "{line}");
        }
        assert!(help.contains("log_lines_a_second"), "{help}");
    }
}
