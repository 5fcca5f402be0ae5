//! When to stop: Ctrl-C, the system's request to end, or the time asked for.
//!
//! Signals are handled on a thread of their own, so that they are heeded whatever the runtime is doing (D171).

use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use crate::output::exit::{Exit, Failure};

/// Listens for the wish to stop. Made before anything is started, so that nothing is left behind by an early Ctrl-C.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// From now on the first SIGINT or SIGTERM asks the command to stop, and the second ends the process at once, in case
    /// cleaning up hangs: without destructors or buffers, none of which can be relied on to return then.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::environment(format!("cannot listen for signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let (tell, asked) = watch::channel(false);
        let thread = std::thread::Builder::new().name("signals".into());
        let listening = thread.spawn(move || {
            let mut signals = signals.forever();
            if signals.next().is_some() {
                tell.send_replace(true);
            }
            if signals.next().is_some() {
                signal_hook::low_level::exit(Exit::NotHappened as i32);
            }
        });
        listening.map_err(failed)?;
        Ok(Self(asked))
    }

    /// Completes at the first signal, or after `time` if one is given.
    pub(crate) async fn asked(&self, time: Option<Duration>) {
        tokio::select! {
            () = self.signalled() => {}
            () = pass(time) => {}
        }
    }

    /// Completes at the first signal, or at once if it has come.
    pub(crate) async fn signalled(&self) {
        let mut asked = self.0.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // The thread has gone without a signal: none will come.
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
