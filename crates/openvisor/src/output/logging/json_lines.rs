//! The log as JSON: `v`, `timestamp`, `level`, `event`, `message`, the fields, `target` (docs/json.md).

use std::fmt;

use cloud::clock::wall_millis;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::event::VERSION;
use crate::output::timestamp;

/// Writes an event as one object. What controls a terminal is escaped by the writer behind it.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writeln!(to, "{}", Value::Object(object(event, &timestamp::rfc3339(wall_millis()))))
    }
}

fn object(event: &Event<'_>, at: &str) -> Map<String, Value> {
    let metadata = event.metadata();
    let mut fields = Fields(Map::new());
    event.record(&mut fields);
    let Fields(mut fields) = fields;
    let mut line = Map::new();
    line.insert("v".into(), VERSION.into());
    line.insert("timestamp".into(), at.into());
    line.insert("level".into(), metadata.level().as_str().into());
    // A library gives its events no name: tracing names them after their place in the source.
    if !metadata.name().contains(' ') {
        line.insert("event".into(), metadata.name().into());
    }
    line.insert("message".into(), fields.shift_remove("message").unwrap_or_default());
    line.extend(fields);
    line.insert("target".into(), metadata.target().into());
    line
}

/// The fields of an event.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Value::Object(object(event, "T")).to_string());
        }
    }

    /// Shows D336.
    #[test]
    fn a_line_has_a_stable_name_and_words_where_the_program_gives_them() {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let subscriber = tracing_subscriber::registry().with(Lines(lines.clone()));
        let device = "UV1";
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(name: "device_disconnected", %device, reason = "revoked", "device disconnected");
            tracing::warn!(target: "sqlx", count = 2, is_late = true, "slow");
        });
        assert_eq!(
            *lines.lock().unwrap(),
            [
                r#"{"v":1,"timestamp":"T","level":"INFO","event":"device_disconnected","message":"device disconnected","device":"UV1","reason":"revoked","target":"openvisor::output::logging::json_lines::tests"}"#,
                r#"{"v":1,"timestamp":"T","level":"WARN","message":"slow","count":2,"is_late":true,"target":"sqlx"}"#,
            ]
        );
    }
}
