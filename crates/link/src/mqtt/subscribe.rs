//! `SUBSCRIBE`, `UNSUBSCRIBE` and their answers.

use super::{RequestState, bit};
use crate::bytes::{Reader, Writer, count_element, require_elements};
use crate::limits::FILTERS;
use crate::violation::{self, Violation};

/// The byte before a filter of `SUBSCRIBE`: each filter has options of its own (M70).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// 0 or 1; 3 stands for any value that is not relayed, which the cloud answers as invalid (D46). 2 is not used.
    pub qos: u8,
    /// The client's own messages are not sent to it.
    pub no_local: bool,
    /// Retained messages are delivered with the flag they were published with.
    pub retain_as_published: bool,
    /// 0 to 2; 3 stands for any value that is not relayed (D46).
    pub retain_handling: u8,
}

impl SubscribeOptions {
    const NO_LOCAL: u8 = 0x04;
    const RETAIN_AS_PUBLISHED: u8 = 0x08;
    const RESERVED: u8 = 0xc0;

    /// Stands in `qos` and `retain_handling` for a value that is not relayed.
    pub const OUT_OF_RANGE: u8 = 3;

    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self.qos & 3
            | bit(self.no_local, Self::NO_LOCAL)
            | bit(self.retain_as_published, Self::RETAIN_AS_PUBLISHED)
            | (self.retain_handling & 3) << 4
    }

    /// The options of a byte.
    pub const fn from_code(code: u8) -> Result<Self, Violation> {
        let qos = code & 3;
        if code & Self::RESERVED != 0 || qos == 2 {
            return Err(violation::VALUE_OUT_OF_RANGE);
        }
        Ok(Self {
            qos,
            no_local: code & Self::NO_LOCAL != 0,
            retain_as_published: code & Self::RETAIN_AS_PUBLISHED != 0,
            retain_handling: code >> 4 & 3,
        })
    }
}

/// A whole `SUBSCRIBE`, as the cloud reads it. The device writes, for each filter, the options' byte and a `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    encoded: &'a [u8],
}

impl<'a> Subscribe<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let mut count = 0;
        while !reader.is_empty() {
            count = count_element(count, FILTERS)?;
            SubscribeOptions::from_code(reader.u8()?)?;
            reader.str()?;
        }
        require_elements(count)?;
        Ok(Self { encoded: body })
    }

    /// The options and filters in order, 1 to 8.
    pub fn iter(&self) -> impl Iterator<Item = (SubscribeOptions, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || {
            let options = SubscribeOptions::from_code(reader.u8().ok()?).ok()?;
            Some((options, reader.str().ok()?))
        })
    }
}

/// A whole `UNSUBSCRIBE`, as the cloud reads it. The device writes each filter as a `str`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    encoded: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    /// Reads a whole item.
    pub fn decode(body: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let mut count = 0;
        while !reader.is_empty() {
            count = count_element(count, FILTERS)?;
            reader.str()?;
        }
        require_elements(count)?;
        Ok(Self { encoded: body })
    }

    /// The filters in order, 1 to 8.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        core::iter::from_fn(move || if reader.is_empty() { None } else { reader.str().ok() })
    }
}

/// The answer to `SUBSCRIBE` and, with another kind, to `UNSUBSCRIBE`: the broker's code for each filter, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterCodes {
    /// How the request ended.
    pub state: RequestState,
    codes: [u8; FILTERS as usize],
    count: u8,
}

impl FilterCodes {
    /// Bytes the longest body can have.
    pub const MAX: usize = 1 + FILTERS as usize;

    /// The broker's codes, in the request's order; `None` if there are more than 8 or none.
    pub fn completed(codes: &[u8]) -> Option<Self> {
        let mut array = [0; FILTERS as usize];
        array.get_mut(..codes.len())?.copy_from_slice(codes);
        (!codes.is_empty()).then_some(Self {
            state: RequestState::Completed,
            codes: array,
            count: codes.len() as u8,
        })
    }

    /// A request that did not complete.
    pub const fn failed(state: RequestState) -> Self {
        Self { state, codes: [0; FILTERS as usize], count: 0 }
    }

    /// The codes; as many as the request had filters if it completed, else none.
    pub fn codes(&self) -> &[u8] {
        &self.codes[..usize::from(self.count)]
    }

    /// Writes the body and returns its length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        let mut writer = Writer::new(out);
        writer.u8(self.state.code());
        writer.bytes(self.codes());
        writer.written()
    }

    /// Reads a body. Whether there is a code for each filter is for the caller to check.
    pub fn decode(body: &[u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(body);
        let state = RequestState::from_code(reader.u8()?)?;
        match (state, reader.rest()) {
            (RequestState::Completed, codes) => Self::completed(codes).ok_or(violation::WRONG_COUNT),
            (state, []) => Ok(Self::failed(state)),
            _ => Err(violation::BYTES_LEFT_OVER),
        }
    }
}
