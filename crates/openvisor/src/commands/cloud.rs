//! `openvisor cloud`: the cloud by itself.

mod arguments;
mod limits_help;

use std::net::SocketAddr;

use ::cloud::destinations::Destinations;
use ::cloud::events::Event;
use ::cloud::{Config, LoweredLimit};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::host::outbound::Relayed;
use crate::host::signals::Stop;
use crate::host::{address, process};
use crate::operate::stores;
use crate::output::exit::Failure;
use crate::output::logging::{self, Level};
use crate::output::timeline::{Form, Source, Timeline};
use crate::output::{error_text, event_output};
pub(super) use arguments::CloudArguments;

/// Runs until told to stop.
pub(super) async fn run(arguments: CloudArguments) -> Result<(), Failure> {
    process::protect_memory();
    let listen = address::to_listen("--listen", &arguments.listen)?;
    let config = config(&arguments, listen)?;
    let level = arguments.log_level.unwrap_or(if arguments.quiet { Level::Info } else { Level::Warn });
    logging::start(level, arguments.log_format);
    process::warn_if_root();
    let hosts = config.hosts.join(", ");
    let open = error_text::open_to_applications(&config.destinations);
    let timeline = Timeline::on_stdout(Form::of(arguments.json));
    let stop = Stop::listen()?;
    let cloud = ::cloud::Cloud::start(config).await.map_err(error_text::of_start)?;
    let events = (!arguments.quiet).then(|| cloud.events());
    timeline.say(Source::Cloud, format!("listening on {}", cloud.address()));
    timeline.say(Source::Cloud, open);
    timeline.say(Source::Cloud, format!("devices may call it {hosts}"));
    if let Some(line) = lowered(cloud.lowered_limits()) {
        timeline.say(Source::Cloud, line);
    }
    if let Some(address) = cloud.metrics_address() {
        timeline.say(Source::Cloud, format!("health and metrics at http://{address}/metrics"));
    }
    let failed = tokio::select! {
        () = stop.asked(None) => None,
        () = show(events, &timeline) => None,
        task = cloud.failed() => Some(task),
    };
    timeline.say(Source::Cloud, "stopping");
    cloud.stop().await;
    logging::report_suppressed();
    match failed {
        None => Ok(()),
        Some(task) => {
            Err(Failure::not_happened(format!("the cloud's background task `{task}` has panicked"))
                .hint("its log says where; start the cloud again"))
        }
    }
}

/// Says which limits are lower than configured, if any are.
fn lowered(limits: &[LoweredLimit]) -> Option<String> {
    let limits: Vec<_> = limits.iter().map(ToString::to_string).collect();
    let line =
        || format!("limits lowered, the process may open too few files (ulimit -n): {}", limits.join(", "));
    (!limits.is_empty()).then(line)
}

fn config(arguments: &CloudArguments, listen: SocketAddr) -> Result<Config, Failure> {
    let base = if arguments.allow_loopback { Destinations::with_loopback() } else { Destinations::public() };
    let mut config = Config::local(&arguments.data, listen);
    config.store = stores::named(arguments.store.as_ref())?;
    config.destinations = error_text::allowing(base, &arguments.allow.allow)?;
    config.require_tls = arguments.require_tls;
    config.require_tls_of.clone_from(&arguments.require_tls_of);
    config.name_servers.clone_from(&arguments.name_servers);
    config.hosts.extend(arguments.names.iter().cloned());
    let Relayed { resolve, extra_authorities, tls_ports } = Relayed::read(&arguments.outbound)?;
    config.resolve = resolve;
    config.extra_authorities = extra_authorities;
    config.tls_ports = tls_ports;
    for limit in &arguments.limits {
        config.limits.set(limit).map_err(|error| {
            Failure::bad_input(format!("--limit {limit}: {error}"))
                .hint("see which there are with: openvisor cloud --help")
        })?;
    }
    let metrics = arguments.metrics.as_deref().map(|text| address::to_listen("--metrics", text));
    config.metrics = metrics.transpose()?;
    Ok(config)
}

/// Tells what happens, if anyone wants to know: watching costs a little for every message.
async fn show(events: Option<Receiver<Event>>, timeline: &Timeline) {
    let Some(mut events) = events else { return std::future::pending().await };
    loop {
        match events.recv().await {
            Ok(event) => {
                let (source, text) = event_output::of_cloud(&event.kind);
                timeline.say(source, format!("{}: {text}", short(event.device.as_str())));
            }
            Err(RecvError::Lagged(count)) => timeline.say(Source::Cloud, event_output::missed(count)),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Enough of an id to tell devices apart.
fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
