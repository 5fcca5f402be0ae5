//! Images as lines of hexadecimal digits: Intel HEX and Motorola S-records.
//!
//! Both are a few lines of rules that have not changed for decades; the libraries for them have not been released for
//! years.

use std::fmt;

/// Bytes and where they are loaded.
pub(super) type Piece = (u64, Vec<u8>);

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Intel HEX.
    IntelHex,
    /// Motorola S-records.
    SRecords,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IntelHex => "an Intel HEX file",
            Self::SRecords => "a file of S-records",
        })
    }
}

/// A record that cannot be, counted from 1, and why.
pub(super) type Wrong = (usize, &'static str);

/// The format of `file`, if it is one of these. A raw image is none: its third and fourth byte are those of an address
/// in RAM, which are no digits.
pub(super) fn format(file: &[u8]) -> Option<Format> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
    match file {
        [b':', rest @ ..] if are_digits(rest.get(..8)?) => Some(Format::IntelHex),
        [b'S', b'0'..=b'9', rest @ ..] if are_digits(rest.get(..4)?) => Some(Format::SRecords),
        _ => None,
    }
}

fn are_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_hexdigit)
}

/// What `file` loads, in its order; bytes that follow each other are one piece.
pub(super) fn pieces(format: Format, file: &[u8]) -> Result<Vec<Piece>, Wrong> {
    let file = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file);
    let mut reader = Reader { format, base: 0, pieces: Vec::new(), has_ended: false };
    let mut count = 0;
    for line in file.split(|byte| *byte == b'\n' || *byte == b'\r').map(<[u8]>::trim_ascii) {
        // Empty ones, as CR LF makes, are not counted.
        if !line.is_empty() {
            count += 1;
            reader.line(line).map_err(|why| (count, why))?;
        }
    }
    if reader.has_ended { Ok(reader.pieces) } else { Err((count, "it ends without its last record")) }
}

struct Reader {
    format: Format,
    /// Added to addresses of Intel HEX.
    base: u64,
    pieces: Vec<Piece>,
    has_ended: bool,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if self.has_ended {
            return Err("there is more after the last record");
        }
        match self.format {
            Format::IntelHex => self.intel(line),
            Format::SRecords => self.motorola(line),
        }
    }

    /// `:` count, address (2), type, data, checksum: all bytes add up to zero.
    fn intel(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let bytes = bytes(line.strip_prefix(b":").ok_or("it does not begin with `:`")?)?;
        if bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) != 0 {
            return Err("its checksum is wrong");
        }
        let [count, high, low, kind, data @ .., _] = &bytes[..] else { return Err("it is too short") };
        if usize::from(*count) != data.len() {
            return Err("its length is another than it says");
        }
        let address = u64::from(u16::from_be_bytes([*high, *low]));
        match (kind, data) {
            (0, data) => self.add(self.base + address, data),
            (1, []) => self.has_ended = true,
            (2, [high, low]) => self.base = u64::from(u16::from_be_bytes([*high, *low])) << 4,
            (4, [high, low]) => self.base = u64::from(u16::from_be_bytes([*high, *low])) << 16,
            // Where the program starts: a Cortex-M has that in its vector table.
            (3 | 5, [_, _, _, _]) => {}
            _ => return Err("its type is unknown"),
        }
        Ok(())
    }

    /// `S`, type, count, address (2 to 4), data, checksum: all bytes but the type add up to 0xFF.
    fn motorola(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let [b'S', kind, digits @ ..] = line else { return Err("it does not begin with `S`") };
        let bytes = bytes(digits)?;
        if bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) != 0xFF {
            return Err("its checksum is wrong");
        }
        let [count, rest @ .., _] = &bytes[..] else { return Err("it is too short") };
        if usize::from(*count) != rest.len() + 1 {
            return Err("its length is another than it says");
        }
        let width = match kind {
            b'0' | b'1' | b'5' | b'9' => 2,
            b'2' | b'6' | b'8' => 3,
            b'3' | b'7' => 4,
            _ => return Err("its type is unknown"),
        };
        let (address, data) = rest.split_at_checked(width).ok_or("it is too short")?;
        let address = address.iter().fold(0, |address, byte| address << 8 | u64::from(*byte));
        match kind {
            b'1'..=b'3' => self.add(address, data),
            b'7'..=b'9' => self.has_ended = true,
            // A heading, and how many records there were.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, address: u64, data: &[u8]) {
        match self.pieces.last_mut() {
            Some((start, bytes)) if *start + bytes.len() as u64 == address => bytes.extend_from_slice(data),
            _ if data.is_empty() => {}
            _ => self.pieces.push((address, data.to_vec())),
        }
    }
}

