//! The limits by name, for the command line.

use std::time::Duration;

use super::Limits;

/// Why a limit cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not `name=value`.
    #[error("`{0}` is not NAME=VALUE")]
    Form(String),
    /// There is no such limit.
    #[error("there is no limit `{0}`")]
    Name(String),
    /// The value is not a whole number, or too large.
    #[error("{name}: `{value}` is not a whole number up to {max}")]
    Value {
        /// The limit.
        name: &'static str,
        /// The given value.
        value: String,
        /// The largest value.
        max: u64,
    },
    /// With a limit of zero there would be no service.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
}

/// A limit as the operator sees it.
pub struct LimitSpec {
    /// Its name.
    pub name: &'static str,
    /// What it limits, and in which unit.
    pub what: &'static str,
    field: fn(&mut Limits) -> Field<'_>,
}

enum Field<'a> {
    /// At least 1.
    Count(&'a mut usize),
    /// Units a second; 0 is no limit.
    Rate(&'a mut u32),
    /// A number of at least 1.
    Number(&'a mut u32),
    /// Whole seconds of a keepalive interval, 1 to the link's longest (link.md, section 4).
    Keepalive(&'a mut u32),
    /// Whole seconds, at least 1.
    Seconds(&'a mut Duration),
    /// Whole seconds of a delay; 0 is none.
    Pause(&'a mut Duration),
}

/// Largest number of seconds of a limit: ten years.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Longest delay, in seconds.
const MAX_PAUSE: u64 = 60;

impl Field<'_> {
    fn value(&self) -> u64 {
        match self {
            Field::Count(count) => **count as u64,
            Field::Rate(number) | Field::Number(number) | Field::Keepalive(number) => u64::from(**number),
            Field::Seconds(time) | Field::Pause(time) => time.as_secs(),
        }
    }

    fn max(&self) -> u64 {
        match self {
            Field::Count(_) | Field::Rate(_) | Field::Number(_) => u64::from(u32::MAX),
            Field::Keepalive(_) => link::limits::MAX_KEEPALIVE.as_secs(),
            Field::Seconds(_) => MAX_SECONDS,
            // An application waits a minute for an answer, TCP, TLS and CONNACK included.
            Field::Pause(_) => MAX_PAUSE,
        }
    }

    fn may_be_zero(&self) -> bool {
        matches!(self, Field::Rate(_) | Field::Pause(_))
    }

    fn set(self, value: u64) {
        match self {
            Field::Count(count) => *count = value as usize,
            Field::Rate(number) | Field::Number(number) | Field::Keepalive(number) => *number = value as u32,
            Field::Seconds(time) | Field::Pause(time) => *time = Duration::from_secs(value),
        }
    }
}

macro_rules! limits {
    ($($kind:ident $name:ident: $what:literal,)*) => {
        /// Every limit an operator may set.
        pub const LIMITS: &[LimitSpec] = &[
            $(LimitSpec { name: stringify!($name), what: $what, field: |limits| Field::$kind(&mut limits.$name) },)*
        ];
    };
}

limits! {
    Count connections: "connections at a time",
    Count connections_per_source: "of these from one address (IPv6: one /64)",
    Count connections_per_account: "devices connected at a time, of one account",
    Count handshakes: "TLS handshakes under way",
    Count handshakes_per_source: "of these from one address; one more drops the oldest",
    Rate handshakes_a_second_per_source: "new connections a second from one address",
    Rate connections_a_second_per_device: "connections a second of one device",
    Seconds handshake_timeout: "seconds a TLS handshake may take",
    Keepalive keepalive: "seconds a device may be silent, at most 3600",
    Count outbound_connections: "connections to brokers and servers at a time",
    Count outbound_connections_per_account: "of these for the devices of one account",
    Rate link_bytes_a_second: "bytes a second from, and to, one device",
    Rate link_bytes_a_second_per_account: "the same for one account",
    Rate requests_a_second: "publishes and opened channels a second of one device",
    Rate requests_a_second_per_account: "the same for one account",
    Rate channels_a_second: "channels and requests one device starts a second",
    Rate channels_a_second_per_account: "the same for one account",
    Count name_lookups: "name look-ups at a time, two sockets each",
    Rate broker_packets_a_second: "packets a second from a broker that contain no message",
    Rate broker_bytes_a_second: "the same in bytes",
    Count memory: "MiB for all devices: messages, requests, sockets",
    Count memory_per_account: "the same for one account",
    Number messages_a_second: "messages a second to a channel; more closes it",
    Rate log_lines_a_second: "log lines a second kept of one device",
    Number log_lines: "log lines kept of one device",
    Seconds log_age: "seconds a log line is kept",
    Seconds authorization_timeout: "seconds devices stay connected without the database",
    Seconds drain_timeout: "seconds for requests in flight when the cloud stops",
    Seconds farewell_timeout: "seconds for closing a device's connection in order",
    Seconds resolve_timeout: "seconds a name look-up may take",
    Seconds connect_timeout: "seconds a broker or server has for TCP and TLS",
    Pause reconnect_delay: "most seconds between connects that keep failing",
}

impl Limits {
    /// Sets one of [`LIMITS`] by `name=value`.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let (name, value) = text.split_once('=').ok_or_else(|| LimitError::Form(text.to_owned()))?;
        let named = LIMITS.iter().find(|named| named.name == name);
        let named = named.ok_or_else(|| LimitError::Name(name.to_owned()))?;
        let field = (named.field)(self);
        let number = value.parse().ok().filter(|number| *number <= field.max());
        let number: u64 = number.ok_or_else(|| LimitError::Value {
            name: named.name,
            value: value.to_owned(),
            max: field.max(),
        })?;
        if number == 0 && !field.may_be_zero() {
            return Err(LimitError::Zero(named.name));
        }
        field.set(number);
        Ok(())
    }
}

impl LimitSpec {
    /// Its default.
    pub fn default_value(&self) -> u64 {
        (self.field)(&mut Limits::default()).value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D122.
    #[test]
    fn every_limit_can_be_set_by_its_name_and_nothing_else_changes() {
        for named in LIMITS {
            let mut limits = Limits::default();
            let value = named.default_value() + 1;
            limits.set(&format!("{}={value}", named.name)).expect("set");
            assert_eq!((named.field)(&mut limits).value(), value, "{}", named.name);
            limits.set(&format!("{}={}", named.name, named.default_value())).expect("set back");
            assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
        }
    }

    #[test]
    fn an_invalid_value_is_refused_with_its_reason() {
        let refused = |text: &str| Limits::default().set(text).expect_err("refused").to_string();
        assert_eq!(refused("connections"), "`connections` is not NAME=VALUE");
        assert_eq!(refused("none=1"), "there is no limit `none`");
        assert_eq!(refused("connections=0"), "connections must be at least 1");
        for value in ["", "-1", "1.5", "4294967296"] {
            let said = format!("connections: `{value}` is not a whole number up to 4294967295");
            assert_eq!(refused(&format!("connections={value}")), said);
        }
        Limits::default().set("link_bytes_a_second=0").expect("no limit");
        // The link cannot carry a longer one; it would be shortened silently.
        assert_eq!(refused("keepalive=7200"), "keepalive: `7200` is not a whole number up to 3600");
        Limits::default().set("keepalive=3600").expect("the longest");
    }
}
