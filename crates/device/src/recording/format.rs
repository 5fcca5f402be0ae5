//! The bytes of a recording.
//!
//! ```text
//! file    = "OVREC\r\n\x1A" version(2) head entry*            integers little-endian
//! head    = device-id(34) image-sha256(32) seed(32) flags(1)
//!           restart-min-ms(v) restart-max-ms(v) check-in-s(v) grace-s(v) poll-scale(v)
//!           ssid(b) flash(b) wiring-count(v) wiring(b)*
//! entry   = tag-and-run-state(1) cycles-since-the-entry-before(v) ...  by tag, below
//! v       = LEB128, at most ten bytes            b = length(v) bytes
//! ```
//!
//! Flags: bit 0 factory test, bit 1 Wi-Fi settings are stored, bit 2 they have a password (which is not in here),
//! bit 3 the time was scaled.
//! The flash is the external one, without the erased bytes at its end.

mod debugger;

use std::fmt;
use std::io::{self, Read, Write};

use armv8m::Cycles;
use kernel::limits::MAX_SSID;
use kernel::{LinkLoss, Policy};

use super::{DIGEST, Entry, Position, Record, RecordingError};
use crate::entropy::Seed;
use crate::identity::DeviceId;
use crate::machine::{Input, RestartPolicy, RunState};
use crate::pin::Pin;
use crate::storage;
use crate::transport::CHUNK;
use crate::wiring::Attachment;

const MAGIC: &[u8; 8] = b"OVREC\r\n\x1A";

/// The format's version. Another one is refused: a digest covers what this version of the program says of its machine.
pub(super) const VERSION: u16 = 3;

/// Most things wired to a board that a recording names.
pub const MAX_WIRING: usize = 64;

/// Longest text in a recording, in bytes.
const MAX_TEXT: usize = 4096;

/// Most bytes that reach a serial port at once.
const MAX_SERIAL: usize = 1 << 20;

/// What a device was made of.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its id.
    pub device_id: DeviceId,
    /// SHA-256 of its image.
    pub image: [u8; 32],
    /// The seed of its random words.
    pub seed: Seed,
    /// How soon it restarted after a fault.
    pub restart: RestartPolicy,
    /// What its bundle said of the network.
    pub policy: Policy,
    /// It ran a factory test.
    pub factory_test: bool,
    /// Its time was not that of the cloud's world.
    pub free_clock: bool,
    /// Factor of the longest delay of a polling application's calls, recorded because a delay decides at which cycle a
    /// call returns (D219).
    pub poll_scale: u32,
    /// The Wi-Fi network it had stored, and whether that has a password.
    pub wifi: Option<(Vec<u8>, bool)>,
    /// Its external flash, without the erased bytes at the end.
    pub flash: Vec<u8>,
    /// Where each attachment was wired.
    pub wiring: Vec<String>,
}

impl fmt::Debug for Header {
    /// Names the device; the seed makes its handles, and its flash may contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}

/// Where each attachment is wired, as a recording has it.
pub fn wiring(attachments: &[Attachment]) -> Vec<String> {
    attachments.iter().map(|attachment| format!("{attachment:?}")).collect()
}

const FACTORY_TEST: u8 = 1 << 0;
const WIFI: u8 = 1 << 1;
const WIFI_PASSWORD: u8 = 1 << 2;
const FREE_CLOCK: u8 = 1 << 3;

impl Header {
    /// Writes the beginning of a file.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (ssid, has_password) = self.wifi.clone().unwrap_or_default();
        let flags = [
            (self.factory_test, FACTORY_TEST),
            (self.wifi.is_some(), WIFI),
            (has_password, WIFI_PASSWORD),
            (self.free_clock, FREE_CLOCK),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.device_id.as_bytes());
        bytes.extend(self.image);
        bytes.extend(self.seed.0);
        bytes.push(flags);
        put(&mut bytes, self.restart.minimum_ms);
        put(&mut bytes, self.restart.maximum_ms);
        put(&mut bytes, self.policy.minimum_check_in_time_sec.into());
        put(&mut bytes, self.policy.connection_grace_time_sec.into());
        put(&mut bytes, self.poll_scale.into());
        put_bytes(&mut bytes, &ssid);
        put_bytes(&mut bytes, &self.flash);
        put(&mut bytes, self.wiring.len() as u64);
        self.wiring.iter().for_each(|text| put_bytes(&mut bytes, text.as_bytes()));
        out.write_all(&bytes)
    }

