//! When to stop: at Ctrl-C, at SIGTERM, or after the time given by `--seconds`.
//!
//! Signals have a thread of their own, so that they work even if all threads of the runtime are blocked (D171).

use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use crate::output::exit::{Exit, Failure};

/// Resolves at the first signal. Created before anything is started, so that an early Ctrl-C leaves nothing behind.
#[derive(Clone)]
pub(crate) struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// From now on the first SIGINT or SIGTERM asks the command to stop. The second ends the process at once, in case
    /// the clean-up hangs: without destructors and buffers, which may be what hangs.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::environment(format!("cannot listen for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let (sender, received) = watch::channel(false);
        let thread = std::thread::Builder::new().name("signals".into());
        let listening = thread.spawn(move || {
            let mut signals = signals.forever();
            if signals.next().is_some() {
                sender.send_replace(true);
            }
            if signals.next().is_some() {
                signal_hook::low_level::exit(Exit::Failed as i32);
            }
        });
        listening.map_err(failed)?;
        Ok(Self(received))
    }

    /// Completes at the first signal, or after `limit` if one is given.
    pub(crate) async fn received_or_after(&self, limit: Option<Duration>) {
        tokio::select! {
            () = self.received() => {}
            () = elapsed(limit) => {}
        }
    }

    /// Completes at the first signal, or at once if there was one.
    pub(crate) async fn received(&self) {
        let mut received = self.0.clone();
        if received.wait_for(|received| *received).await.is_err() {
            // The thread has ended without a signal: there will be none.
            std::future::pending::<()>().await;
        }
    }
}

/// Completes after `limit`, or never without one.
pub(crate) async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
