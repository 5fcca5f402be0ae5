//! The smallest executor: one future, and sleep while it waits. Any other executor works as well.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::processor;

/// Set by every waker of [`block_on`]: one is enough, because it polls the whole future.
static IS_WOKEN: AtomicBool = AtomicBool::new(false);

const VTABLE: RawWakerVTable = RawWakerVTable::new(|_| RAW, wake, wake, |_| {});
const RAW: RawWaker = RawWaker::new(core::ptr::null(), &VTABLE);

fn wake(_: *const ()) {
    IS_WOKEN.store(true, Ordering::Release);
}

/// Runs a future to its end; the processor sleeps while it waits.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // SAFETY: the functions of the table do nothing with their pointer, and may be called from any context.
    let waker = unsafe { Waker::from_raw(RAW) };
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        sleep_until_woken();
    }
}

fn sleep_until_woken() {
    while !IS_WOKEN.swap(false, Ordering::AcqRel) {
        processor::sleep_unless(|| IS_WOKEN.load(Ordering::Acquire));
    }
}