    /// Reads the beginning of a file.
    pub(super) fn read(from: &mut impl Read) -> Result<Self, RecordingError> {
        check_beginning(from)?;
        let id: [u8; 34] = array(from)?;
        let id = std::str::from_utf8(&id).ok().and_then(DeviceId::parse);
        let device_id = id.ok_or(RecordingError::Damaged("its device id is none"))?;
        let (image, seed) = (array(from)?, Seed(array(from)?));
        let [flags] = array(from)?;
        let restart = RestartPolicy { minimum_ms: take(from)?, maximum_ms: take(from)? };
        let policy =
            Policy { minimum_check_in_time_sec: take_u32(from)?, connection_grace_time_sec: take_u32(from)? };
        let poll_scale = take_u32(from)?;
        let ssid = take_bytes(from, MAX_SSID)?;
        let flash = take_bytes(from, storage::SIZE as usize)?;
        let count = take(from)? as usize;
        if count > MAX_WIRING {
            return Err(RecordingError::Damaged("too much is wired"));
        }
        let wiring = (0..count).map(|_| take_text(from)).collect::<Result<_, _>>()?;
        let wifi = (flags & WIFI != 0).then_some((ssid, flags & WIFI_PASSWORD != 0));
        let (factory_test, free_clock) = (flags & FACTORY_TEST != 0, flags & FREE_CLOCK != 0);
        Ok(Self {
            device_id,
            image,
            seed,
            restart,
            policy,
            factory_test,
            free_clock,
            poll_scale,
            wifi,
            flash,
            wiring,
        })
    }
}

fn check_beginning(from: &mut impl Read) -> Result<(), RecordingError> {
    let magic: [u8; 8] = array(from).map_err(|_| RecordingError::Foreign)?;
    if magic != *MAGIC {
        return Err(RecordingError::Foreign);
    }
    match u16::from_le_bytes(array(from)?) {
        VERSION => Ok(()),
        other => Err(RecordingError::Version(other)),
    }
}

mod tag {
    pub(super) const SERIAL: u8 = 1;
    pub(super) const PIN: u8 = 2;
    pub(super) const QUANTITY: u8 = 3;
    pub(super) const LINK_CONNECTING: u8 = 4;
    pub(super) const LINK_CONNECTED: u8 = 5;
    pub(super) const LINK_LOST: u8 = 6;
    pub(super) const RECEIVED: u8 = 7;
    pub(super) const TRANSMITTED: u8 = 8;
    pub(super) const SHUTDOWN: u8 = 9;
    pub(super) const CHECK: u8 = 10;
    pub(super) const END: u8 = 11;
    pub(super) const TIME_SKIPPED: u8 = 12;
    pub(super) const DEBUGGER: u8 = 13;
    pub(super) const TIMEOUT: u8 = 14;
    /// The rest of the byte is the run state.
    pub(super) const BITS: u32 = 6;
}

/// Writes an entry that follows one at cycle `before`.
pub(super) fn write_entry(position: Position, record: &Record<'_>, before: Cycles, out: &mut Vec<u8>) {
    let run_state = match position.run_state {
        RunState::Ran => 0,
        RunState::Idle => 1,
        RunState::Passed => 2,
    };
    out.push(tag_of(record) | run_state << tag::BITS);
    put(out, position.cycle - before);
    match record {
        Record::Input(input) => write_input(input, out),
        Record::Transmitted { length, checksum } => {
            put(out, u64::from(*length));
            out.extend(checksum);
        }
        Record::Check(digest) | Record::End(digest) => out.extend(digest),
    }
}

fn tag_of(record: &Record<'_>) -> u8 {
    match record {
        Record::Input(input) => match input {
            Input::Timeout => tag::TIMEOUT,
            Input::Serial { .. } => tag::SERIAL,
            Input::Pin { .. } => tag::PIN,
            Input::Quantity { .. } => tag::QUANTITY,
            Input::LinkConnecting => tag::LINK_CONNECTING,
            Input::LinkConnected => tag::LINK_CONNECTED,
            Input::LinkLost { .. } => tag::LINK_LOST,
            Input::Received(_) => tag::RECEIVED,
            Input::TimeSkipped(_) => tag::TIME_SKIPPED,
            Input::Shutdown => tag::SHUTDOWN,
            Input::Debugger(_) => tag::DEBUGGER,
        },
        Record::Transmitted { .. } => tag::TRANSMITTED,
        Record::Check(_) => tag::CHECK,
        Record::End(_) => tag::END,
    }
}

fn write_input(input: &Input<'_>, out: &mut Vec<u8>) {
    match input {
        Input::Serial { port, bytes } => {
            out.push(*port);
            put_bytes(out, bytes);
        }
        Input::Pin { pin, level } => out.extend([pin.port, pin.pin, u8::from(*level)]),
        Input::Quantity { bus, address, name, value } => {
            out.extend([*bus, *address]);
            put_text(out, name);
            out.extend(value.to_bits().to_le_bytes());
        }
        Input::Timeout | Input::LinkConnecting | Input::LinkConnected | Input::Shutdown => {}
        Input::LinkLost { kind, cause } => {
            out.push(loss_number(*kind));
            put_text(out, cause);
        }
        Input::Received(bytes) => put_bytes(out, bytes),
        Input::TimeSkipped(cycles) => put(out, *cycles),
        Input::Debugger(input) => debugger::write(input, out),
    }
}

