//! Channels: each owns its two buffers while it is open, and closes on drop.

use core::cell::UnsafeCell;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use openvisor_sys::{
    MV_STATUS_BUFFERALREADYINUSE, MV_STATUS_INVALIDBUFFERSIZE, MV_STATUS_OKAY, MV_STATUS_TOOMANYCHANNELS,
    MvChannelHandle, MvChannelType, MvClosureReason, MvOpenChannelParams, MvOpenChannelParamsV1,
    MvSizedString, mvCloseChannel, mvGetChannelClosureReason, mvOpenChannel,
};

use crate::centre::{LOST, READABLE, Signal, WRITABLE};
use crate::{Centre, Network, Result, clock};

/// A channel's receive and send buffer. They are in a static, because the hypervisor accesses them between calls, and
/// belong to one channel at a time: `static BUFFERS: Buffers<8192, 4096> = Buffers::new();`
///
/// Both sizes are multiples of 512; what does not fit into them can be neither received nor sent.
pub struct Buffers<const RECEIVE: usize, const SEND: usize> {
    receive: Aligned<RECEIVE>,
    send: Aligned<SEND>,
    is_taken: AtomicBool,
}

#[repr(C, align(512))]
struct Aligned<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: `is_taken` gives both buffers to one channel at a time, and that gives them to the hypervisor.
unsafe impl<const RECEIVE: usize, const SEND: usize> Sync for Buffers<RECEIVE, SEND> {}

impl<const RECEIVE: usize, const SEND: usize> Buffers<RECEIVE, SEND> {
    /// Buffers that no channel has yet.
    pub const fn new() -> Self {
        const {
            assert!(
                RECEIVE > 0 && RECEIVE.is_multiple_of(512),
                "the receive buffer's size is no multiple of 512"
            );
        };
        const { assert!(SEND > 0 && SEND.is_multiple_of(512), "the send buffer's size is no multiple of 512") };
        Self {
            receive: Aligned(UnsafeCell::new([0; RECEIVE])),
            send: Aligned(UnsafeCell::new([0; SEND])),
            is_taken: AtomicBool::new(false),
        }
    }
}

impl<const RECEIVE: usize, const SEND: usize> Default for Buffers<RECEIVE, SEND> {
    fn default() -> Self {
        Self::new()
    }
}

/// An open channel.
pub struct Channel {
    handle: MvChannelHandle,
    signal: &'static Signal,
    is_taken: &'static AtomicBool,
}

impl Channel {
    /// Opens a channel over a connected network. [`MV_STATUS_BUFFERALREADYINUSE`] says that another channel has the
    /// buffers, [`MV_STATUS_TOOMANYCHANNELS`] also that the centre serves as many as it can.
    pub fn open<const RECEIVE: usize, const SEND: usize>(
        kind: MvChannelType,
        network: &Network,
        centre: &'static Centre,
        buffers: &'static Buffers<RECEIVE, SEND>,
    ) -> Result<Self> {
        centre.open()?;
        let receive_buffer_len = u32::try_from(RECEIVE).map_err(|_| MV_STATUS_INVALIDBUFFERSIZE)?;
        let send_buffer_len = u32::try_from(SEND).map_err(|_| MV_STATUS_INVALIDBUFFERSIZE)?;
        if buffers.is_taken.swap(true, Ordering::AcqRel) {
            return Err(MV_STATUS_BUFFERALREADYINUSE);
        }
        let Some(signal) = centre.claim() else {
            buffers.is_taken.store(false, Ordering::Release);
            return Err(MV_STATUS_TOOMANYCHANNELS);
        };
        let v1 = MvOpenChannelParamsV1 {
            notification_handle: centre.handle(),
            notification_tag: signal.tag(),
            network_handle: network.handle(),
            receive_buffer: buffers.receive.0.get().cast(),
            receive_buffer_len,
            send_buffer: buffers.send.0.get().cast(),
            send_buffer_len,
            channel_type: kind,
            endpoint: MvSizedString::EMPTY,
        };
        let params = MvOpenChannelParams { version: 1, v1 };
        let mut handle = 0;
        // SAFETY: the buffers are in statics and are given back only when the channel is closed.
        if let Err(status) = unsafe { mvOpenChannel(&raw const params, &raw mut handle) }.ok() {
            signal.release();
            buffers.is_taken.store(false, Ordering::Release);
            return Err(status);
        }
        Ok(Self { handle, signal, is_taken: &buffers.is_taken })
    }

    /// The handle, for system calls that this crate does not make.
    pub fn handle(&self) -> MvChannelHandle {
        self.handle
    }

    /// Whether something became readable since the last time.
    pub fn take_readable(&self) -> bool {
        self.signal.take(READABLE)
    }

    /// Whether room to write was announced since the last time: only for opaque bytes, after a write that did not fit.
    pub fn take_writable(&self) -> bool {
        self.signal.take(WRITABLE)
    }

    /// Whether the channel's connection is lost; what arrived before can still be read.
    pub fn is_lost(&self) -> bool {
        self.signal.has(LOST)
    }

    /// Waits for something readable; false if the channel is lost or the time has passed.
    pub fn wait_readable(&self, milliseconds: u32) -> bool {
        let start = clock::now();
        while !self.take_readable() {
            if self.is_lost() || clock::since(start) > milliseconds {
                return false;
            }
            clock::idle();
        }
        true
    }

    /// Waits until something became readable, true, or the channel is lost, false.
    pub async fn readable(&self) -> bool {
        poll_fn(|context| {
            self.signal.register(context.waker());
            if self.take_readable() {
                Poll::Ready(true)
            } else if self.is_lost() {
                Poll::Ready(false)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Why the channel is closed, if it is.
    pub fn closure_reason(&self) -> Result<MvClosureReason> {
        let mut reason = MvClosureReason(0);
        // SAFETY: writes the reason.
        unsafe { mvGetChannelClosureReason(self.handle, &raw mut reason) }.ok()?;
        Ok(reason)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: writes the handle.
        let status = unsafe { mvCloseChannel(&raw mut self.handle) };
        self.signal.release();
        // Buffers that the hypervisor may still write to are never given to another channel.
        self.is_taken.store(status != MV_STATUS_OKAY, Ordering::Release);
    }
}
