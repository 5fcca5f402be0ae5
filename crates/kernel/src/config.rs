//! One configuration fetch: its keys go out once, its values stay readable until the channel is closed.

use abi::Status;
use abi::config::{
    ConfigKeyFetchParams, ConfigKeyFetchScope, ConfigKeyFetchStore, ConfigKeyToFetch, ConfigResponseData,
    ConfigResponseReadItemParams,
};
use abi::notifications::EventType;
use link::config::{ConfigHead, FetchResult, KeyPlace, KeyResult};
use link::kind::{to_cloud, to_device};
use link::{Fragment, Violation, violation};

use crate::Kernel;
use crate::channel::Base;
use crate::limits::{MAX_CONFIG_KEY_LENGTH, MAX_CONFIG_KEYS};
use crate::memory::{Memory, MemoryFault, Output, Phase as _, Span, structure};
use crate::outbox::{self, Body, Sink, length_of};
use crate::port::Port;
use crate::strings::StringOutput;

/// The state of one configuration channel.
pub(crate) struct Config {
    stage: Stage,
    /// Keys of the request.
    asked: u8,
    result: FetchResult,
    /// Each key's result and the bytes of its value; the values are in the receive ring, one behind the other.
    items: [(KeyResult, u32); MAX_CONFIG_KEYS],
    count: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unasked,
    InFlight,
    /// The head of the response has come, its values are coming.
    Coming,
    Complete,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Unasked,
            asked: 0,
            result: FetchResult::Ok,
            items: [(KeyResult::Ok, 0); MAX_CONFIG_KEYS],
            count: 0,
        }
    }

    /// Whether the response is there, so that the end of the channel is no news.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Takes a fragment of the response; whether the response became whole by it.
    pub(crate) fn item(
        &mut self,
        base: &mut Base,
        memory: &mut dyn Memory,
        fragment: &Fragment<'_>,
        stored: &mut dyn FnMut(u32) -> Result<(), Violation>,
    ) -> Result<bool, Violation> {
        if fragment.kind != to_device::CONFIG_RESPONSE {
            return Err(violation::WRONG_CHANNEL_TYPE);
        }
        let (head, bytes) = base.inbox.head(fragment, ConfigHead::decode)?;
        if let Some(head) = head {
            self.take_head(&head)?;
        }
        stored(bytes.len() as u32)?;
        base.inbox.store(memory, bytes)?;
        if !fragment.last {
            return Ok(false);
        }
        if u64::from(base.inbox.finish()) != self.length() {
            return Err(violation::BYTES_LEFT_OVER);
        }
        self.stage = Stage::Complete;
        Ok(true)
    }

    fn take_head(&mut self, head: &ConfigHead) -> Result<(), Violation> {
        if self.stage != Stage::InFlight {
            return Err(violation::UNASKED_ANSWER);
        }
        let items = head.items();
        if head.result == FetchResult::Ok && items.len() != usize::from(self.asked) {
            return Err(violation::WRONG_COUNT);
        }
        self.items[..items.len()].copy_from_slice(items);
        (self.stage, self.result, self.count) = (Stage::Coming, head.result, items.len() as u8);
        Ok(())
    }

    fn items(&self) -> &[(KeyResult, u32)] {
        &self.items[..usize::from(self.count)]
    }

    fn length(&self) -> u64 {
        self.items().iter().map(|(_, length)| u64::from(*length)).sum()
    }

    /// Reads need the whole response.
    fn complete(&self, base: &Base) -> Result<(), Status> {
        if self.is_complete() { Ok(()) } else { Err(base.nothing()) }
    }
}

/// The keys of a request, checked and copied, except for the strings themselves.
struct Fetch {
    keys: [Key; MAX_CONFIG_KEYS],
    count: usize,
    is_too_long: bool,
}

#[derive(Clone, Copy, Default)]
struct Key {
    scope: u32,
    store: u32,
    name: Span,
    is_printable: bool,
}

impl Fetch {
    fn read(memory: &dyn Memory, params: ConfigKeyFetchParams) -> Result<Self, MemoryFault> {
        let size = ConfigKeyToFetch::SIZE as u32;
        let array = Span::array(params.keys_to_fetch, params.num_items, size)?;
        let is_too_long = params.num_items as usize > MAX_CONFIG_KEYS;
        let count = if is_too_long { 0 } else { params.num_items as usize };
        let mut keys = [Key::default(); MAX_CONFIG_KEYS];
        for (index, key) in (0..).zip(&mut keys[..count]) {
            *key = Key::read(memory, array.at(index * size))?;
        }
        Ok(Self { keys, count, is_too_long })
    }

