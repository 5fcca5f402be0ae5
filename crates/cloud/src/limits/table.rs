//! The bounds by name, for the operator's command line.

use std::time::Duration;

use super::Limits;

/// A bound that cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not `name=value`.
    #[error("`{0}` is not NAME=VALUE")]
    Form(String),
    /// There is no such bound.
    #[error("there is no limit `{0}`")]
    Name(String),
    /// The value is no whole number, or too large.
    #[error("{name}: `{value}` is not a whole number up to {most}")]
    Value {
        /// The bound.
        name: &'static str,
        /// What was given.
        value: String,
        /// The largest it may be.
        most: u64,
    },
    /// A bound of nothing would be no service.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
}

/// A bound as the operator sees it.
pub struct LimitSpec {
    /// Its name.
    pub name: &'static str,
    /// What it bounds, and in which unit.
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
    /// Whole seconds; 0 is none.
    Pause(&'a mut Duration),
}

/// Longest time a bound may be, seconds: ten years.
const MOST_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Longest pause, seconds.
const MOST_PAUSE: u64 = 60;

impl Field<'_> {
    fn value(&self) -> u64 {
        match self {
            Field::Count(count) => **count as u64,
            Field::Rate(number) | Field::Number(number) | Field::Keepalive(number) => u64::from(**number),
            Field::Seconds(time) | Field::Pause(time) => time.as_secs(),
        }
    }

    fn most(&self) -> u64 {
        match self {
            Field::Count(_) | Field::Rate(_) | Field::Number(_) => u64::from(u32::MAX),
            Field::Keepalive(_) => link::limits::MAX_KEEPALIVE.as_secs(),
            Field::Seconds(_) => MOST_SECONDS,
            // An application waits a minute for an answer, TCP, TLS and CONNACK included.
            Field::Pause(_) => MOST_PAUSE,
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

macro_rules! named {
    ($($kind:ident $name:ident: $what:literal,)*) => {
        /// Every bound an operator may set.
        pub const LIMITS: &[LimitSpec] = &[
            $(LimitSpec { name: stringify!($name), what: $what, field: |limits| Field::$kind(&mut limits.$name) },)*
        ];
    };
}

named! {
    Count connections: "connections at a time",
    Count connections_per_source: "of these from one address (IPv6: one /64)",
    Count connections_per_account: "devices connected at a time, of one account",
    Count handshakes: "TLS handshakes under way",
    Count handshakes_per_source: "of these from one address; more only once they are old",
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
    Rate channels_a_second: "channels one device opens a second, and their requests",
    Rate channels_a_second_per_account: "the same for one account",
    Count name_lookups: "host names being looked up at a time, two sockets each",
    Rate broker_packets_a_second: "packets a second from a broker that give no message",
    Rate broker_bytes_a_second: "the same in bytes",
    Count memory: "MiB held for all devices: messages, requests, sockets",
    Count memory_per_account: "the same for one account",
    Number messages_a_second: "messages a second to one channel, else it is ended",
    Rate log_lines_a_second: "log lines a second kept of one device",
    Number log_lines: "log lines kept of one device",
    Seconds log_age: "seconds a log line is kept",
    Seconds authorization_timeout: "seconds devices stay while the database cannot be read",
    Seconds drain_timeout: "seconds what is in flight has when the cloud stops",
    Seconds farewell_timeout: "seconds a device has to take the last words",
    Seconds resolve_timeout: "seconds a name look-up may take",
    Seconds connect_timeout: "seconds a broker or server has for TCP and TLS",
    Pause reconnect_delay: "seconds at most between connects that keep failing",
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
        let number = value.parse().ok().filter(|number| *number <= field.most());
        let number: u64 = number.ok_or_else(|| LimitError::Value {
            name: named.name,
            value: value.to_owned(),
            most: field.most(),
        })?;
        if number == 0 && !field.may_be_zero() {
            return Err(LimitError::Zero(named.name));
        }
        field.set(number);
        Ok(())
    }
}

impl LimitSpec {
    /// The value it has unless the operator says otherwise.
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
    fn a_value_that_cannot_be_is_refused_and_said() {
        let refused = |text: &str| Limits::default().set(text).expect_err("refused").to_string();
        assert_eq!(refused("connections"), "`connections` is not NAME=VALUE");
        assert_eq!(refused("none=1"), "there is no limit `none`");
        assert_eq!(refused("connections=0"), "connections must be at least 1");
        for value in ["", "-1", "1.5", "4294967296"] {
            let said = format!("connections: `{value}` is not a whole number up to 4294967295");
            assert_eq!(refused(&format!("connections={value}")), said);
        }
        Limits::default().set("link_bytes_a_second=0").expect("no limit");
        // The link carries no longer one: it would be shortened without a word.
        assert_eq!(refused("keepalive=7200"), "keepalive: `7200` is not a whole number up to 3600");
        Limits::default().set("keepalive=3600").expect("the longest");
    }
}
