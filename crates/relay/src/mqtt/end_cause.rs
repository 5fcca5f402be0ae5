//! Why the connection to a broker ended, and how that is reported to the application and on timelines.

use alloc::string::{String, ToString};

use link::channel::ClosureReason;
use link::mqtt::{Outcome, RequestState};

use crate::protocol::ConnectError;

/// Why the connection to the broker ended.
#[derive(Clone, Debug)]
pub(super) enum EndCause {
    /// More messages than the channel may receive; the application would never have caught up (D51).
    Flooded,
    /// The broker sent DISCONNECT with this reason code.
    Disconnected(u8),
    /// The broker closed the connection in order.
    Closed,
    /// The connection was reset, or its TLS failed.
    Lost(ConnectError),
    /// The broker broke the protocol, or fell silent.
    Broken(mqtt::Error),
}

impl EndCause {
    /// The state in the responses to requests in flight (M12).
    pub(super) fn state(&self) -> RequestState {
        if let Self::Flooded = self { RequestState::CircuitBreaker } else { RequestState::NotConnected }
    }

    /// The disconnect response: the code is the one that was on the wire, from either side (D94, D95).
    pub(super) fn outcome(&self, is_version5: bool) -> Outcome {
        let code = match self {
            Self::Flooded => return Outcome { state: self.state(), reason: 0 },
            Self::Disconnected(code) => *code,
            // The code in the DISCONNECT to the broker; 3.1.1 has none.
            Self::Broken(mqtt::Error::Protocol(error)) if is_version5 => error.reason_code,
            _ => 0,
        };
        Outcome { state: RequestState::Completed, reason: u32::from(code) }
    }

    /// The reason for which the channel is closed (D94).
    pub(super) fn closure(&self) -> ClosureReason {
        match self {
            Self::Disconnected(_) | Self::Closed => ClosureReason::ClosedByServer,
            Self::Lost(_) => ClosureReason::ResetByServer,
            Self::Flooded | Self::Broken(mqtt::Error::Protocol(_)) => ClosureReason::ConnectionTerminated,
            Self::Broken(_) => ClosureReason::UnexpectedlyTerminated,
        }
    }

    /// The same before the broker accepted the connection: then it is the connect that failed, and its response needs a
    /// cause of the one list for these (D190).
    pub(super) fn connect_error(self, is_version5: bool) -> ConnectError {
        match self {
            Self::Disconnected(code) => ConnectError::MqttRefused { version5: is_version5, code },
            Self::Lost(ConnectError::Socket) => ConnectError::MqttLost,
            Self::Lost(cause) => cause,
            Self::Broken(mqtt::Error::Protocol(error)) => ConnectError::MqttProtocol(error),
            Self::Broken(mqtt::Error::ConnectTimeout | mqtt::Error::KeepAliveTimeout) => {
                ConnectError::MqttTimedOut
            }
            Self::Closed | Self::Flooded | Self::Broken(mqtt::Error::Closed) => ConnectError::MqttClosed,
        }
    }

    /// For timelines.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Flooded => "too many messages at once".into(),
            Self::Disconnected(0) | Self::Closed => "the broker closed the connection".into(),
            Self::Disconnected(code) => {
                let name = mqtt::reason::name(*code).unwrap_or("unknown");
                alloc::format!("the broker disconnected, reason code {code:#04x} ({name})")
            }
            Self::Lost(cause) => cause.to_string(),
            Self::Broken(error) => error.to_string(),
        }
    }
}

/// The end of a channel whose broker has ended the connection. The disconnect response follows everything the broker
/// sent before, and the end of the channel follows the response (D50).
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    /// The disconnect response.
    pub outcome: Outcome,
    /// The reason for which the channel is closed.
    pub reason: ClosureReason,
    /// Whether the disconnect response has been queued.
    pub has_responded: bool,
}
