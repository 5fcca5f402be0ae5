//! What happened, in words, for whoever has to understand a failure.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;

/// Lines of a run; empty unless they are wanted. Clones write to the same lines.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Rc<RefCell<Vec<String>>>>);

impl Trace {
    /// A trace that is kept.
    pub fn kept() -> Self {
        Self(Some(Rc::default()))
    }

    /// Adds a line: when (microseconds), who, what.
    pub fn say(&self, now: u64, who: impl Display, what: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
            lines.borrow_mut().push(format!("{seconds:>4}.{micros:06} {who:<10} {}", what()));
        }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.as_ref().map(|lines| lines.borrow().clone()).unwrap_or_default()
    }
}
