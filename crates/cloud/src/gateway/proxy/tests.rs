use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Builder;

use super::*;
use crate::random;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 as the specification draws it.
fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

/// What is read of `bytes`, after which the sender closes, and what is left for the handshake.
fn read(bytes: &[u8]) -> (Result<Origin, HeaderError>, Vec<u8>) {
    Builder::new_current_thread().build().expect("a runtime").block_on(async {
        let (mut client, mut server) = tokio::io::duplex(bytes.len().max(1));
        client.write_all(bytes).await.expect("written");
        drop(client);
        let origin = read_header(&mut server).await;
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.expect("read");
        (origin, rest)
    })
}

fn is_client(bytes: &[u8], address: &str) {
    let (origin, rest) = read(&[bytes, b"\x16\x03\x01hello"].concat());
    assert_eq!(origin.expect("a header"), Origin::Client(address.parse().expect("an address")));
    assert_eq!(rest, b"\x16\x03\x01hello", "the handshake is complete");
}

/// Shows D356.
#[test]
fn the_address_of_the_client_is_read_and_nothing_after_the_header() {
    let ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x1E, 0xCB];
    is_client(&version_2(0x21, 0x11, &ipv4), "192.0.2.7:12345");
    // TLVs: the SNI, one of an unknown type, and bytes that are none.
    let tlvs = [&ipv4[..], b"\x02\x00\x03abc", b"\xEE\x00\x01z", b"\x04"].concat();
    is_client(&version_2(0x21, 0x11, &tlvs), "192.0.2.7:12345");
    let mut ipv6 = [0; 36];
    ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0D, 0xB8]);
    (ipv6[15], ipv6[32], ipv6[33]) = (9, 0x1F, 0x90);
    is_client(&version_2(0x21, 0x21, &ipv6), "[2001:db8::9]:8080");
    is_client(b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7883\r\n", "192.0.2.7:12345");
    is_client(b"PROXY TCP6 2001:db8::9 ::1 8080 7883\r\n", "[2001:db8::9]:8080");
}

/// Shows D356.
#[test]
fn a_connection_without_a_clients_address_is_the_balancers_own() {
    let expect = |bytes: &[u8], origin| {
        let (read, rest) = read(&[bytes, b"rest"].concat());
        assert_eq!((read.expect("a header"), &*rest), (origin, &b"rest"[..]), "{bytes:?}");
    };
    expect(&version_2(0x20, 0x00, b""), Origin::Local);
    // Family and body of LOCAL have no meaning.
    expect(&version_2(0x20, 0x11, &[7; 12]), Origin::Local);
    expect(&version_2(0x20, 0xFF, &[7; 3]), Origin::Local);
    expect(&version_2(0x21, 0x00, b""), Origin::Unknown);
    expect(&version_2(0x21, 0x31, &[b'/'; 216]), Origin::Unknown);
    expect(b"PROXY UNKNOWN\r\n", Origin::Unknown);
    expect(b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Origin::Unknown);
}

/// Shows D356.
#[test]
fn everything_else_is_refused_and_the_length_is_bounded() {
    let ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x1E, 0xCB];
    let long = VERSION_2_FIXED + ipv4.len();
    let padded = |length: usize| version_2(0x21, 0x11, &[&ipv4[..], &vec![0; length - long]].concat());
    assert!(matches!(read(&padded(PROXY_HEADER)).0, Ok(Origin::Client(_))));
    assert!(matches!(read(&padded(PROXY_HEADER + 1)).0, Err(HeaderError::TooLong(_))));
    assert!(matches!(read(b"").0, Err(HeaderError::Closed)));
    for incomplete in [&SIGNATURE[..5], SIGNATURE, &padded(64)[..63], b"PROXY TCP4 192.0.2.7"] {
        assert!(matches!(read(incomplete).0, Err(HeaderError::Incomplete(_))), "{incomplete:?}");
    }
    let long_line = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200], b"\r\n".to_vec()].concat();
    for invalid in [
        &b"\x16\x03\x01\x02\x00 a handshake without a header"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\r!\x11\0\x0C............",
        &version_2(0x11, 0x11, &ipv4),
        &version_2(0x22, 0x11, &ipv4),
        &version_2(0x21, 0x12, &ipv4),
        &version_2(0x21, 0x41, &ipv4),
        &version_2(0x21, 0x11, &ipv4[..11]),
        &version_2(0x21, 0x21, &ipv4),
        &version_2(0x21, 0x31, &ipv4),
        b"PROXY TCP4 192.0.2.300 198.51.100.1 12345 7883\r\n",
        b"PROXY TCP4 2001:db8::9 ::1 8080 7883\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 70000\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7883\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 12345 7883\r\n",
        b"PROXY  UNKNOWN\r\n",
        &long_line,
    ] {
        assert!(matches!(read(invalid).0, Err(HeaderError::Invalid)), "{invalid:?}");
    }
}

/// Hostile bytes never panic, and never make more be read than a header may have.
#[test]
fn whatever_bytes_come_it_reads_a_header_or_refuses() {
    let start = version_2(0x21, 0x11, &[0; 12]);
    for round in 0..4000_u32 {
        let noise = random::bytes::<64>();
        let kept = usize::from(noise[0]) % (start.len() + 1);
        let mut bytes = [&start[..kept], &noise[1..]].concat();
        if round % 3 == 0 {
            bytes = [b"PROXY TCP6 ", &noise[..]].concat();
        } else if kept > 16 {
            bytes[usize::from(noise[1]) % 16] ^= noise[2];
        }
        let (origin, rest) = read(&bytes);
        if origin.is_ok() {
            assert!(bytes.len() - rest.len() <= PROXY_HEADER, "{bytes:?}");
        }
    }
}

#[test]
fn an_ipv4_balancer_is_known_on_a_listener_for_both_families_too() {
    let ranges = ["10.0.0.0/8".parse().expect("a range")];
    assert!(contain(&ranges, "10.1.2.3".parse().expect("an address")));
    assert!(contain(&ranges, "::ffff:10.1.2.3".parse().expect("an address")));
    assert!(!contain(&ranges, "::ffff:11.1.2.3".parse().expect("an address")));
    assert!(!contain(&[], "10.1.2.3".parse().expect("an address")));
}
