//! `openvisor cloud`: the cloud.

mod arguments;
mod limits_help;
mod warnings;

use std::net::SocketAddr;

use ::cloud::destinations::Destinations;
use ::cloud::events::Event;
use ::cloud::{Config, LoweredLimit};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::host::outbound::{Outbound, destinations_summary};
use crate::host::signals::StopSignal;
use crate::host::{address, process};
use crate::operate::store_url;
use crate::output::event_output;
use crate::output::exit::Failure;
use crate::output::logging::{self, Level};
use crate::output::timeline::{Format, Source, Timeline};
pub(super) use arguments::CloudArguments;

/// Runs until a signal, or until a task of the cloud fails.
pub(super) async fn run(arguments: CloudArguments) -> Result<(), Failure> {
    process::protect_memory();
    let listen = address::parse_listen_address("--listen", &arguments.listen)?;
    let config = cloud_config(&arguments, listen)?;
    let level = arguments.log_level.unwrap_or(if arguments.quiet { Level::Info } else { Level::Warn });
    logging::start(level, arguments.log_format);
    process::warn_if_root();
    warnings::warn(&config, !arguments.names.is_empty());
    let hosts = config.hosts.join(", ");
    let destinations = destinations_summary(&config.destinations);
    let timeline = Timeline::on_stdout(Format::from_flag(arguments.json));
    let stop = StopSignal::listen()?;
    let is_first = !warnings::is_complete(&arguments.data);
    let cloud = ::cloud::Cloud::start(config).await.inspect_err(|_| {
        if is_first {
            warnings::warn_of_new_folder(&arguments.data);
        }
    })?;
    let events = (!arguments.quiet).then(|| cloud.events());
    timeline.add(Source::Cloud, format!("listening on {}", cloud.address()));
    timeline.add(Source::Cloud, destinations);
    timeline.add(Source::Cloud, format!("reachable by devices as {hosts}"));
    if let Some(line) = lowered_limits_line(cloud.lowered_limits()) {
        timeline.add(Source::Cloud, line);
    }
    if let Some(address) = cloud.metrics_address() {
        timeline.add(Source::Cloud, format!("health and metrics at http://{address}/metrics"));
    }
    let failed = tokio::select! {
        () = stop.received() => None,
        () = show(events, &timeline) => None,
        task = cloud.failed() => Some(task),
    };
    timeline.add(Source::Cloud, "stopping");
    cloud.stop().await;
    logging::report_suppressed();
    match failed {
        None => Ok(()),
        Some(task) => Err(Failure::failed(format!("the cloud's background task `{task}` panicked"))
            .hint("see its log, and restart the cloud")),
    }
}

/// A line with the limits that are lower than configured, if there are any.
fn lowered_limits_line(limits: &[LoweredLimit]) -> Option<String> {
    let limits: Vec<_> = limits.iter().map(ToString::to_string).collect();
    let line = || {
        format!(
            "limits lowered, because the process may open too few files (ulimit -n): {}",
            limits.join(", ")
        )
    };
    (!limits.is_empty()).then(line)
}

fn cloud_config(arguments: &CloudArguments, listen: SocketAddr) -> Result<Config, Failure> {
    let base = if arguments.allow_loopback { Destinations::with_loopback() } else { Destinations::public() };
    let mut config = Config::local(&arguments.data, listen);
    config.store = store_url::from_option_or_environment(arguments.store.as_ref())?;
    Outbound::read(base, &arguments.allow.allow, &arguments.outbound)?.apply(&mut config);
    config.require_tls = arguments.require_tls;
    config.require_tls_of.clone_from(&arguments.require_tls_of);
    config.name_servers.clone_from(&arguments.name_servers);
    config.hosts.extend(arguments.names.iter().cloned());
    for limit in &arguments.limits {
        config.limits.set(limit).map_err(|error| {
            Failure::bad_input(format!("--limit {limit}: {error}"))
                .hint("list the limits with: openvisor cloud --help")
        })?;
    }
    let metrics = arguments.metrics.as_deref().map(|text| address::parse_listen_address("--metrics", text));
    config.metrics = metrics.transpose()?;
    Ok(config)
}

/// Shows events. With `--quiet` it does not subscribe to them, which saves a little work per message.
async fn show(events: Option<Receiver<Event>>, timeline: &Timeline) {
    let Some(mut events) = events else { return std::future::pending().await };
    loop {
        match events.recv().await {
            Ok(event) => {
                let (source, text) = event_output::cloud_line(&event.kind);
                timeline.add(source, format!("{}: {text}", short(event.device.as_str())));
            }
            Err(RecvError::Lagged(count)) => timeline.add(Source::Cloud, event_output::missed_text(count)),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The start of an id, which is enough to distinguish devices.
fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
