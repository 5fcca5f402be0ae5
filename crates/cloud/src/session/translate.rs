//! Settings and reasons for the relay, and labels of metrics for its results.

use link::connection::ByeReason;
use relay::{ConnectionId, HttpError, HttpOutcome, Input, Settings, Value};
use sansio::{Duration, WallTime};

use super::broker::BrokerEvent;
use crate::clock::wall_micros;
use crate::registry::EndReason;
use crate::shared::Shared;

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
        notices: shared.has_subscribers(),
    }
}

/// The reason in the `BYE` to the device. One code stands for every limit that was exceeded.
pub(super) fn bye_reason(reason: EndReason) -> ByeReason {
    match reason {
        EndReason::Replaced => ByeReason::Replaced,
        EndReason::ShuttingDown => ByeReason::ShuttingDown,
        EndReason::Revoked => ByeReason::Revoked,
        EndReason::Internal => ByeReason::Internal,
        EndReason::TooMany | EndReason::TooOften | EndReason::Overloaded => ByeReason::Overloaded,
    }
}

/// The result of an HTTP request, as a label of a metric.
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

/// The result for a configuration item, as a label of a metric.
pub(super) fn fetched(value: &Value) -> &'static str {
    match value {
        Value::Found(_) => "found",
        Value::NotFound => "missing",
        Value::InvalidKey => "invalid",
        Value::Unavailable => "failed",
    }
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
