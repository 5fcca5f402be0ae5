//! The core's words for things and the server's, side by side.

use link::connection::ByeReason;
use relay::{ConnectionId, HttpError, HttpOutcome, Input, LookupKey, Settings};
use sansio::{Duration, WallTime};

use super::broker::BrokerEvent;
use crate::clock::wall_micros;
use crate::connector::{Target, TlsTarget};
use crate::events::Disconnection;
use crate::registry::EndReason;
use crate::shared::Shared;
use crate::store::{ItemKey, Value};

pub(super) fn settings(shared: &Shared, require_tls: bool, logging: bool) -> Settings {
    Settings {
        wall_time: WallTime::from_micros(wall_micros()),
        keepalive: Duration::from_secs(u64::from(shared.limits.keepalive)),
        logging,
        require_tls: require_tls || shared.require_tls,
        tls_ports: shared.tls_ports,
        reconnect_delay: shared.limits.reconnect_delay.into(),
        messages_per_second: shared.limits.messages_a_second,
        broker_packets_per_second: shared.limits.broker_packets_a_second,
        broker_bytes_per_second: shared.limits.broker_bytes_a_second,
        notices: shared.is_watched(),
    }
}

pub(super) fn reason(ending: EndReason) -> ByeReason {
    match ending {
        EndReason::Replaced => ByeReason::Replaced,
        EndReason::ShuttingDown => ByeReason::ShuttingDown,
        EndReason::Revoked => ByeReason::Revoked,
        EndReason::Internal => ByeReason::Internal,
        EndReason::TooMany | EndReason::TooOften | EndReason::Overloaded => ByeReason::Overloaded,
    }
}

/// Why a device was refused, as a label of a metric.
pub(super) fn refused(ending: EndReason) -> &'static str {
    match ending {
        EndReason::Revoked => "revoked",
        EndReason::Internal => "store",
        EndReason::TooMany => "connections_per_account",
        EndReason::TooOften => "connections_a_second_per_device",
        EndReason::Overloaded => "memory",
        EndReason::Replaced => "replaced",
        EndReason::ShuttingDown => "shutting_down",
    }
}

/// Why a session has ended, as a label of a metric.
pub(super) fn ended(reason: &Disconnection) -> &'static str {
    match reason {
        Disconnection::Lost => "lost",
        Disconnection::TimedOut => "timed_out",
        Disconnection::Bye(ByeReason::Replaced) => "replaced",
        Disconnection::Bye(ByeReason::ShuttingDown) => "shutting_down",
        Disconnection::Bye(ByeReason::Revoked) => "revoked",
        Disconnection::Bye(ByeReason::Overloaded) => "overloaded",
        Disconnection::Bye(ByeReason::Internal) => "internal",
        Disconnection::Bye(ByeReason::Violation) => "violation",
        Disconnection::Bye(ByeReason::Keepalive) => "keepalive",
        Disconnection::Bye(_) => "bye",
    }
}

/// What became of an HTTP request, as a label of a metric.
pub(super) fn http_result(outcome: &HttpOutcome) -> &'static str {
    match outcome {
        HttpOutcome::Response(response) => match response.status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        },
        HttpOutcome::TooLarge => HttpError::TooLarge.label(),
        HttpOutcome::Failed(failure) => failure.label(),
    }
}

/// What became of a configuration item, as a label of a metric.
pub(super) fn fetched(value: &Value) -> &'static str {
    match value {
        Value::Found(_) => "found",
        Value::Missing => "missing",
        Value::InvalidKey => "invalid",
        Value::Unavailable => "failed",
    }
}

pub(super) fn target(target: relay::Target) -> Target {
    let tls =
        target.tls.map(|tls| TlsTarget { authorities: tls.authorities, chain: tls.chain, key: tls.key });
    Target { host: target.host, port: target.port, tls }
}

/// Bytes of what a connection is to be made with.
pub(super) fn target_bytes(target: &Target) -> usize {
    let list = |list: &[Vec<u8>]| list.iter().map(Vec::len).sum::<usize>();
    let tls = target.tls.as_ref();
    target.host.len() + tls.map_or(0, |tls| list(&tls.authorities) + list(&tls.chain) + tls.key.len())
}

pub(super) fn event(connection: ConnectionId, event: BrokerEvent<'_>) -> Input<'_> {
    match event {
        BrokerEvent::Opened => Input::ConnectionOpened { connection },
        BrokerEvent::Failed(error) => Input::ConnectionFailed { connection, error },
        BrokerEvent::Received(bytes) => Input::ConnectionReceived { connection, bytes },
        BrokerEvent::Written(bytes) => Input::ConnectionWritten { connection, bytes },
        BrokerEvent::Closed(end) => Input::ConnectionClosed { connection, end },
    }
}

pub(super) fn wanted(key: LookupKey) -> ItemKey {
    ItemKey { device_scope: key.device_scope, secret: key.secret, key: key.key }
}

pub(super) fn values(values: Vec<Value>) -> Vec<relay::Value> {
    values.into_iter().map(value).collect()
}

fn value(value: Value) -> relay::Value {
    match value {
        Value::Found(bytes) => relay::Value::Found(bytes),
        // The kernel lets no such key through, so it is a key nobody could have set.
        Value::Missing | Value::InvalidKey => relay::Value::NotFound,
        Value::Unavailable => relay::Value::Unavailable,
    }
}
