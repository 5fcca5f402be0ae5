//! What the sessions of both ends share: which request waits for its answer, and frames short enough to be collected.

use crate::header::{Header, HeaderBytes};
use crate::kind::{to_cloud, to_device};
use crate::limits::{MAX_FRAME_BODY, PUBLISH_SLOTS};
use crate::parser::Piece;
use crate::violation::{self, Violation};

/// Why a session does not let its own end send something. Not a fault of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The channel is not open, or its `OPEN` has not been sent yet.
    NotOpen,
    /// The item begun on this channel has not been sent to its end, or there is none to go on with.
    Busy,
    /// The other end has no room now; credit will come.
    NoRoom,
    /// It could never be sent: longer than an item, a frame or the ring can be, or not a kind of this end's channels.
    Never,
    /// A request already in flight, or an answer nobody waits for.
    NotAsked,
}

/// The requests of one channel that wait for their answer (link.md §5.2). Each end keeps one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    publishes: u8,
    connects: u8,
    waiting: u16,
    /// Requests a channel has once in its life.
    spent: u16,
    /// The broker's own end has been told.
    ended: bool,
}

impl Requests {
    /// Of a new channel.
    pub(crate) const NONE: Self = Self { publishes: 0, connects: 0, waiting: 0, spent: 0, ended: false };

    /// A request of this kind goes out or came.
    pub(crate) fn asked(&mut self, kind: u8) -> Result<(), Violation> {
        match kind {
            to_cloud::PUBLISH if self.publishes == PUBLISH_SLOTS => return Err(violation::SLOT_IN_USE),
            to_cloud::PUBLISH => self.publishes += 1,
            to_cloud::CONNECT => {
                self.connects = self.connects.checked_add(1).ok_or(violation::REQUEST_TWICE)?;
            }
            to_cloud::SUBSCRIBE | to_cloud::UNSUBSCRIBE | to_cloud::DISCONNECT => self.wait(kind)?,
            to_cloud::HTTP_REQUEST | to_cloud::CONFIG_FETCH => self.wait_once(kind)?,
            _ => {}
        }
        Ok(())
    }

    /// An answer of this kind came or goes out.
    pub(crate) fn answered(&mut self, kind: u8) -> Result<(), Violation> {
        match kind {
            to_device::PUBLISHED => one_less(&mut self.publishes),
            to_device::CONNECTED => one_less(&mut self.connects),
            to_device::SUBSCRIBED => self.done(to_cloud::SUBSCRIBE),
            to_device::UNSUBSCRIBED => self.done(to_cloud::UNSUBSCRIBE),
            to_device::HTTP_RESPONSE => self.done(to_cloud::HTTP_REQUEST),
            to_device::CONFIG_RESPONSE => self.done(to_cloud::CONFIG_FETCH),
            to_device::DISCONNECTED => {
                self.done(to_cloud::DISCONNECT).or_else(|broken| self.broker_end(broken))
            }
            _ => Ok(()),
        }
    }

    fn wait(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.waiting & bit != 0 {
            return Err(violation::REQUEST_TWICE);
        }
        self.waiting |= bit;
        Ok(())
    }

    fn wait_once(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.spent & bit != 0 {
            return Err(violation::REQUEST_TWICE);
        }
        self.spent |= bit;
        self.wait(kind)
    }

    fn done(&mut self, kind: u8) -> Result<(), Violation> {
        let bit = 1 << kind;
        if self.waiting & bit == 0 {
            return Err(violation::UNASKED_ANSWER);
        }
        self.waiting &= !bit;
        Ok(())
    }

    /// `DISCONNECTED` without a request tells that the broker ended the connection, once.
    fn broker_end(&mut self, broken: Violation) -> Result<(), Violation> {
        if core::mem::replace(&mut self.ended, true) { Err(broken) } else { Ok(()) }
    }
}

fn one_less(count: &mut u8) -> Result<(), Violation> {
    *count = count.checked_sub(1).ok_or(violation::UNASKED_ANSWER)?;
    Ok(())
}

/// The item being sent on a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub kind: u8,
    pub left: u32,
}

impl Sending {
    /// Cuts the next fragment of at most `most` bytes; `None` when that leaves no room for a byte there is to send.
    pub(crate) fn fragment(&mut self, channel: u8, most: usize) -> Option<(HeaderBytes, usize)> {
        let length = (self.left as usize).min(most).min(MAX_FRAME_BODY);
        if length == 0 && self.left > 0 {
            return None;
        }
        self.left -= length as u32;
        let header = Header { kind: self.kind, channel, length: length as u16, more: self.left > 0 };
        Some((header.to_bytes(), length))
    }
}

/// Collects the body of a frame that is never cut. `N` is the longest that is of interest; what follows it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Gather<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Gather<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// Takes a piece; whether the frame is whole now.
    pub(crate) fn take(&mut self, piece: &Piece<'_>) -> bool {
        if piece.first {
            self.len = 0;
        }
        let count = piece.bytes.len().min(N - self.len);
        self.bytes[self.len..][..count].copy_from_slice(&piece.bytes[..count]);
        self.len += count;
        piece.last
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Writes whole frames into lent bytes; one that does not fit is not begun.
pub(crate) struct Output<'a> {
    out: &'a mut [u8],
    written: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, written: 0 }
    }

    /// Writes a frame; whether it fitted.
    pub(crate) fn frame(&mut self, channel: u8, kind: u8, body: &[u8]) -> bool {
        let header = Header { kind, channel, length: body.len() as u16, more: false }.to_bytes();
        let header = header.as_slice();
        let end = self.written + header.len() + body.len();
        let Some(room) = self.out.get_mut(self.written..end) else { return false };
        room[..header.len()].copy_from_slice(header);
        room[header.len()..].copy_from_slice(body);
        self.written = end;
        true
    }

    pub(crate) const fn written(&self) -> usize {
        self.written
    }
}

/// Writes a body of one number.
pub(crate) fn number(value: u64, out: &mut [u8; crate::varint::MAX_64]) -> &[u8] {
    let length = crate::varint::encode(value, out);
    &out[..length]
}
