//! Tables of figures, as text or JSON.

use std::fmt;

use serde_json::{Map, Value, json};

/// A column of a section.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    decimals: usize,
}

impl Column {
    /// A column whose figures are printed with `decimals` decimals.
    pub(crate) fn new(name: &'static str, decimals: usize) -> Self {
        Self { name, decimals }
    }
}

/// A row of figures; `None` where a figure has no meaning.
struct Row {
    name: String,
    values: Vec<Option<f64>>,
    /// Decimals of all values, if not those of their columns.
    decimals: Option<usize>,
}

/// A table of comparable measurements.
pub(crate) struct Section {
    title: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Section {
    /// A section without rows.
    pub(crate) fn new(title: impl Into<String>, columns: &[Column]) -> Self {
        let columns = columns.to_vec();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row, with a figure for each column.
    pub(crate) fn row(&mut self, name: impl Into<String>, values: &[Option<f64>]) {
        assert_eq!(values.len(), self.columns.len(), "a figure for each column");
        self.rows.push(Row { name: name.into(), values: values.to_vec(), decimals: None });
    }

    /// Adds a row with the quotients of two rows.
    pub(crate) fn quotient(&mut self, dividend: &str, divisor: &str) {
        let find = |name| self.rows.iter().find(|row| row.name == name);
        let (Some(above), Some(below)) = (find(dividend), find(divisor)) else {
            return;
        };
        let pairs = above.values.iter().zip(&below.values);
        let values: Vec<_> = pairs.map(|(above, below)| Some((*above)? / (*below)?)).collect();
        let name = format!("{dividend} / {divisor}");
        self.rows.push(Row { name, values, decimals: Some(QUOTIENT_DECIMALS) });
    }

    /// The section as JSON: rows by name, figures by column.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| (row.name.clone(), self.row_to_json(row)));
        json!({ "title": self.title, "rows": rows.collect::<Map<_, _>>() })
    }

    fn row_to_json(&self, row: &Row) -> Value {
        let measured = self.columns.iter().zip(&row.values);
        let figures = measured.filter_map(|(column, value)| Some((column.name.to_owned(), json!((*value)?))));
        Value::Object(figures.collect())
    }

    fn name_width(&self) -> usize {
        self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.name_width();
        writeln!(f, "{}", self.title)?;
        write!(f, "  {:width$}", "")?;
        for column in &self.columns {
            write!(f, "  {:>COLUMN_WIDTH$}", column.name)?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "  {:width$}", row.name)?;
            self.columns
                .iter()
                .zip(&row.values)
                .try_for_each(|(column, value)| cell(f, column, *value, row))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Narrower columns are widened to this.
const COLUMN_WIDTH: usize = 10;

const QUOTIENT_DECIMALS: usize = 2;

fn cell(f: &mut fmt::Formatter<'_>, column: &Column, value: Option<f64>, row: &Row) -> fmt::Result {
    let width = column.name.len().max(COLUMN_WIDTH);
    let decimals = row.decimals.unwrap_or(column.decimals);
    match value {
        Some(value) => write!(f, "  {value:>width$.decimals$}"),
        None => write!(f, "  {:width$}", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let mut section = Section::new("Latency", &[Column::new("p50", 1), Column::new("p99", 0)]);
        section.row("device", &[Some(300.0), Some(900.0)]);
        section.row("direct", &[Some(120.0), None]);
        section.quotient("device", "direct");
        section
    }

    #[test]
    fn a_figure_that_was_not_measured_is_left_blank() {
        let lines: Vec<String> = section().to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "Latency");
        assert_eq!(lines[2], "  device                300.0         900");
        assert_eq!(lines[3], "  direct                120.0            ");
        assert_eq!(lines[4], "  device / direct        2.50            ");
    }

    #[test]
    fn a_figure_that_was_not_measured_is_not_in_the_json() {
        let rows = &section().to_json()["rows"];
        assert_eq!(rows["direct"], json!({ "p50": 120.0 }));
        assert_eq!(rows["device / direct"], json!({ "p50": 2.5 }));
    }
}
