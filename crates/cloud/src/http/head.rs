//! Finds malformed header lines of a response, so that an event can name them: hyper skips them silently. The same
//! bytes are examined here, and nothing else depends on the result.

use std::sync::{Arc, Mutex};

use super::tap::Tap;

/// Most malformed header lines that are named.
const MAX_NAMES: usize = 8;

/// Most characters of a name that are shown.
const MAX_CHARACTERS: usize = 40;

/// The first bytes a server sends. Clones share them.
#[derive(Clone)]
pub(super) struct Recording(Arc<Mutex<Recorder>>);

struct Recorder {
    bytes: Vec<u8>,
    capacity: usize,
}

impl Recording {
    /// A recording of at most this many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Recorder { bytes: Vec::new(), capacity })))
    }

    /// The names of malformed header lines of the response, after any interim ones. The recording ends here.
    pub(super) fn malformed_headers(&self) -> Vec<String> {
        let mut recorder = self.0.lock().expect("no holder of this lock panics");
        recorder.capacity = 0;
        malformed(&std::mem::take(&mut recorder.bytes))
    }
}

impl Tap for Recording {
    fn on_read(&mut self, bytes: &[u8]) {
        let mut recorder = self.0.lock().expect("no holder of this lock panics");
        let space = recorder.capacity - recorder.bytes.len();
        recorder.bytes.extend_from_slice(&bytes[..bytes.len().min(space)]);
    }
}

/// The names of malformed header lines in the bytes a response begins with.
fn malformed(bytes: &[u8]) -> Vec<String> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // An interim response ends with an empty line, and another status line follows.
    while lines.next().is_some_and(is_interim) {
        lines.by_ref().find(|line| line.is_empty());
    }
    let mut names = Vec::new();
    let mut header: Option<(&[u8], bool)> = None;
    for line in lines {
        let is_fold = matches!(line.first(), Some(b' ' | b'\t'));
        if let (true, Some((_, is_valid))) = (is_fold, header.as_mut()) {
            *is_valid &= line.iter().copied().all(is_value);
            continue;
        }
        names.extend(header.and_then(named));
        if line.is_empty() || names.len() >= MAX_NAMES {
            return names;
        }
        header = Some((line, is_well_formed(line)));
    }
    names
}

fn is_interim(status: &[u8]) -> bool {
    status.starts_with(b"HTTP/1.") && status.get(9) == Some(&b'1')
}

/// The name in a header line, if the line is not good.
fn named((line, is_valid): (&[u8], bool)) -> Option<String> {
    if is_valid {
        return None;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some("(a line without a colon)".to_owned());
    };
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    let name: String = line[..colon].iter().take(MAX_CHARACTERS).map(shown).collect();
    Some(if name.is_empty() { "(no name)".to_owned() } else { name })
}

/// Whether a line has a token for a name, and a value (RFC 9110, 5). Blanks before the colon are passed over.
fn is_well_formed(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().copied().all(is_token) && line[colon + 1..].iter().copied().all(is_value)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows D194.
    #[test]
    fn malformed_lines_are_named_and_good_ones_are_not() {
        let response = b"HTTP/1.1 103 Early Hints\r\nX Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nGood: 1\r\nAlso-Good : 2\r\n\
            Folded: a\r\n\tb\r\nX Forwarded By: c\r\nControl: d\x01\r\nLater: e\r\n f\x00\r\nno colon\r\n: nameless\r\n\
            Obs-Text: \xe9\r\n\r\nBody Of: it\r\n";
        let names = ["X Forwarded By", "Control", "Later", "(a line without a colon)", "(no name)"];
        assert_eq!(malformed(response), names);
    }

    #[test]
    fn a_head_that_was_cut_off_names_what_is_known() {
        assert_eq!(malformed(b""), Vec::<String>::new());
        assert_eq!(malformed(b"HTTP/1.1 200 OK\nA b: 1\nC"), ["A b"]);
        let many = [&b"HTTP/1.1 200 OK\r\n"[..], &b"a b: 1\r\n".repeat(100)].concat();
        assert_eq!(malformed(&many).len(), MAX_NAMES);
        let long = [&b"HTTP/1.1 200 OK\r\n"[..], &[b' '; 1], &[b'x'; 100], b" y: 1\r\n\r\n"].concat();
        assert_eq!(malformed(&long)[0].chars().count(), MAX_CHARACTERS);
    }
}
