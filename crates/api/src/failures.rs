//! Failed authentications, counted for each address and each key so that guessing is not possible.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use moka::sync::Cache;

use crate::limits::{FAILURE_ENTRIES, FAILURE_WINDOW, FAILURES};

/// Whose failures are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A client's address; of IPv6 the /64 network, because one host has all of it.
    Address(IpAddr),
    /// The user name of Basic authentication, whether it exists or not.
    User(String),
}

impl Subject {
    pub(crate) fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Address([a, b, c, d, 0, 0, 0, 0].into())
            }
            address @ IpAddr::V4(_) => Self::Address(address),
        }
    }
}

/// Counts of failures within a time, of a bounded number of subjects.
pub(crate) struct Failures(Cache<Subject, Arc<AtomicU32>>);

impl Default for Failures {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(FAILURE_ENTRIES).time_to_live(FAILURE_WINDOW).build())
    }
}

impl Failures {
    /// Whether attempts of this subject are refused now.
    pub(crate) fn is_blocked(&self, subject: &Subject) -> bool {
        self.0.get(subject).is_some_and(|count| count.load(Ordering::Relaxed) >= FAILURES)
    }

    pub(crate) fn count(&self, subject: Subject) {
        self.0.get_with(subject, Arc::default).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D375.
    #[test]
    fn a_subject_is_refused_after_its_own_failures_only() {
        let failures = Failures::default();
        let (one, other) = (Subject::User("SK1".into()), Subject::User("SK2".into()));
        for _ in 0..FAILURES {
            assert!(!failures.is_blocked(&one));
            failures.count(one.clone());
        }
        assert!(failures.is_blocked(&one) && !failures.is_blocked(&other));
        let address = |text: &str| Subject::address(text.parse().expect("an address"));
        assert_eq!(address("2001:db8:1:2:3::4"), address("2001:db8:1:2::9"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
