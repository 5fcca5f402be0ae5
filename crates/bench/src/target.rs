//! Targets for the figures, and whether they are met.

use std::fmt;

use serde_json::{Value, json};

/// The bound of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// It may not be smaller.
    AtLeast(f64),
    /// It may not be larger.
    AtMost(f64),
}

/// A figure and its bound.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    name: &'static str,
    measured: f64,
    bound: Bound,
}

impl Target {
    /// A target. A missing figure is infinite or NaN, and misses it.
    pub(crate) fn new(name: &'static str, measured: f64, bound: Bound) -> Self {
        Self { name, measured, bound }
    }

    /// Whether the figure is within its bound.
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.measured >= least,
            Bound::AtMost(most) => self.measured <= most,
        }
    }

    /// The target as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let (side, bound) = match self.bound {
            Bound::AtLeast(least) => ("at_least", least),
            Bound::AtMost(most) => ("at_most", most),
        };
        json!({ "name": self.name, "measured": self.measured, side: bound, "met": self.is_met() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (side, bound) = match self.bound {
            Bound::AtLeast(least) => ("at least", least),
            Bound::AtMost(most) => ("at most", most),
        };
        let met = if self.is_met() { "met" } else { "MISSED" };
        write!(f, "  {:76}  {:>8.2}  {side:>8} {bound:>6.2}  {met}", self.name, self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_good_enough_and_a_missing_figure_is_not() {
        let met = |measured, bound| Target::new("it", measured, bound).is_met();
        assert!(met(0.7, Bound::AtLeast(0.7)) && met(13.0, Bound::AtMost(13.0)));
        assert!(!met(0.69, Bound::AtLeast(0.7)) && !met(13.1, Bound::AtMost(13.0)));
        assert!(!met(f64::NAN, Bound::AtLeast(0.7)) && !met(f64::NAN, Bound::AtMost(13.0)));
    }
}
