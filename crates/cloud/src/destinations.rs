//! Addresses to which the cloud may connect for a device. Private networks are closed, because the cloud could reach in
//! them what the application cannot (D62).
//!
//! The decision is about addresses, after the name was resolved, and the very address that was checked is dialled, so
//! that the name cannot be changed in between.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses: the first `length` bits of `address` are common to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    address: IpAddr,
    length: u8,
}

/// A text that is not a [`Range`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address range (like 10.0.0.0/8 or fd00::/8)")]
pub struct RangeError(String);

/// The open destinations: every public address that is not this machine's own, and the ranges the operator allows.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    allowed: Vec<Range>,
}

/// IPv4 blocks that are not public (RFC 6890 and successors), and 168.63.129.16, a public address at which a cloud
/// provider serves metadata.
const CLOSED_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The IPv6 block of all public addresses; everything else is closed.
const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The block of NAT64 (RFC 6052), whose addresses are as public as the IPv4 addresses in them.
const NAT64: [(Ipv6Addr, u8); 1] = [(Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0), 96)];

/// Blocks within [`PUBLIC_V6`] that are not public: protocol assignments (such as Teredo) and documentation.
const CLOSED_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3FFF, 0, 0, 0, 0, 0, 0, 0), 20),
];

impl Range {
    /// The block of addresses whose first `length` bits are those of `address`; `None` when the address has fewer bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= bits(address).1).then_some(Self { address, length })
    }

    /// Whether `address` is in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, width), (other, other_width)) = (bits(self.address), bits(address));
        let shift = u32::from(width - self.length);
        width == other_width && own.checked_shr(shift) == other.checked_shr(shift)
    }
}

impl fmt::Display for Range {
    /// As [`Range::from_str`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == bits(self.address).1 {
            return write!(f, "{}", self.address);
        }
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Range {
    type Err = RangeError;

    /// Reads `address/length`, or an address alone.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let parsed = match text.split_once('/') {
            Some((address, length)) => address.parse().ok().zip(length.parse().ok()),
            None => text.parse().ok().map(|address| (address, bits(address).1)),
        };
        parsed
            .and_then(|(address, length)| Self::new(address, length))
            .ok_or_else(|| RangeError(text.to_owned()))
    }
}

impl Destinations {
    /// The public internet only.
    pub fn public() -> Self {
        Self::default()
    }

    /// The public internet and the loopback addresses, for development.
    pub fn with_loopback() -> Self {
        Self::public().allow_loopback()
    }

    /// Opens the loopback addresses, 127.0.0.0/8 and ::1.
    pub fn allow_loopback(self) -> Self {
        self.allow(Range { address: Ipv4Addr::new(127, 0, 0, 0).into(), length: 8 })
            .allow(Range { address: Ipv6Addr::LOCALHOST.into(), length: 128 })
    }

    /// Every address.
    pub fn everywhere() -> Self {
        Self::public()
            .allow(Range { address: Ipv4Addr::UNSPECIFIED.into(), length: 0 })
            .allow(Range { address: Ipv6Addr::UNSPECIFIED.into(), length: 0 })
    }

    /// Opens another range.
    pub fn allow(mut self, range: Range) -> Self {
        self.allowed.push(range);
        self
    }

    /// The ranges the operator allows.
    pub fn allowed(&self) -> &[Range] {
        &self.allowed
    }

    /// Whether the cloud may connect to `address`, on a machine whose own addresses are `own`. An own address is open
    /// only if an allowed range contains it: other services on this machine may rely on a firewall that the cloud is
    /// behind (D184).
    pub fn is_open(&self, address: IpAddr, own: &[Range]) -> bool {
        let address = address.to_canonical();
        if self.allowed.iter().any(|range| range.contains(address)) {
            return true;
        }
        let end = embedded_address(address);
        let is_own = own.iter().any(|range| range.contains(address) || range.contains(end));
        !is_own && is_public(address) && is_public(end)
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The address that packets finally reach: NAT64 (RFC 6052) and 6to4 (RFC 3056) addresses embed an IPv4 address.
fn embedded_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low).into(),
        _ => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !CLOSED_V4.iter().any(|&(block, length)| is_in(block.into(), length, address.into()))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(block, length): (Ipv6Addr, u8)| is_in(block.into(), length, address.into());
    NAT64.into_iter().any(within) || (within(PUBLIC_V6) && !CLOSED_V6.into_iter().any(within))
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

fn is_in(block: IpAddr, length: u8, address: IpAddr) -> bool {
    Range { address: block, length }.contains(address)
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(destinations: &Destinations, address: &str) -> bool {
        destinations.is_open(address.parse().expect("an address"), &[])
    }

    /// Shows D62.
    #[test]
    fn only_public_addresses_are_open() {
        let public = Destinations::public();
        for address in [
            "127.0.0.1",
            "127.255.255.255",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "198.19.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_open(&public, address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.0",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_open(&public, address), "{address}");
        }
    }

    /// Shows D62.
    #[test]
    fn the_operator_opens_ranges() {
        let destinations = Destinations::public().allow("10.8.0.0/16".parse().expect("a range"));
        assert!(is_open(&destinations, "10.8.255.255"));
        assert!(is_open(&destinations, "::ffff:10.8.0.1"));
        assert!(!is_open(&destinations, "10.9.0.0"));
        assert!(!is_open(&destinations, "127.0.0.1"));
    }

    /// Shows D62.
    #[test]
    fn development_opens_loopback_and_nothing_else() {
        let local = Destinations::with_loopback();
        assert!(is_open(&local, "127.0.0.1") && is_open(&local, "::1"));
        assert!(!is_open(&local, "169.254.169.254") && !is_open(&local, "192.168.0.1"));
        assert!(
            is_open(&Destinations::everywhere(), "192.168.0.1")
                && is_open(&Destinations::everywhere(), "fe80::1")
        );
    }

    /// Shows D184: this machine's own public address is closed in every spelling, and opened by the operator alone.
    #[test]
    fn this_machines_own_addresses_are_closed_unless_allowed() {
        let own: Vec<Range> = ["93.184.216.77", "2606:4700::7"].map(|text| text.parse().expect("one")).into();
        let is_open = |destinations: &Destinations, address: &str| {
            destinations.is_open(address.parse().expect("an address"), &own)
        };
        let public = Destinations::public();
        let spellings = [
            "93.184.216.77",
            "::ffff:93.184.216.77",
            "64:ff9b::5db8:d84d",
            "2002:5db8:d84d::1",
            "2606:4700::7",
        ];
        for address in spellings {
            assert!(!is_open(&public, address), "{address}");
            assert!(is_open(&Destinations::everywhere(), address), "{address}");
        }
        assert!(is_open(&public, "93.184.216.78") && is_open(&public, "2606:4700::8"));
        let allowed = Destinations::public().allow("93.184.216.77".parse().expect("a range"));
        assert!(is_open(&allowed, "93.184.216.77") && !is_open(&allowed, "2606:4700::7"));
    }

    #[test]
    fn an_invalid_range_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "host/8", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Range>(), Err(RangeError(text.to_owned())));
        }
        assert_eq!("::1".parse::<Range>(), Ok(Range { address: Ipv6Addr::LOCALHOST.into(), length: 128 }));
    }
}
