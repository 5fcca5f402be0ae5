//! As much of MQTT 3.1.1 and 5 as a model broker needs, written apart from the crate `mqtt` so that each checks the
//! other.

/// Reads a packet's body. A truncated packet is the relay's mistake, and ends the run.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// This many bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at_checked(count).expect("MQTT: the packet is truncated");
        self.0 = rest;
        head
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    /// Two bytes, the highest first.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().expect("two bytes"))
    }

    /// Four bytes, the highest first.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().expect("four bytes"))
    }

    /// A length and that many bytes.
    pub fn binary(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.bytes(length.into())
    }

    /// The same, as text.
    pub fn text(&mut self) -> String {
        String::from_utf8(self.binary().to_vec()).expect("MQTT: text is UTF-8")
    }

    /// A variable byte integer.
    pub fn varint(&mut self) -> usize {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(self.u8());
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        panic!("MQTT: a variable byte integer of more than four bytes")
    }

    /// The numbers among the properties: (identifier, value).
    pub fn properties(&mut self) -> Vec<(u8, u32)> {
        let length = self.varint();
        let mut inside = Reader(self.bytes(length));
        let mut found = Vec::new();
        while !inside.0.is_empty() {
            let identifier = inside.u8();
            let value = match identifier {
                0x11 | 0x27 | 0x02 | 0x18 => inside.u32(),
                0x21..=0x23 => inside.u16().into(),
                0x01 | 0x17 | 0x19 => inside.u8().into(),
                _ => panic!("MQTT: the relay has no reason to send property {identifier:#x}"),
            };
            found.push((identifier, value));
        }
        found
    }
}

/// The first complete packet in the buffer: its first byte and its body.
pub fn next(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let mut length = 0;
    for (index, shift) in [(1, 0), (2, 7), (3, 14), (4, 21)] {
        let byte = usize::from(*buffer.get(index)?);
        length |= (byte & 0x7f) << shift;
        if byte < 0x80 {
            let start = index + 1;
            if buffer.len() < start + length {
                return None;
            }
            let first = buffer[0];
            let body = buffer[start..start + length].to_vec();
            buffer.drain(..start + length);
            return Some((first, body));
        }
    }
    panic!("MQTT: a remaining length of more than four bytes")
}

/// A complete packet.
pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let more = left >= 0x80;
        out.push((left & 0x7f) as u8 | if more { 0x80 } else { 0 });
        left >>= 7;
        if !more {
            break;
        }
    }
    out.extend(body);
    out
}

/// Text with its length before it.
pub fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
