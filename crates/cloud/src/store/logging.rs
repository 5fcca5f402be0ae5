//! Whether logging of a device is on, and until when.

/// The logging setting of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logging {
    enabled: bool,
    /// Milliseconds since 1970; `None`: never.
    expires: Option<i64>,
}

impl Logging {
    /// Logging is off.
    pub(crate) const OFF: Self = Self { enabled: false, expires: None };

    pub(crate) fn new(enabled: bool, expires: Option<i64>) -> Self {
        Self { enabled, expires: expires.filter(|_| enabled) }
    }

    /// Whether logging is on at `now`, milliseconds since 1970.
    pub(crate) fn is_on(self, now: i64) -> bool {
        self.enabled && self.expires.is_none_or(|expires| now < expires)
    }

    /// When logging ends, milliseconds since 1970.
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
