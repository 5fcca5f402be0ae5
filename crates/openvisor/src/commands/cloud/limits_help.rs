//! The list of limits that ends `openvisor cloud --help`.

use cloud::limits::LIMITS;

/// `before`, followed by every limit with its default and what it bounds.
pub(super) fn append_to(before: &str) -> String {
    let name = LIMITS.iter().map(|named| named.name.len()).max().unwrap_or(0);
    let line = |named: &cloud::limits::LimitSpec| {
        format!("\n  {:<name$}  {:>8}  {}", named.name, named.default_value(), named.what)
    };
    let lines: String = LIMITS.iter().map(line).collect();
    format!(
        "{before}\n\nLimits and their defaults. A rate of 0 means no limit. A burst may be ten times the rate per second, \
         twice for new connections.{lines}"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_limit_has_a_line_that_fits_a_terminal() {
        let help = super::append_to("Examples:");
        assert!(help.starts_with("Examples:\n\nLimits"));
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.len() <= 100, "{line}");
        }
        assert!(help.contains("log_lines_a_second"), "{help}");
    }
}