    fn keys(&self) -> &[Key] {
        &self.keys[..self.count]
    }

    /// What no cloud would have to be asked about (D63).
    fn check(&self) -> Result<(), Status> {
        if self.is_too_long {
            return Err(Status::TooManyConfigKeys);
        }
        self.keys().iter().try_for_each(Key::check)
    }
}

impl Key {
    fn read(memory: &dyn Memory, at: u32) -> Result<Self, MemoryFault> {
        let key: ConfigKeyToFetch = structure(memory, at)?;
        let name = Span::readable(key.key.data, key.key.length)?;
        let mut bytes = [0; MAX_CONFIG_KEY_LENGTH as usize];
        let is_printable = match bytes.get_mut(..name.length() as usize) {
            Some(bytes) if !bytes.is_empty() => {
                memory.read(name.address(), bytes)?;
                bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e))
            }
            _ => false,
        };
        Ok(Self { scope: key.scope, store: key.store, name, is_printable })
    }

    fn check(&self) -> Result<(), Status> {
        ConfigKeyFetchStore::from_raw(self.store).ok_or(Status::UnknownConfigStore)?;
        ConfigKeyFetchScope::from_raw(self.scope).ok_or(Status::UnknownConfigScope)?;
        if self.is_printable { Ok(()) } else { Err(Status::InvalidConfigKey) }
    }

    fn place(&self) -> KeyPlace {
        KeyPlace {
            device: self.scope == ConfigKeyFetchScope::Device.raw(),
            config: self.store == ConfigKeyFetchStore::Config.raw(),
        }
    }
}

impl Body for Fetch {
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), MemoryFault> {
        for key in self.keys() {
            sink.bytes(&[key.place().code()])?;
            outbox::string(sink, key.name)?;
        }
        Ok(())
    }
}

impl Kernel {
    /// `mvSendConfigFetchRequest`. A channel has one request in its life, so its size is held against the whole ring.
    pub(crate) fn send_config_fetch(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        request: u32,
    ) -> Result<(), Status> {
        let params: ConfigKeyFetchParams = structure(port.memory, request).early()?;
        let fetch = Fetch::read(port.memory, params).late()?;
        let (base, config) = self.channels.config(handle)?;
        if length_of(&fetch) > u64::from(base.outbox.size()) {
            return Err(Status::InvalidBufferSize);
        }
        base.connected()?;
        if config.stage != Stage::Unasked {
            return Err(Status::RequestAlreadySent);
        }
        fetch.check()?;
        if fetch.count == 0 {
            // Nothing to ask the cloud: the answer, as empty, is the kernel's own (D82).
            config.stage = Stage::Complete;
            self.notifications.post(port, base.to, EventType::ChannelDataReadable);
            return Ok(());
        }
        base.outbox.put(port.memory, to_cloud::CONFIG_FETCH, &fetch)?;
        (config.stage, config.asked) = (Stage::InFlight, fetch.count as u8);
        Ok(())
    }

    /// `mvReadConfigFetchResponseData`.
    pub(crate) fn read_config_response(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        to: u32,
    ) -> Result<(), Status> {
        let to = Output::claim(port.memory, to).early()?;
        let (base, config) = self.channels.config(handle)?;
        config.complete(base)?;
        let response = ConfigResponseData {
            result: u32::from(config.result.code()),
            num_items: u32::from(config.count),
        };
        to.put(port.memory, response.to_bytes()).early()
    }

    /// `mvReadConfigResponseItem`. May be repeated, in any order.
    pub(crate) fn read_config_item(
        &mut self,
        port: &mut Port<'_>,
        handle: u32,
        params: u32,
    ) -> Result<(), Status> {
        let params: ConfigResponseReadItemParams = structure(port.memory, params).early()?;
        let result_to = Output::mapped(params.result).late()?;
        let value_to = StringOutput::mapped(params.buf).late()?;
        let (base, config) = self.channels.config(handle)?;
        config.complete(base)?;
        let index = params.item_index as usize;
        let (result, length) = *config.items().get(index).ok_or(Status::IndexInvalid)?;
        value_to.fits(length)?;

        let offset = config.items()[..index].iter().map(|(_, length)| length).sum();
        value_to.put_text(port.memory, base.inbox.ring(), offset, length).late()?;
        port.memory.write_words(&[result_to.with(result.code().into()), value_to.length(length)]).late()
    }
}
