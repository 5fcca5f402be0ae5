//! Which header lines of a response are malformed, so that the timeline can name them. hyper leaves them out and does not say so;
//! this looks at the same bytes, and decides nothing.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Malformed header lines that are named.
const NAMED: usize = 8;

/// Characters of a name that are shown.
const NAME_CHARACTERS: usize = 40;

/// The first bytes a server sent.
#[derive(Clone)]
pub(super) struct Recording(Arc<Mutex<Recorder>>);

struct Recorder {
    bytes: Vec<u8>,
    most: usize,
}

impl Recording {
    /// Of at most this many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Recorder { bytes: Vec::new(), most })))
    }

    fn add(&self, bytes: &[u8]) {
        let mut recorder = self.0.lock().expect("nothing panics while it adds");
        let room = recorder.most - recorder.bytes.len();
        recorder.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The names of malformed header lines of the response, behind any interim ones. Nothing is recorded from here on.
    pub(super) fn malformed_headers(&self) -> Vec<String> {
        let mut recorder = self.0.lock().expect("nothing panics while it looks");
        recorder.most = 0;
        malformed(&std::mem::take(&mut recorder.bytes))
    }
}

/// A connection of which the first bytes received are recorded.
pub(super) struct Recorded<S> {
    stream: S,
    recording: Recording,
}

impl<S> Recorded<S> {
    pub(super) fn new(stream: S, recording: Recording) -> Self {
        Self { stream, recording }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.recording.add(&buffer.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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
        if let (true, Some((_, is_good))) = (is_fold, header.as_mut()) {
            *is_good &= line.iter().copied().all(is_value);
            continue;
        }
        names.extend(header.and_then(named));
        if line.is_empty() || names.len() >= NAMED {
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
fn named((line, is_good): (&[u8], bool)) -> Option<String> {
    if is_good {
        return None;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some("(a line without a colon)".to_owned());
    };
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    let name: String = line[..colon].iter().take(NAME_CHARACTERS).map(shown).collect();
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
        assert_eq!(malformed(&many).len(), NAMED);
        let long = [&b"HTTP/1.1 200 OK\r\n"[..], &[b' '; 1], &[b'x'; 100], b" y: 1\r\n\r\n"].concat();
        assert_eq!(malformed(&long)[0].chars().count(), NAME_CHARACTERS);
    }
}
