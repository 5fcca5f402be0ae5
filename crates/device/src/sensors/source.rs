//! Where a measured value comes from.

use std::path::Path;

/// A value that may change with the device's time.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Always the same.
    Constant(f64),
    /// From one value to the other and back, evenly, each way in `seconds`.
    Ramp {
        /// The value at the start.
        from: f64,
        /// The value after `seconds`.
        to: f64,
        /// Length of one way.
        seconds: f64,
    },
    /// Values with the second at which each begins, in order; before the first it is the first.
    Series(Vec<(f64, f64)>),
}

/// Why a text is no source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError(pub String);

impl Source {
    /// The value at `seconds` of the device's time.
    pub fn value(&self, seconds: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Ramp { from, to, seconds: way } => {
                let way_on = (seconds / way).rem_euclid(2.0);
                from + (to - from) * if way_on <= 1.0 { way_on } else { 2.0 - way_on }
            }
            Self::Series(values) => {
                let index = values.partition_point(|(at, _)| *at <= seconds).saturating_sub(1);
                values[index].1
            }
        }
    }

    /// Reads `21.5`, `20..30/60s`, or `@FILE` with lines `VALUE` (one a second) or `SECOND,VALUE`.
    ///
    /// # Errors
    /// [`SourceError`], a text for the user: it is none of these forms, or the file cannot be read.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if let Some(file) = text.strip_prefix('@') {
            let series = std::fs::read_to_string(Path::new(file));
            return Self::series(&series.map_err(|error| SourceError(format!("{file}: {error}")))?);
        }
        if let Some(ramp) = ramp(text) {
            return Ok(ramp);
        }
        let value = number(text).ok_or_else(|| {
            SourceError(format!("{text} is no value; write 21.5, 20..30/60s, or @FILE with a value a line"))
        })?;
        Ok(Self::Constant(value))
    }

    /// Reads the lines of a file of values. A first line without numbers, empty ones and those after `#` do not count.
    ///
    /// # Errors
    /// [`SourceError`] with the line: it has no number, or a time before the one above; or there is no value at all.
    pub fn series(text: &str) -> Result<Self, SourceError> {
        let mut values: Vec<(f64, f64)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some(value) = line_of_series(line, values.len()) else {
                if line.is_empty() || index == 0 {
                    continue;
                }
                return Err(SourceError(format!(
                    "line {}: {line} is neither VALUE nor SECOND,VALUE",
                    index + 1
                )));
            };
            if values.last().is_some_and(|last| last.0 > value.0) {
                return Err(SourceError(format!("line {}: its second is before the one above", index + 1)));
            }
            values.push(value);
        }
        if values.is_empty() {
            Err(SourceError("there is no value in it".into()))
        } else {
            Ok(Self::Series(values))
        }
    }

    /// Whether every value lies from `least` to `greatest`.
    pub fn within(&self, least: f64, greatest: f64) -> bool {
        let fits = |value: &f64| (least..=greatest).contains(value);
        match self {
            Self::Constant(value) => fits(value),
            Self::Ramp { from, to, .. } => fits(from) && fits(to),
            Self::Series(values) => values.iter().all(|(_, value)| fits(value)),
        }
    }
}

fn ramp(text: &str) -> Option<Source> {
    let (values, seconds) = text.strip_suffix('s')?.split_once('/')?;
    let (from, to) = values.split_once("..")?;
    let seconds = number(seconds).filter(|seconds| *seconds > 0.0)?;
    Some(Source::Ramp { from: number(from)?, to: number(to)?, seconds })
}

fn line_of_series(line: &str, before: usize) -> Option<(f64, f64)> {
    match line.split_once([',', ';']) {
        Some((second, value)) => Some((number(second)?, number(value)?)),
        None => Some((f64::from(before as u32), number(line)?)),
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the values here have few bits: sums and halves of them are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_goes_there_and_back() {
        let ramp = Source::parse("20..30/60s").expect("a ramp");
        let values = [0.0, 30.0, 60.0, 90.0, 120.0, 150.0].map(|seconds| ramp.value(seconds));
        assert_eq!(values, [20.0, 25.0, 30.0, 25.0, 20.0, 25.0]);
    }

    #[test]
    fn a_series_holds_each_value_until_the_next() {
        let series = Source::series("second,celsius\n1,20.5\n\n3,-4 # night\n").expect("a series");
        assert_eq!([0.0, 1.0, 2.9, 3.0, 99.0].map(|at| series.value(at)), [20.5, 20.5, 20.5, -4.0, -4.0]);
        let plain = Source::series("1\n2\n3").expect("a series");
        assert_eq!([0.0, 1.5, 2.0].map(|at| plain.value(at)), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn what_is_no_source_is_refused_with_its_place() {
        for text in ["", "warm", "20..30", "20..30/0s", "NaN", "@/no/such/file"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
        let error = Source::series("1,2\nx").expect_err("no number");
        assert_eq!(error.0, "line 2: x is neither VALUE nor SECOND,VALUE");
        assert!(Source::series("5,1\n4,1").is_err());
        assert!(Source::series("# nothing").is_err());
    }
}
