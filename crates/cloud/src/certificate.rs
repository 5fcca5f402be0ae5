//! Reading the common name of a certificate whose signature has been checked.
//!
//! Only as much of DER (ITU-T X.690) as stands between the first byte of a certificate and its subject (RFC 5280 4.1).

/// DER tags met on the way.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const UTF8_STRING: u8 = 0x0C;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xA0;
}

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The subject's common name, if it has exactly one and that is UTF-8 or printable text.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&str> {
    let mut names = Reader(subject(certificate)?);
    let mut found = None;
    while !names.0.is_empty() {
        let mut set = Reader(names.value(tag::SET)?);
        while !set.0.is_empty() {
            let mut attribute = Reader(set.value(tag::SEQUENCE)?);
            if attribute.value(tag::OBJECT_IDENTIFIER)? == COMMON_NAME
                && found.replace(attribute.text()?).is_some()
            {
                return None;
            }
        }
    }
    found
}

/// The content of the subject: Certificate → TBSCertificate → the sixth field.
fn subject(certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = Reader(Reader(certificate).value(tag::SEQUENCE)?);
    let mut body = Reader(certificate.value(tag::SEQUENCE)?);
    if body.0.first() == Some(&tag::VERSION) {
        body.value(tag::VERSION)?;
    }
    body.value(tag::INTEGER)?; // serial number
    body.value(tag::SEQUENCE)?; // signature algorithm
    body.value(tag::SEQUENCE)?; // issuer
    body.value(tag::SEQUENCE)?; // validity
    body.value(tag::SEQUENCE)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The content of the next element, which must have this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(value)
    }

    fn text(&mut self) -> Option<&'a str> {
        let tag = *self.0.first()?;
        let value = self.value(tag)?;
        let known = matches!(tag, tag::UTF8_STRING | tag::PRINTABLE_STRING);
        known.then(|| std::str::from_utf8(value).ok()).flatten()
    }
}

/// A length: one byte below 128, or the number of the big-endian bytes that follow, of which a certificate needs at most three.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7F);
    if !(1..=3).contains(&count) {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count)?;
    Some((bytes.iter().fold(0, |value, &byte| value << 8 | usize::from(byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use crate::device_id::DeviceId;

    #[test]
    fn the_common_name_of_an_issued_certificate_is_the_device() {
        let id = DeviceId::random();
        let identity = Authority::generate().issue_device(id);
        assert_eq!(common_name(&identity.certificate_der), Some(id.as_str()));
    }

    #[test]
    fn a_certificate_cut_anywhere_before_its_end_has_no_name_and_no_panic() {
        let identity = Authority::generate().issue_device(DeviceId::random());
        let der: &[u8] = &identity.certificate_der;
        for end in 0..der.len() {
            assert_eq!(common_name(&der[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn two_common_names_are_none() {
        let attribute = [0x31, 0x0A, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0C, 0x01, b'a'];
        let subject = [&[0x30, 24], &attribute[..], &attribute[..]].concat();
        let fields = [&[0x02, 0, 0x30, 0, 0x30, 0, 0x30, 0], &subject[..]].concat();
        let certificate = [&[0x30, 36, 0x30, 34], &fields[..]].concat();
        assert_eq!(common_name(&certificate), None);
        let single =
            [&[0x30, 24, 0x30, 22, 0x02, 0, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 12], &attribute[..]].concat();
        assert_eq!(common_name(&single), Some("a"));
    }
}
