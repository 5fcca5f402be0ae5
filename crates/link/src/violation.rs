//! The rules a peer can break. Each has one text, for logs and for `BYE`.

use core::fmt;

/// A rule of link.md the peer broke. The connection ends with `BYE` *violation* and this text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Violation(&'static str);

impl Violation {
    /// Names a broken rule. The text must fit a `BYE` ([`crate::MAX_BYE_TEXT`]).
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The broken rule in words.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Violation({})", self.0)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Violation {}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Violation = Violation($text);)*
        /// Every rule of this file, for tests that go through them.
        pub const ALL: &[Violation] = &[$($name),*];
    };
}

rules! {
    /// §2, a varint ends in a zero group.
    VARINT_NOT_MINIMAL = "varint is not minimal";
    /// §2, a varint has more bits than its field.
    VARINT_TOO_LONG = "varint is too long";
    /// §2, a length over 4096.
    FRAME_TOO_LONG = "frame is longer than 4096 bytes";
    /// §2, a body longer than the fields of its kind can be.
    BODY_TOO_LONG = "body is longer than its kind allows";
    /// §2, an item over 262 144 bytes.
    ITEM_TOO_LONG = "item is longer than 262144 bytes";
    /// §2, `more` on a kind that is always one frame.
    MUST_BE_ONE_FRAME = "this kind must be one frame";
    /// §2, a fragment with `more` and no bytes.
    EMPTY_FRAGMENT = "fragment is empty";
    /// §2, another item before the one begun has ended.
    ITEM_UNFINISHED = "another item began before the last was finished";
    /// §4, §5, a kind this direction does not have.
    UNKNOWN_KIND = "unknown kind";
    /// §2, fields end after the body does.
    BODY_TOO_SHORT = "body ends inside its fields";
    /// §2, bytes after the last field.
    BYTES_LEFT_OVER = "bytes after the last field";
    /// §2, a field with a value its description does not have.
    VALUE_OUT_OF_RANGE = "field has a value without a meaning";
    /// §5, a list with no elements or too many.
    WRONG_COUNT = "list has too few or too many elements";
    /// §3, the first frame of the device is not `HELLO`.
    HELLO_EXPECTED = "first frame must be HELLO";
    /// §3, a second `HELLO`.
    HELLO_TWICE = "second HELLO";
    /// §3, a frame of the device before `WELCOME`.
    BEFORE_WELCOME = "frame before WELCOME";
    /// §3, a second `WELCOME`.
    WELCOME_TWICE = "second WELCOME";
    /// §4, a `WELCOME` of another version than the `HELLO`.
    OTHER_VERSION = "WELCOME is of another version";
    /// §3, a `PING` while the last one has no `PONG`.
    PING_TWICE = "PING before the last PONG";
    /// §3, a `PONG` without its `PING`.
    UNEXPECTED_PONG = "PONG without its PING";
    /// §4, a `LOG_TAKEN` for a message not sent on this connection.
    LOG_NOT_SENT = "LOG_TAKEN for a message never sent";
    /// §5, a frame for a channel that is not open.
    CHANNEL_NOT_OPEN = "channel is not open";
    /// §5, `OPEN` for a number still in use.
    CHANNEL_IN_USE = "channel number is in use";
    /// §5, `CLOSE` or `CLOSED` twice.
    CLOSED_TWICE = "channel was closed twice";
    /// §5, a frame that the channel's type does not have.
    WRONG_CHANNEL_TYPE = "kind does not belong to the channel's type";
    /// §5.2, an answer without its request.
    UNEXPECTED_ANSWER = "answer without its request";
    /// §5.2, a second request where only one can be in flight.
    REQUEST_TWICE = "second request of a kind that is one at a time";
    /// §5, a publish slot still in flight.
    SLOT_IN_USE = "publish slot is in use";
    /// §5, a topic number never given.
    UNKNOWN_TOPIC_NUMBER = "topic number was never given";
    /// §6, more bytes than the receive ring has room for.
    RING_EXCEEDED = "receive ring exceeded";
    /// §6, more than 32 messages outstanding.
    ITEMS_EXCEEDED = "too many messages outstanding";
    /// §6, more bytes than the window.
    WINDOW_EXCEEDED = "window exceeded";
    /// §6, credit for what was never sent.
    CREDIT_EXCEEDED = "credit for more than was sent";
}
