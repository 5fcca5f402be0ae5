//! The system calls of configuration channels.

use abi::Status;
use abi::config::{
    ConfigKeyFetchParams, ConfigKeyFetchScope, ConfigKeyFetchStore, ConfigKeyToFetch, ConfigResponseData,
    ConfigResponseReadItemParams,
};
use abi::notifications::EventType;
use link::config::KeyLocation;
use link::kind::to_cloud;

use super::Stage;
use crate::channel::Channels;
use crate::limits::{MAX_CONFIG_KEY_LENGTH, MAX_CONFIG_KEYS};
use crate::memory::{Memory, MemoryFault, OutParam, Phase as _, Span, read_struct};
use crate::notifications::Notifications;
use crate::outbox::{Body, Sink, encode_string, length_of};
use crate::port::Port;
use crate::strings::StringOutParam;

/// The keys of a request, copied except for their names.
struct Request {
    keys: [Key; MAX_CONFIG_KEYS],
    count: usize,
    has_too_many_keys: bool,
}

#[derive(Clone, Copy, Default)]
struct Key {
    scope: u32,
    store: u32,
    name: Span,
    is_printable: bool,
}

impl Request {
    fn read(memory: &dyn Memory, params: ConfigKeyFetchParams) -> Result<Self, MemoryFault> {
        let size = ConfigKeyToFetch::SIZE as u32;
        let array = Span::array(params.keys_to_fetch, params.num_items, size)?;
        let has_too_many_keys = params.num_items as usize > MAX_CONFIG_KEYS;
        let count = if has_too_many_keys { 0 } else { params.num_items as usize };
        let mut keys = [Key::default(); MAX_CONFIG_KEYS];
        for (index, key) in (0..).zip(&mut keys[..count]) {
            *key = Key::read(memory, array.at(index * size))?;
        }
        Ok(Self { keys, count, has_too_many_keys })
    }

    fn keys(&self) -> &[Key] {
        &self.keys[..self.count]
    }

    /// Refuses what the cloud would refuse whatever its stores contain (D63).
    fn check(&self) -> Result<(), Status> {
        if self.has_too_many_keys {
            return Err(Status::TooManyConfigKeys);
        }
        self.keys().iter().try_for_each(Key::check)
    }
}

impl Key {
    fn read(memory: &dyn Memory, at: u32) -> Result<Self, MemoryFault> {
        let key: ConfigKeyToFetch = read_struct(memory, at)?;
        let name = Span::readable(key.key.data, key.key.length)?;
        let mut bytes = [0; MAX_CONFIG_KEY_LENGTH as usize];
        // Read now, because a fault has to be reported before other errors; the key itself is read again when it is
        // encoded.
        let is_printable = match bytes.get_mut(..name.length() as usize) {
            Some(bytes) if !bytes.is_empty() => {
                memory.read(name.address(), bytes)?;
                bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e))
            }
            // Empty or too long.
            _ => false,
        };
        Ok(Self { scope: key.scope, store: key.store, name, is_printable })
    }

    fn check(&self) -> Result<(), Status> {
        ConfigKeyFetchStore::from_raw(self.store).ok_or(Status::UnknownConfigStore)?;
        ConfigKeyFetchScope::from_raw(self.scope).ok_or(Status::UnknownConfigScope)?;
        if self.is_printable { Ok(()) } else { Err(Status::InvalidConfigKey) }
    }

    /// Scope and store as the link has them.
    fn place(&self) -> KeyLocation {
        KeyLocation {
            device: self.scope == ConfigKeyFetchScope::Device.raw(),
            config: self.store == ConfigKeyFetchStore::Config.raw(),
        }
    }
}

impl Body for Request {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        for key in self.keys() {
            sink.bytes(&[key.place().code()])?;
            encode_string(sink, key.name)?;
        }
        Ok(())
    }
}

/// `mvSendConfigFetchRequest`. A channel sends one request in its life, so a request that is longer than the whole ring
/// can never be sent; that is said before anything else.
pub(crate) fn send(
    channels: &mut Channels,
    notifications: &mut Notifications,
    port: &mut Port<'_>,
    handle: u32,
    request: u32,
) -> Result<(), Status> {
    let params: ConfigKeyFetchParams = read_struct(port.memory, request).early()?;
    let request = Request::read(port.memory, params).late()?;
    let (core, config) = channels.config(handle)?;
    if length_of(&request) > u64::from(core.outbox.size()) {
        return Err(Status::InvalidBufferSize);
    }
    core.require_connected()?;
    if config.stage != Stage::Idle {
        return Err(Status::RequestAlreadySent);
    }
    request.check()?;
    if request.count == 0 {
        // The link has no request without keys, and no status refuses one: the empty response is the kernel's (D82).
        config.stage = Stage::Complete;
        notifications.post(port, core.target, EventType::ChannelDataReadable);
        return Ok(());
    }
    core.outbox.put(port.memory, to_cloud::CONFIG_FETCH, &request)?;
    (config.stage, config.requested) = (Stage::InFlight, request.count as u8);
    Ok(())
}

/// `mvReadConfigFetchResponseData`.
pub(crate) fn read_response(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    to: u32,
) -> Result<(), Status> {
    let to = OutParam::check(port.memory, to).early()?;
    let (core, config) = channels.config(handle)?;
    config.require_complete(core)?;
    let response =
        ConfigResponseData { result: u32::from(config.result.code()), num_items: u32::from(config.count) };
    to.write(port.memory, response.to_bytes()).early()
}

/// `mvReadConfigResponseItem`. May be repeated, in any order.
pub(crate) fn read_item(
    channels: &mut Channels,
    port: &mut Port<'_>,
    handle: u32,
    params: u32,
) -> Result<(), Status> {
    let params: ConfigResponseReadItemParams = read_struct(port.memory, params).early()?;
    let result_out = OutParam::check_map(params.result).late()?;
    let value_out = StringOutParam::check_map(params.buf).late()?;
    let (core, config) = channels.config(handle)?;
    config.require_complete(core)?;
    let index = params.item_index as usize;
    let (result, length) = *config.items().get(index).ok_or(Status::IndexInvalid)?;
    value_out.check_fits(length)?;

    // The values are behind one another in the ring, which is why items may be read in any order.
    let offset = config.items()[..index].iter().map(|(_, length)| length).sum();
    value_out.copy_from(port.memory, core.inbox.ring(), offset, length).late()?;
    let words = [result_out.word(result.code().into()), value_out.length_word(length)];
    port.memory.write_words(&words).late()
}
