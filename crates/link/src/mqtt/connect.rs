//! `CONNECT` (link.md §5.1).

use core::fmt;

use super::{QOS, RETAIN, bit};
use crate::bytes::{Reader, Strings, Writer};
use crate::violation::{self, Violation};

/// The first fields of a `CONNECT`; strings follow as §5.1 says. Flags say which of them there are, so that an absent
/// one costs no byte.
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the frame, independent of the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectHead {
    /// MQTT 5, else 3.1.1: the cloud speaks the version that the application selected (M35).
    pub version5: bool,
    /// Start without an older session; otherwise the broker resumes what it stored for the client (M32, M33).
    pub clean_start: bool,
    /// A user name and a password follow, unless the application selected no authentication (M44).
    pub credentials: bool,
    /// A will follows, unless its pointer was null (M39).
    pub will: bool,
    /// TLS credentials follow; without them the broker's connection is plain TCP (D42).
    pub tls: bool,
    /// The request has a value that is not relayed. The kernel accepts it all the same, because it is the cloud that
    /// knows MQTT and answers *invalid parameters* (D46).
    pub out_of_range: bool,
    /// The broker's port, passed through (M36); it also decides on TLS where there are no credentials (D196).
    pub port: u16,
    /// MQTT's keepalive in seconds, which the cloud maintains with the broker so that the device can sleep (M36, D54).
    pub keepalive: u32,
}

impl ConnectHead {
    const VERSION5: u8 = 0x01;
    const CLEAN_START: u8 = 0x02;
    const CREDENTIALS: u8 = 0x04;
    const WILL: u8 = 0x08;
    const TLS: u8 = 0x10;
    const OUT_OF_RANGE: u8 = 0x20;
    const RESERVED: u8 = 0xc0;

    /// Bytes the longest head can have.
    pub const MAX: usize = 1 + 3 + 5;

    /// Writes the head and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(bit(self.version5, Self::VERSION5)
            | bit(self.clean_start, Self::CLEAN_START)
            | bit(self.credentials, Self::CREDENTIALS)
            | bit(self.will, Self::WILL)
            | bit(self.tls, Self::TLS)
            | bit(self.out_of_range, Self::OUT_OF_RANGE));
        writer.varint32(u32::from(self.port));
        writer.varint32(self.keepalive);
        writer.written()
    }

    /// Bytes the head has.
    pub fn encoded_len(&self) -> usize {
        self.encode(&mut [0; Self::MAX])
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let flags = reader.u8()?;
        if flags & Self::RESERVED != 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            version5: flags & Self::VERSION5 != 0,
            clean_start: flags & Self::CLEAN_START != 0,
            credentials: flags & Self::CREDENTIALS != 0,
            will: flags & Self::WILL != 0,
            tls: flags & Self::TLS != 0,
            out_of_range: flags & Self::OUT_OF_RANGE != 0,
            port: u16::try_from(reader.varint32()?).map_err(|_| violation::VALUE_OUT_OF_RANGE)?,
            keepalive: reader.varint32()?,
        })
    }
}

/// The byte before a will's topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WillOptions {
    /// QoS 1, else 0: no other QoS is relayed (M40).
    pub qos1: bool,
    /// The retain flag: whether the will becomes the topic's retained message (M41).
    pub retain: bool,
    /// The requested QoS is not relayed; the cloud answers it as invalid, because the kernel does not judge MQTT (D46).
    pub qos_out_of_range: bool,
}

impl WillOptions {
    const QOS_OUT_OF_RANGE: u8 = 0x04;

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        bit(self.qos1, QOS) | bit(self.retain, RETAIN) | bit(self.qos_out_of_range, Self::QOS_OUT_OF_RANGE)
    }

    /// The options of a byte.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        if code & !(QOS | RETAIN | Self::QOS_OUT_OF_RANGE) != 0 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            qos1: code & QOS != 0,
            retain: code & RETAIN != 0,
            qos_out_of_range: code & Self::QOS_OUT_OF_RANGE != 0,
        })
    }
}

/// A user name and its password: sized strings, so that they may contain any byte (M45).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user name.
    pub username: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

/// A will, which the broker publishes if the connection is lost (M37, M38).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// Its QoS and retain flag.
    pub options: WillOptions,
    /// Its topic; not yet checked.
    pub topic: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

/// TLS credentials, as the application gave them: the kernel reads no certificate (M47 to M50).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Certificates of authorities, DER. None stands for the public ones, by which brokers on the internet usually have
    /// their certificates (D42).
    pub authorities: Strings<'a>,
    /// The client's own chain, DER.
    pub chain: Strings<'a>,
    /// The client's key, PKCS#8 DER; empty for none.
    pub key: &'a [u8],
}

// No password, key or will may get into a log (D137), so these types show lengths only.

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Credentials {{ username: <{} bytes>, password: <{} bytes> }}",
            self.username.len(),
            self.password.len()
        )
    }
}

impl fmt::Debug for Will<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, topic, payload } = self;
        write!(
            f,
            "Will {{ {options:?}, topic: <{} bytes>, payload: <{} bytes> }}",
            topic.len(),
            payload.len()
        )
    }
}

impl fmt::Debug for Tls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

/// A whole `CONNECT`, as the cloud reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The first fields.
    pub head: ConnectHead,
    /// The broker's name or address.
    pub host: &'a [u8],
    /// The client id; it may be empty, which the broker judges and not the cloud (M31, D41).
    pub client_id: &'a [u8],
    /// With `head.credentials`.
    pub credentials: Option<Credentials<'a>>,
    /// With `head.will`.
    pub will: Option<Will<'a>>,
    /// With `head.tls`.
    pub tls: Option<Tls<'a>>,
}

impl<'a> Connect<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let head = ConnectHead::decode(&mut reader)?;
        let host = reader.str()?;
        let client_id = reader.str()?;
        let credentials = head.credentials.then(|| Self::credentials(&mut reader)).transpose()?;
        let will = head.will.then(|| Self::will(&mut reader)).transpose()?;
        let tls = head.tls.then(|| Self::tls(&mut reader)).transpose()?;
        reader.end()?;
        Ok(Self { head, host, client_id, credentials, will, tls })
    }

    fn credentials(reader: &mut Reader<'a>) -> Result<Credentials<'a>, Violation> {
        Ok(Credentials { username: reader.str()?, password: reader.str()? })
    }

    fn will(reader: &mut Reader<'a>) -> Result<Will<'a>, Violation> {
        let options = WillOptions::from_code(reader.u8()?)?;
        Ok(Will { options, topic: reader.str()?, payload: reader.str()? })
    }

    fn tls(reader: &mut Reader<'a>) -> Result<Tls<'a>, Violation> {
        let count = reader.u8()?;
        let authorities = Strings::decode(reader, count)?;
        let count = reader.u8()?;
        let chain = Strings::decode(reader, count)?;
        Ok(Tls { authorities, chain, key: reader.str()? })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// Shows D137.
    #[test]
    fn debug_output_contains_no_credentials() {
        let credentials = Credentials { username: b"token", password: b"secret" };
        let will = Will { options: WillOptions::default(), topic: b"token", payload: b"secret" };
        let shown = std::format!("{credentials:?} {will:?}");
        assert_eq!(shown.matches("6 bytes").count(), 2, "{shown}");
        for hidden in [&b"token"[..], b"secret"] {
            assert!(!shown.contains(&std::format!("{hidden:?}")), "{shown}");
        }
    }
}
