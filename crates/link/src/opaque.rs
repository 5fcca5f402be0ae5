//! Bytes that the link does not interpret: `DATA`, in both directions (link.md §5).
//!
//! The body is the bytes themselves, so there is nothing to encode or decode, only to cut.

use crate::limits::{MAX_FRAME_BODY, MAX_ITEM};

/// How many of `waiting` bytes the next `DATA` item takes, when the peer has room for `room`: never more than a
/// frame, so that no channel waits behind a long item.
pub const fn chunk(waiting: u32, room: u32) -> u32 {
    const MAX: u32 = if (MAX_FRAME_BODY as u32) < MAX_ITEM { MAX_FRAME_BODY as u32 } else { MAX_ITEM };
    let fits = if waiting < room { waiting } else { room };
    if fits < MAX { fits } else { MAX }
}