/// Reads the entry that follows one at cycle `before`; `None` at the file's end.
pub(super) fn read_entry(from: &mut impl Read, before: Cycles) -> Result<Option<Entry>, RecordingError> {
    let mut first = [0];
    if from.read(&mut first)? == 0 {
        return Ok(None);
    }
    let run_state = match first[0] >> tag::BITS {
        0 => RunState::Ran,
        1 => RunState::Idle,
        2 => RunState::Passed,
        _ => return Err(RecordingError::Damaged("an entry with an unknown run state")),
    };
    let cycle = before.checked_add(take(from)?).ok_or(RecordingError::Damaged("its time overflows"))?;
    let record = read_record(from, first[0] & ((1 << tag::BITS) - 1))?;
    Ok(Some(Entry { position: Position { cycle, run_state }, record }))
}

fn read_record(from: &mut impl Read, tag: u8) -> Result<Record<'static>, RecordingError> {
    Ok(match tag {
        tag::TRANSMITTED => {
            let length = take_u32(from)?;
            if length as usize > CHUNK {
                return Err(RecordingError::Damaged("more bytes than a chunk"));
            }
            Record::Transmitted { length, checksum: array(from)? }
        }
        tag::CHECK => Record::Check(array::<DIGEST>(from)?),
        tag::END => Record::End(array::<DIGEST>(from)?),
        _ => Record::Input(read_input(from, tag)?),
    })
}

fn read_input(from: &mut impl Read, tag: u8) -> Result<Input<'static>, RecordingError> {
    Ok(match tag {
        tag::SERIAL => {
            let [port] = array(from)?;
            Input::Serial { port, bytes: take_bytes(from, MAX_SERIAL)?.into() }
        }
        tag::PIN => {
            let [port, pin, level] = array(from)?;
            Input::Pin { pin: Pin { port, pin }, level: level != 0 }
        }
        tag::QUANTITY => {
            let [bus, address] = array(from)?;
            let name = take_text(from)?.into();
            Input::Quantity { bus, address, name, value: f64::from_bits(u64::from_le_bytes(array(from)?)) }
        }
        tag::LINK_CONNECTING => Input::LinkConnecting,
        tag::LINK_CONNECTED => Input::LinkConnected,
        tag::LINK_LOST => {
            let [number] = array(from)?;
            let kind = loss_of(number).ok_or(RecordingError::Damaged("an unknown kind of loss"))?;
            Input::LinkLost { kind, cause: take_text(from)?.into() }
        }
        tag::RECEIVED => Input::Received(take_bytes(from, CHUNK)?.into()),
        tag::TIME_SKIPPED => Input::TimeSkipped(take(from)?),
        tag::SHUTDOWN => Input::Shutdown,
        tag::TIMEOUT => Input::Timeout,
        tag::DEBUGGER => Input::Debugger(debugger::read(from)?),
        _ => return Err(RecordingError::Damaged("an entry of an unknown kind")),
    })
}

fn loss_number(kind: LinkLoss) -> u8 {
    match kind {
        LinkLoss::NoCarrier => 0,
        LinkLoss::Unreachable => 1,
        LinkLoss::Requested => 2,
    }
}

fn loss_of(number: u8) -> Option<LinkLoss> {
    [LinkLoss::NoCarrier, LinkLoss::Unreachable, LinkLoss::Requested].get(usize::from(number)).copied()
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(MAX_TEXT)]);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend(bytes);
}

fn take(from: &mut impl Read) -> Result<u64, RecordingError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = array(from)?;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(RecordingError::Damaged("a number that is too large"))
}

fn take_u32(from: &mut impl Read) -> Result<u32, RecordingError> {
    u32::try_from(take(from)?).map_err(|_| RecordingError::Damaged("a number that is too large"))
}

fn take_bytes(from: &mut impl Read, most: usize) -> Result<Vec<u8>, RecordingError> {
    let length = take(from)?;
    if length > most as u64 {
        return Err(RecordingError::Damaged("more bytes than there can be"));
    }
    // A length alone makes no room: that grows with the bytes that are there.
    let mut bytes = Vec::new();
    from.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

fn take_text(from: &mut impl Read) -> Result<String, RecordingError> {
    String::from_utf8(take_bytes(from, MAX_TEXT)?).map_err(|_| RecordingError::Damaged("a text that is none"))
}

fn array<const N: usize>(from: &mut impl Read) -> Result<[u8; N], RecordingError> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
