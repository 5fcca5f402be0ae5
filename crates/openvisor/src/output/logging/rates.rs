//! Limits the rate of log lines, because any peer that reaches the port can cause them (D172).
//!
//! A kind is a call site. Within a window there is a maximum for each kind, and one for all kinds of a class of levels
//! together; the first line of a kind is always written, so that a flood of one kind never hides another. Suppressed
//! lines are counted and reported.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The period in which lines are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The target of the lines that report suppressed ones. They are always written: there is at most one per kind and
/// window.
pub(super) const REPORT: &str = "openvisor::logging";

/// Longest name of a kind, in characters.
const MAX_NAME: usize = 80;

/// Most lines in a window.
struct Bound {
    kind: u32,
    total: u32,
}

/// Warnings are rare; debug lines are many, and an operator who turns them on expects that.
const BOUNDS: [Bound; 3] =
    [Bound { kind: 20, total: 100 }, Bound { kind: 100, total: 300 }, Bound { kind: 5000, total: 20_000 }];

/// The index of a level in [`BOUNDS`].
fn class(level: Level) -> usize {
    match level {
        Level::ERROR | Level::WARN => 0,
        Level::INFO => 1,
        Level::DEBUG | Level::TRACE => 2,
    }
}

/// The counts of the present window.
pub(super) struct Rates(Mutex<Window>);

struct Window {
    start: Instant,
    totals: [u32; BOUNDS.len()],
    /// Bounded without a limit of its own, because call sites are static.
    kinds: HashMap<Identifier, Kind>,
}

struct Kind {
    name: String,
    class: usize,
    admitted: u32,
    suppressed: u64,
}

/// Lines of one kind that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) kind: String,
    pub(super) is_warning: bool,
    pub(super) count: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self(Mutex::new(Window { start: Instant::now(), totals: Default::default(), kinds: HashMap::new() }))
    }
}

impl Rates {
    fn lock(&self) -> MutexGuard<'_, Window> {
        // Counts are usable after a panic, and that is when the log is needed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more line of this kind may be written; counts it if not.
    fn admits(&self, kind: Identifier, level: Level, name: impl FnOnce() -> String, now: Instant) -> bool {
        let mut window = self.lock();
        window.roll(now);
        let Window { totals, kinds, .. } = &mut *window;
        let class = class(level);
        let kind =
            kinds.entry(kind).or_insert_with(|| Kind { name: name(), class, admitted: 0, suppressed: 0 });
        let (bound, total) = (&BOUNDS[class], &mut totals[class]);
        let is_admitted = kind.admitted == 0 || (kind.admitted < bound.kind && *total < bound.total);
        if is_admitted {
            kind.admitted += 1;
            *total += 1;
        } else {
            kind.suppressed += 1;
        }
        is_admitted
    }

    /// What was suppressed since the last call.
    pub(super) fn take_suppressed(&self, now: Instant) -> Vec<Suppressed> {
        let mut window = self.lock();
        window.roll(now);
        let suppressed =
            window.kinds.values_mut().filter(|kind| kind.suppressed > 0).map(|kind| Suppressed {
                kind: kind.name.clone(),
                is_warning: kind.class == 0,
                count: std::mem::take(&mut kind.suppressed),
            });
        suppressed.collect()
    }
}

impl Window {
    /// Starts the next window if this one has ended.
    fn roll(&mut self, now: Instant) {
        if now.saturating_duration_since(self.start) >= WINDOW {
            self.start = now;
            self.totals = Default::default();
            self.kinds.values_mut().for_each(|kind| kind.admitted = 0);
        }
    }
}

/// The filter in front of the layers that write lines.
pub(super) struct RateLimit(Arc<Rates>);

impl RateLimit {
    pub(super) fn new(rates: Arc<Rates>) -> Self {
        Self(rates)
    }
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        metadata.target() == REPORT
            || self.0.admits(metadata.callsite(), *metadata.level(), || name(event), Instant::now())
    }
}

/// The name of the kind: the message, if it is one of this project, whose messages are literals. Those of libraries may
/// contain secrets.
fn name(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}").chars().take(MAX_NAME).collect();
            }
        }
    }
    let target = event.metadata().target();
    let is_ours = ["cloud", "openvisor"].contains(&target.split("::").next().unwrap_or_default());
    let mut message = Message(target.to_owned());
    if is_ours {
        event.record(&mut message);
    }
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes nothing, counts what passes.
    struct Counter(Arc<Mutex<HashMap<String, u32>>>);

    impl<S: Subscriber> Layer<S> for Counter {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap().entry(name(event)).or_default() += 1;
        }
    }

    fn logged(log: impl FnOnce()) -> (HashMap<String, u32>, Arc<Rates>) {
        use tracing_subscriber::layer::SubscriberExt;
        let (rates, counts) = (Arc::<Rates>::default(), Arc::<Mutex<HashMap<String, u32>>>::default());
        let subscriber =
            tracing_subscriber::registry().with(RateLimit::new(rates.clone())).with(Counter(counts.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let counts = counts.lock().unwrap().clone();
        (counts, rates)
    }

    /// Shows D172.
    #[test]
    fn a_flood_of_one_kind_is_cut_off_counted_and_hides_no_other_kind() {
        let (counts, rates) = logged(|| {
            for number in 0..10_000 {
                tracing::warn!(number, "a device is refused");
            }
            for _ in 0..5 {
                tracing::error!("the disk is full");
            }
            tracing::info!("a device connects");
        });
        assert_eq!(counts["a device is refused"], BOUNDS[0].kind);
        assert_eq!((counts["the disk is full"], counts["a device connects"]), (5, 1));
        let suppressed = rates.take_suppressed(Instant::now());
        let count = 10_000 - u64::from(BOUNDS[0].kind);
        assert_eq!(suppressed, [Suppressed { kind: "a device is refused".into(), is_warning: true, count }]);
        assert_eq!(rates.take_suppressed(Instant::now()), [], "each is reported once");
    }

    /// Shows D172.
    #[test]
    fn all_kinds_together_have_a_bound_but_each_has_its_first_line() {
        let (counts, _) = logged(|| {
            for _ in 0..1000 {
                tracing::warn!("kind 1");
                tracing::warn!("kind 2");
                tracing::warn!("kind 3");
                tracing::warn!("kind 4");
                tracing::warn!("kind 5");
                tracing::warn!("kind 6");
            }
            tracing::error!("kind 7");
        });
        assert_eq!(counts["kind 7"], 1);
        assert_eq!(counts.values().sum::<u32>(), BOUNDS[0].total + 1);
    }

    /// Shows D172.
    #[test]
    fn the_next_window_admits_again_and_what_was_counted_stays() {
        let rates = Rates::default();
        let (kind, start) =
            (tracing::callsite!(name: "k", kind: tracing::metadata::Kind::EVENT, fields: a), Instant::now());
        let kind = || tracing::callsite::Callsite::metadata(kind).callsite();
        let admitted = |now| (0..50).filter(|_| rates.admits(kind(), Level::WARN, String::new, now)).count();
        assert_eq!(admitted(start), 20);
        assert_eq!(admitted(start + WINDOW / 2), 0);
        assert_eq!(admitted(start + WINDOW * 2), 20);
        assert_eq!(rates.take_suppressed(start + WINDOW * 2)[0].count, 30 + 50 + 30);
    }

    /// Shows D172.
    #[test]
    fn text_from_a_library_is_not_the_name_of_a_kind() {
        let (counts, _) = logged(|| tracing::warn!(target: "sqlx::query", "SELECT {}", "secret"));
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["sqlx::query"]);
    }
}
