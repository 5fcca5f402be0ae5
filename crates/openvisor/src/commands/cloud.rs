//! `openvisor cloud`: the cloud.

mod arguments;
mod limits_help;
mod management_api;
mod warnings;

use std::net::SocketAddr;

use ::cloud::Config;
use ::cloud::destinations::Destinations;
use ::cloud::events::Event as DeviceEvent;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::host::outbound::Outbound;
use crate::host::signals::StopSignal;
use crate::host::{address, process};
use crate::operate::store_url;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::logging::{self, Level};
use crate::output::timeline::{Format, Source, Timeline};
pub(super) use arguments::CloudArguments;
use management_api::ManagementApi;

/// Runs until a signal, or until a task of the cloud fails.
pub(super) async fn run(arguments: CloudArguments) -> Result<(), Failure> {
    process::protect_memory();
    let listen = address::parse_listen_address("--listen", &arguments.listen)?;
    let config = cloud_config(&arguments, listen)?;
    let level = arguments.log_level.unwrap_or(if arguments.quiet { Level::Info } else { Level::Warn });
    logging::start(level, arguments.log_format);
    process::warn_if_root();
    warnings::warn(&config, !arguments.names.is_empty());
    let hosts = config.hosts.clone();
    let destinations = Event::destinations(&config.destinations);
    let timeline = Timeline::on_stdout(Format::from_flag(arguments.json));
    let stop = StopSignal::listen()?;
    let is_first = !warnings::is_complete(&arguments.data);
    let cloud = ::cloud::Cloud::start(config).await.inspect_err(|_| {
        if is_first {
            warnings::warn_of_new_folder(&arguments.data);
        }
    })?;
    let events = (!arguments.quiet).then(|| cloud.events());
    timeline.add(&Event::CloudListening { address: cloud.address().to_string() });
    timeline.add(&destinations);
    timeline.add(&Event::CloudHosts { hosts: hosts.clone() });
    if !arguments.proxy_protocol.is_empty() {
        let ranges = arguments.proxy_protocol.iter().map(ToString::to_string).collect();
        timeline.add(&Event::ProxyHeadersRequired { ranges });
    }
    if let Some(lowered) = Event::limits_lowered(cloud.lowered_limits()) {
        timeline.add(&lowered);
    }
    if let Some(address) = cloud.metrics_address() {
        timeline.add(&Event::MetricsListening { address: address.to_string() });
    }
    let api = match ManagementApi::start(&arguments, &cloud, &hosts).await {
        Ok(api) => api,
        Err(failure) => {
            cloud.stop().await;
            return Err(failure);
        }
    };
    if let Some(api) = &api {
        timeline.add(&Event::ApiListening { url: api.url() });
    }
    let failed = tokio::select! {
        () = stop.received() => None,
        () = show(events, &timeline) => None,
        task = cloud.failed() => Some(task),
    };
    timeline.add(&Event::Stopping { source: Source::Cloud });
    if let Some(api) = api {
        api.stop().await;
    }
    cloud.stop().await;
    logging::report_suppressed();
    match failed {
        None => Ok(()),
        Some(task) => Err(Failure::failed(format!("the cloud's background task `{task}` panicked"))
            .hint("see its log, and restart the cloud")),
    }
}

fn cloud_config(arguments: &CloudArguments, listen: SocketAddr) -> Result<Config, Failure> {
    let base = if arguments.allow_loopback { Destinations::with_loopback() } else { Destinations::public() };
    let mut config = Config::local(&arguments.data, listen);
    config.store = store_url::from_option_or_environment(arguments.store.as_ref())?;
    Outbound::read(base, &arguments.allow.allow, &arguments.outbound)?.apply(&mut config);
    config.proxies.clone_from(&arguments.proxy_protocol);
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
async fn show(events: Option<Receiver<DeviceEvent>>, timeline: &Timeline) {
    let Some(mut events) = events else { return std::future::pending().await };
    loop {
        match events.recv().await {
            Ok(event) => timeline.add_of(event.device.as_str(), &(&event.kind).into()),
            Err(RecvError::Lagged(count)) => {
                timeline.add(&Event::EventsDropped { count, source: Source::Cloud });
            }
            Err(RecvError::Closed) => return,
        }
    }
}
