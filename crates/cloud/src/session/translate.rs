//! The core's words for things and the server's, side by side.

use link::connection::ByeReason;
use relay::{ConnectionId, Input, LookupKey, Settings};

use super::broker::Happened;
use crate::clock::wall_micros;
use crate::connector::{Target, TlsTarget};
use crate::registry::Ending;
use crate::shared::Shared;
use crate::store::{Value, Wanted};

pub(super) fn settings(shared: &Shared, logging: bool) -> Settings {
    Settings {
        wall_micros: wall_micros(),
        keepalive: shared.limits.keepalive,
        logging,
        require_tls: shared.require_tls,
        messages_a_second: shared.limits.messages_a_second,
        notices: shared.is_watched(),
    }
}

pub(super) fn reason(ending: Ending) -> ByeReason {
    match ending {
        Ending::Replaced => ByeReason::Replaced,
        Ending::ShuttingDown => ByeReason::ShuttingDown,
        Ending::Revoked => ByeReason::Revoked,
        Ending::Internal => ByeReason::Internal,
    }
}

pub(super) fn target(target: relay::Target) -> Target {
    let tls =
        target.tls.map(|tls| TlsTarget { authorities: tls.authorities, chain: tls.chain, key: tls.key });
    Target { host: target.host, port: target.port, tls }
}

pub(super) fn happened(connection: ConnectionId, happened: Happened<'_>) -> Input<'_> {
    match happened {
        Happened::Opened => Input::ConnectionOpened { connection },
        Happened::Failed(error) => Input::ConnectionFailed { connection, cause: error.into() },
        Happened::Received(bytes) => Input::ConnectionReceived { connection, bytes },
        Happened::Written(bytes) => Input::ConnectionWritten { connection, bytes },
        Happened::Closed { clean } => Input::ConnectionClosed { connection, clean },
    }
}

pub(super) fn wanted(key: LookupKey) -> Wanted {
    Wanted { device_scope: key.device, secret: key.secret, key: key.key }
}

pub(super) fn values(values: Vec<Value>) -> Vec<relay::Value> {
    values.into_iter().map(value).collect()
}

fn value(value: Value) -> relay::Value {
    match value {
        Value::Found(bytes) => relay::Value::Found(bytes),
        // The kernel lets no such key through, so it is a key nobody could have set.
        Value::Missing | Value::InvalidKey => relay::Value::NotFound,
        Value::Unavailable => relay::Value::Failed,
    }
}
