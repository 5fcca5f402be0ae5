//! Whole packets, and when two of them say the same.

/// The first packet in `bytes`, if it is whole.
pub(crate) fn first(bytes: &[u8]) -> Option<&[u8]> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *bytes.get(1 + index)?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(..2 + index + length);
        }
    }
    None
}

/// Whether the packet received says the same as the one the suite expects.
///
/// The bytes are the same; or both are a CONNACK that accepts, whatever properties describe the one who sent it; or
/// both refuse, whatever the reason; or both acknowledge the same packet without an error, or both with one.
pub(crate) fn agree(expected: &[u8], got: &[u8]) -> bool {
    if expected == got {
        return true;
    }
    let (Some(wanted), Some(given)) = (meaning(expected), meaning(got)) else { return false };
    wanted == given
}

/// Packet type, packet identifier, whether it reports an error; of the packets that are not compared byte by byte.
fn meaning(packet: &[u8]) -> Option<(u8, Option<&[u8]>, bool)> {
    let first = *packet.first()?;
    let is_error = |code: Option<&u8>| code.is_some_and(|code| *code >= 0x80);
    match first {
        0x20 => Some((first, packet.get(2..3), *packet.get(3)? != 0)),
        0x40 | 0x50 => Some((first, packet.get(2..4), is_error(packet.get(4)))),
        // 0x92 says that there is no such delivery any more: it is complete, as with success.
        0x62 | 0x70 => Some((first, packet.get(2..4), false)),
        0xe0 => Some((first, None, is_error(packet.get(2)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_when_its_length_has_come() {
        assert_eq!(first(b"\x30\x02ab"), Some(&b"\x30\x02ab"[..]));
        assert_eq!(first(b"\x30\x02abcd"), Some(&b"\x30\x02ab"[..]));
        assert_eq!(first(b"\x30\x02a"), None);
        assert_eq!(first(b"\x30\x82"), None);
    }

    #[test]
    fn refusals_agree_whatever_their_reason_and_acceptances_whatever_their_properties() {
        for (one, other) in [
            (&b"\x20\x03\x00\x81\x00"[..], &b"\x20\x02\x00\x02"[..]),
            (b"\x20\x03\x00\x00\x00", b"\x20\x06\x00\x00\x03\x22\x00\x10"),
            (b"\xe0\x01\x81", b"\xe0\x01\x82"),
            (b"\x40\x02\x00\x01", b"\x40\x03\x00\x01\x10"),
            (b"\x70\x02\x00\x01", b"\x70\x03\x00\x01\x92"),
        ] {
            assert!(agree(one, other), "{one:02x?} {other:02x?}");
        }
        for (one, other) in [
            (&b"\x20\x02\x00\x00"[..], &b"\x20\x02\x00\x02"[..]),
            (b"\x20\x02\x00\x00", b"\x20\x02\x01\x00"),
            (b"\xe0\x00", b"\xe0\x01\x82"),
            (b"\x40\x02\x00\x01", b"\x40\x02\x00\x02"),
            (b"\x40\x02\x00\x01", b"\x40\x03\x00\x01\x87"),
            (b"\x90\x03\x00\x01\x02", b"\x90\x03\x00\x01\x01"),
            (b"\x30\x03\x00\x01t", b"\x31\x03\x00\x01t"),
        ] {
            assert!(!agree(one, other), "{one:02x?} {other:02x?}");
        }
    }
}