fn bytes(digits: &[u8]) -> Result<Vec<u8>, &'static str> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    digits.chunks(2).map(pair).collect::<Option<_>>().ok_or("it has something else than pairs of digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ten bytes of the smallest image, in two records.
    const HEX: &str = ":020000040800F2\n:0400000000000820D4\n:0600040009000008FEE700\n:00000001FF\n";
    const SREC: &str = "S0030000FC\nS3090800000000000820C6\nS30B0800000409000008FEE7F2\nS70508000000F2\n";

    fn error_of(format: Format, text: &str) -> Wrong {
        pieces(format, text.as_bytes()).expect_err("refused")
    }

    /// Shows D212.
    #[test]
    fn both_formats_are_known_by_their_first_line_and_read() {
        let expected = [(0x0800_0000u64, vec![0, 0, 8, 0x20, 9, 0, 0, 8, 0xFE, 0xE7])];
        for (text, kind) in [(HEX, Format::IntelHex), (SREC, Format::SRecords)] {
            for text in [
                text.to_owned(),
                text.replace('\n', "\r\n"),
                format!("\u{feff}\n{}", text.to_lowercase().replace('s', "S")),
            ] {
                assert_eq!(format(text.as_bytes()), Some(kind), "{text}");
                assert_eq!(pieces(kind, text.as_bytes()).expect("read"), expected, "{text}");
            }
        }
        for other in
            [&b""[..], b":", b":0000", b"S0", b"Sx", b"\x3a0\x08\x20\x09\0\0\x08\xfe\xe7", b"\x7fELF"]
        {
            assert_eq!(format(other), None, "{other:?}");
        }
    }

    /// Shows D212.
    #[test]
    fn a_line_that_cannot_be_is_shown_by_its_number() {
        let hex = |text: &str| error_of(Format::IntelHex, text);
        assert_eq!(hex(":020000040800F3"), (1, "its checksum is wrong"));
        assert_eq!(hex(":020000040800F2\n:04000000000008D4"), (2, "its checksum is wrong"));
        assert_eq!(hex(":0500000000000820D3"), (1, "its length is another than it says"));
        assert_eq!(hex(":020000040800F2\n"), (1, "it ends without its last record"));
        assert_eq!(hex(":00000001FF\n:00000001FF"), (2, "there is more after the last record"));
        assert_eq!(hex(":00000009F7"), (1, "its type is unknown"));
        assert_eq!(hex(":0000000"), (1, "it has something else than pairs of digits"));
        assert_eq!(hex(":00"), (1, "it is too short"));
        assert_eq!(hex("0000"), (1, "it does not begin with `:`"));
        let srec = |text: &str| error_of(Format::SRecords, text);
        assert_eq!(srec("S0030000FD"), (1, "its checksum is wrong"));
        assert_eq!(srec("S4030000FC"), (1, "its type is unknown"));
        assert_eq!(srec("S303000000FC"), (1, "its length is another than it says"));
        assert_eq!(srec("S3030000FC"), (1, "it is too short"));
        assert_eq!(srec("S0030000FC\n"), (1, "it ends without its last record"));
    }
}
