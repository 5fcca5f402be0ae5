//! When to stop: Ctrl-C, the system's request to end, or the time asked for.

use std::time::Duration;

use crate::exit::{Exit, Failure};

/// Listens for the wish to stop. Made before anything is started, so that nothing is left behind by an early Ctrl-C.
pub struct Stop(Interrupts);

impl Stop {
    /// From now on a signal no longer ends the process by itself.
    pub fn listen() -> Result<Self, Failure> {
        Interrupts::new().map(Self)
    }

    /// Completes at the first Ctrl-C or SIGTERM, or after `time` if one is given. From the first signal on, a second one
    /// ends the process at once, in case cleaning up hangs.
    pub async fn asked(mut self, time: Option<Duration>) {
        tokio::select! {
            () = self.0.next() => {
                tokio::spawn(async move {
                    self.0.next().await;
                    std::process::exit(Exit::NotHappened as i32);
                });
            }
            () = pass(time) => {}
        }
    }
}

async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(unix)]
struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupts {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::environment(format!("cannot listen for Ctrl-C: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
