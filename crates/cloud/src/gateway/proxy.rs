//! The PROXY protocol: a load balancer that passes TCP through puts a header before the first byte, with the address of
//! the client (D356; <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Both versions are read; extensions
//! (TLVs) are skipped.
//!
//! The header is read to its last byte and no further, because what follows is the client's handshake. Parsing is the
//! library's; what is done here is finding the end without trusting the sender.

use std::io;
use std::net::{IpAddr, SocketAddr};

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::destinations::Range;
use crate::limits::PROXY_HEADER;

/// First byte of a header of version 1, a line of text.
const VERSION_1: u8 = b'P';
/// Start of a header of version 1.
const VERSION_1_PREFIX: &[u8] = b"PROXY ";
/// Longest header of version 1, its line end included.
const VERSION_1_LENGTH: usize = 107;
/// First byte of a header of version 2.
const VERSION_2: u8 = b'\r';
/// The part of a header of version 2 that every one has; its last two bytes are the length of the rest.
const VERSION_2_FIXED: usize = 16;
/// Where that part has version and command.
const COMMAND: usize = 12;
/// Version 2, command LOCAL.
const LOCAL: u8 = 0x20;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client's, at this address.
    Client(SocketAddr),
    /// That of a client without an address, such as one at a Unix socket.
    Unknown,
    /// The load balancer's own, for a health check.
    Local,
}

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The connection ended before its first byte, as that of a health check of TCP does.
    #[error("the connection was closed")]
    Closed,
    /// The connection ended within the header.
    #[error("it is incomplete: {0}")]
    Incomplete(io::Error),
    /// The first bytes are no header, or a header of a connection that is not TCP.
    #[error("the first bytes are something else")]
    Invalid,
    /// The header is longer than [`PROXY_HEADER`].
    #[error("it has {0} bytes, and at most {max} are accepted", max = PROXY_HEADER)]
    TooLong(usize),
}

/// Whether the ranges contain an address. An IPv4 address may have the form of an IPv6 one.
pub(super) fn contain(ranges: &[Range], address: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(address.to_canonical()))
}

/// Reads the header that a connection must begin with. The caller bounds the time.
pub(crate) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Origin, HeaderError> {
    let first = stream.read_u8().await.map_err(|_| HeaderError::Closed)?;
    let header = match first {
        VERSION_1 => read_version_1(stream).await?,
        VERSION_2 => read_version_2(stream).await?,
        _ => return Err(HeaderError::Invalid),
    };
    // Whatever else a LOCAL header has must be ignored.
    if header[0] == VERSION_2 && header[COMMAND] == LOCAL {
        return Ok(Origin::Local);
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (parsed, length) = ProxyHeader::parse(&header, config).map_err(|_| HeaderError::Invalid)?;
    match parsed.proxied_address() {
        _ if length != header.len() => Err(HeaderError::Invalid),
        Some(address) if address.protocol == Protocol::Stream => Ok(Origin::Client(address.source)),
        Some(_) => Err(HeaderError::Invalid),
        None => Ok(Origin::Unknown),
    }
}

/// The line that began with [`VERSION_1`]. Byte by byte, because its length is not known before its end.
async fn read_version_1(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, HeaderError> {
    let mut header = vec![VERSION_1];
    while *header.last().expect("not empty") != b'\n' {
        if header.len() == VERSION_1_LENGTH {
            return Err(HeaderError::Invalid);
        }
        header.push(stream.read_u8().await.map_err(HeaderError::Incomplete)?);
        let compared = header.len().min(VERSION_1_PREFIX.len());
        if header[..compared] != VERSION_1_PREFIX[..compared] {
            return Err(HeaderError::Invalid);
        }
    }
    Ok(header)
}

/// The header that began with [`VERSION_2`].
async fn read_version_2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, HeaderError> {
    let mut header = vec![VERSION_2; VERSION_2_FIXED];
    stream.read_exact(&mut header[1..]).await.map_err(HeaderError::Incomplete)?;
    // The signature before the length: other bytes would be waited for.
    if !is_version_2(&header) {
        return Err(HeaderError::Invalid);
    }
    let length = u16::from_be_bytes([header[VERSION_2_FIXED - 2], header[VERSION_2_FIXED - 1]]);
    let length = VERSION_2_FIXED + usize::from(length);
    if length > PROXY_HEADER {
        return Err(HeaderError::TooLong(length));
    }
    header.resize(length, 0);
    stream.read_exact(&mut header[VERSION_2_FIXED..]).await.map_err(HeaderError::Incomplete)?;
    Ok(header)
}

fn is_version_2(fixed: &[u8]) -> bool {
    const SIGNATURE: &[u8; COMMAND] = b"\r\n\r\n\0\r\nQUIT\n";
    fixed[..COMMAND] == *SIGNATURE && fixed[COMMAND] >> 4 == 2
}

#[cfg(test)]
mod tests;
