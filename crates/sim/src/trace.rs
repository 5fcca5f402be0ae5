//! What happened, in words: for understanding a failure.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

use sansio::Instant;

/// Lines of a run, unless it is off. Clones write to the same lines.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Rc<RefCell<Vec<String>>>>);

impl Trace {
    /// A trace that records.
    pub fn recording() -> Self {
        Self(Some(Rc::default()))
    }

    /// Adds a line: when, who, what.
    pub fn record(&self, now: Instant, who: impl Display, what: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            let (seconds, micros) =
                (now.duration_since(Instant::ZERO).as_secs(), now.as_micros() % 1_000_000);
            lines.borrow_mut().push(format!("{seconds:>4}.{micros:06} {who:<10} {}", what()));
        }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.as_ref().map(|lines| lines.borrow().clone()).unwrap_or_default()
    }
}
