//! Whose log lines are wanted, and until when.

/// Whether a device's log lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logging {
    wanted: bool,
    /// Milliseconds since 1970; `None`: without end.
    expires: Option<i64>,
}

impl Logging {
    /// Not wanted.
    pub(crate) const OFF: Self = Self { wanted: false, expires: None };

    pub(crate) fn new(wanted: bool, expires: Option<i64>) -> Self {
        Self { wanted, expires: expires.filter(|_| wanted) }
    }

    /// Whether they are wanted at `now`, milliseconds since 1970.
    pub(crate) fn is_on(self, now: i64) -> bool {
        self.wanted && self.expires.is_none_or(|expires| now < expires)
    }

    /// When that ends by itself, milliseconds since 1970.
    pub(crate) fn expires(self) -> Option<i64> {
        self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D125.
    #[test]
    fn logging_ends_at_its_time_and_not_before() {
        let logging = Logging::new(true, Some(1000));
        assert!(logging.is_on(999) && !logging.is_on(1000));
        assert!(Logging::new(true, None).is_on(i64::MAX));
        assert!(!Logging::new(false, Some(1000)).is_on(0));
        assert_eq!(Logging::new(false, Some(1000)), Logging::OFF);
    }
}
