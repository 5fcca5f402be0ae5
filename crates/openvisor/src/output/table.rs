//! Text tables, with columns as wide as their widest entry.

use anstyle::Style;

use crate::output::timeline::printable;

/// Longest text that [`truncated`] leaves whole, in characters.
const MAX_WIDTH: usize = 40;
/// Between two columns.
const GAP: &str = "  ";

/// A table with a header; entries are escaped.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let rows = &rows.iter().map(|row| row.iter().map(|entry| printable(entry)).collect()).collect::<Vec<_>>();
    let widths: Vec<_> = (0..header.len()).map(|column| width(header, rows, column)).collect();
    let dim = Style::new().dimmed();
    let header: Vec<_> = header.iter().map(|&name| name.to_owned()).collect();
    let mut lines = vec![format!("{dim}{}{dim:#}", line(&header, &widths))];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

/// One name and value per line, the values aligned and escaped.
pub(crate) fn pairs(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let dim = Style::new().dimmed();
    let lines =
        rows.iter().map(|(name, value)| format!("{dim}{name:<width$}{dim:#}{GAP}{}", printable(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// `text`, cut if it is long.
pub(crate) fn truncated(text: &str) -> String {
    if text.chars().count() <= MAX_WIDTH {
        return text.to_owned();
    }
    text.chars().take(MAX_WIDTH - 1).chain(['…']).collect()
}

fn width(header: &[&str], rows: &[Vec<String>], column: usize) -> usize {
    let entries = rows.iter().map(|row| row[column].chars().count());
    entries.chain([header[column].chars().count()]).max().unwrap_or(0)
}

fn line(entries: &[String], widths: &[usize]) -> String {
    let padded = entries.iter().zip(widths).map(|(entry, &width)| format!("{entry:<width$}"));
    padded.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_entry() {
        let rows = [vec!["a".into(), "1".into()], vec!["longer".into(), "2".into()]];
        assert_eq!(plain(&table(&["KEY", "VALUE"], &rows)), "KEY     VALUE\na       1\nlonger  2");
        assert_eq!(plain(&pairs(&[("id", "x".into()), ("name", "y".into())])), "id    x\nname  y");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(truncated(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(truncated(&"é".repeat(41)), "é".repeat(39) + "…");
    }
}
