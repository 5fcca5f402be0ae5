//! Configuration and secrets of the device and its account, fetched over a channel of their own.

use openvisor_sys as sys;
use openvisor_sys::{
    MV_CHANNELTYPE_CONFIGFETCH, MvConfigFetchResult, MvConfigKeyFetchParams, MvConfigKeyFetchResult,
    MvConfigKeyFetchScope, MvConfigKeyFetchStore, MvConfigKeyToFetch, MvConfigResponseData,
    MvConfigResponseReadItemParams, MvSizedString, MvSizedStringBuffer,
};

use crate::{Buffers, Centre, Channel, Network, Result};

/// One fetch: a channel, one request, and its answer. Closed on drop.
pub struct Fetch(Channel);

/// A key to fetch.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Key<'a> {
    key: MvConfigKeyToFetch,
    name: core::marker::PhantomData<&'a str>,
}

impl<'a> Key<'a> {
    /// A key in a scope's store.
    pub const fn new(scope: MvConfigKeyFetchScope, store: MvConfigKeyFetchStore, name: &'a str) -> Self {
        let key = MvSizedString::new(name.as_bytes());
        Self { key: MvConfigKeyToFetch { scope, store, key }, name: core::marker::PhantomData }
    }

    /// One of the device's settings.
    pub const fn device(name: &'a str) -> Self {
        Self::new(sys::MV_CONFIGKEYFETCHSCOPE_DEVICE, sys::MV_CONFIGKEYFETCHSTORE_CONFIG, name)
    }

    /// One of the device's secrets.
    pub const fn device_secret(name: &'a str) -> Self {
        Self::new(sys::MV_CONFIGKEYFETCHSCOPE_DEVICE, sys::MV_CONFIGKEYFETCHSTORE_SECRET, name)
    }
}

impl Fetch {
    /// Opens a channel for one fetch.
    pub fn open<const RECEIVE: usize, const SEND: usize>(
        network: &Network,
        centre: &'static Centre,
        buffers: &'static Buffers<RECEIVE, SEND>,
    ) -> Result<Self> {
        Channel::open(MV_CHANNELTYPE_CONFIGFETCH, network, centre, buffers).map(Self)
    }

    /// The channel: whether it is lost, and waiting for it.
    pub fn channel(&self) -> &Channel {
        &self.0
    }

    /// Asks for these keys.
    pub fn request(&self, keys: &[Key<'_>]) -> Result<()> {
        let params =
            MvConfigKeyFetchParams { num_items: keys.len() as u32, keys_to_fetch: keys.as_ptr().cast() };
        // SAFETY: the keys outlive the call, which is done with them on return; `Key` has the layout of what it holds.
        unsafe { sys::mvSendConfigFetchRequest(self.0.handle(), &raw const params) }.ok()
    }

    /// The answer, once the channel is readable: whether it is complete, and how many items it has.
    pub fn answer(&self) -> Result<MvConfigResponseData> {
        let mut answer = MvConfigResponseData { result: MvConfigFetchResult(0), num_items: 0 };
        // SAFETY: writes the answer.
        unsafe { sys::mvReadConfigFetchResponseData(self.0.handle(), &raw mut answer) }.ok()?;
        Ok(answer)
    }

    /// The item of a key, by the key's place in the request: the result, and its value in the buffer.
    pub fn item<'b>(&self, index: u32, buffer: &'b mut [u8]) -> Result<(MvConfigKeyFetchResult, &'b [u8])> {
        let mut result = sys::MV_CONFIGKEYFETCHRESULT_SERVERERROR;
        let mut length = 0;
        let buf = MvSizedStringBuffer {
            data: buffer.as_mut_ptr(),
            size: buffer.len() as u32,
            length: &raw mut length,
        };
        let params = MvConfigResponseReadItemParams { item_index: index, result: &raw mut result, buf };
        // SAFETY: writes to the buffer and the two variables, which are live.
        unsafe { sys::mvReadConfigResponseItem(self.0.handle(), &raw const params) }.ok()?;
        Ok((result, buffer.get(..length as usize).unwrap_or_default()))
    }
}
