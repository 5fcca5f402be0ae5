//! Milliseconds by SysTick, and sleeping until something happens.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::Poll;

use openvisor_sys::mvGetHClk;

use crate::centre::Wakers;
use crate::logging;
use crate::processor;

/// The clock's resolution, in milliseconds.
pub const TICK_MS: u32 = 10;
/// The device's clock rate, if the call for it fails.
const USUAL_HZ: u32 = 160_000_000;
const SYST_CSR: usize = 0xE000_E010;
const SYST_RVR: usize = 0xE000_E014;
const SYST_CVR: usize = 0xE000_E018;
/// ENABLE, TICKINT, and CLKSOURCE: the processor's own clock.
const RUN: u32 = 7;

static NOW: AtomicU32 = AtomicU32::new(0);
static IS_AWAKE: AtomicBool = AtomicBool::new(false);
/// Tasks that wait for a time: each is woken at every tick and looks for itself.
static SLEEPERS: Wakers<8> = Wakers::new();

/// Starts the clock at 0.
pub fn start() {
    let mut hz = USUAL_HZ;
    // SAFETY: writes one number.
    logging::check("mvGetHClk", unsafe { mvGetHClk(&raw mut hz) });
    // SAFETY: SysTick is the application's own, and its handler is below.
    unsafe {
        processor::write(SYST_RVR, hz / (1000 / TICK_MS) - 1);
        processor::write(SYST_CVR, 0);
        processor::write(SYST_CSR, RUN);
    }
}

#[unsafe(no_mangle)]
extern "C" fn SysTick_Handler() {
    NOW.fetch_add(TICK_MS, Ordering::Relaxed);
    SLEEPERS.wake();
    wake();
}

/// Milliseconds since the start; wraps after 49 days.
pub fn now() -> u32 {
    NOW.load(Ordering::Relaxed)
}

/// Milliseconds from `then` to now, correct also across a wrap.
pub fn since(then: u32) -> u32 {
    now().wrapping_sub(then)
}

/// Makes [`idle`] return; for interrupt handlers.
pub fn wake() {
    IS_AWAKE.store(true, Ordering::Release);
}

/// Sleeps until the next tick, or until [`wake`] was called since the last time.
pub fn idle() {
    processor::sleep_unless(|| IS_AWAKE.load(Ordering::Acquire));
    IS_AWAKE.store(false, Ordering::Release);
}

/// Sleeps for a number of milliseconds.
pub fn sleep(milliseconds: u32) {
    let start = now();
    while since(start) < milliseconds {
        idle();
    }
}

/// Sleeps for ever; interrupts are still taken.
pub fn rest() -> ! {
    loop {
        idle();
    }
}

/// Waits for a number of milliseconds.
pub async fn after(milliseconds: u32) {
    let start = now();
    poll_fn(|context| {
        if since(start) >= milliseconds {
            return Poll::Ready(());
        }
        SLEEPERS.register(context.waker());
        Poll::Pending
    })
    .await;
}
