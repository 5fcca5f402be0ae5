//! The notation in which mosquitto's cases write packets: words separated by spaces.
//!
//! | word | bytes |
//! |---|---|
//! | `i5` | one byte |
//! | `H5` `k5` `m5` `s5` | two bytes: a number, keepalive, packet identifier, length of a string |
//! | `L5` | four bytes |
//! | `v5` `r5` | a variable byte integer, also one that is too long; `r` is the Remaining Length |
//! | `'a b'` | UTF-8 |
//! | otherwise | hexadecimal |

/// The bytes of a packet.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|character| character != ' ') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted.find('\'').ok_or(format!("a string without an end in {text:?}"))?;
            out.extend_from_slice(&quoted.as_bytes()[..end]);
            rest = &quoted[end + 1..];
            continue;
        }
        let (word, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        rest = after;
        append(&mut out, word).ok_or(format!("{word:?} in {text:?} is not understood"))?;
    }
    Ok(out)
}

fn append(out: &mut Vec<u8>, word: &str) -> Option<()> {
    let (kind, number) = word.split_at_checked(1)?;
    match kind {
        "i" => out.push(number.parse().ok()?),
        "H" | "k" | "m" | "s" => out.extend(number.parse::<u16>().ok()?.to_be_bytes()),
        "L" => out.extend(number.parse::<u32>().ok()?.to_be_bytes()),
        "v" | "r" => variable(out, number.parse().ok()?),
        _ => out.extend(hexadecimal(word)?),
    }
    Some(())
}

fn variable(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = (value % 128) as u8;
        value /= 128;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

fn hexadecimal(word: &str) -> Option<Vec<u8>> {
    if word.len() % 2 == 1 || !word.is_ascii() {
        return None;
    }
    (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_word_gives_its_bytes() {
        assert_eq!(bytes("30 r14 s3 'a b' i7").unwrap(), b"\x30\x0e\x00\x03a b\x07");
        assert_eq!(bytes("10 v300 L1 m258 k10 H20").unwrap(), b"\x10\xac\x02\0\0\0\x01\x01\x02\0\x0a\0\x14");
        assert_eq!(bytes("r268435456").unwrap(), b"\x80\x80\x80\x80\x01");
        assert_eq!(bytes("80061234  ''").unwrap(), b"\x80\x06\x12\x34");
        for wrong in ["3", "zz", "'open", "i256", "r"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
