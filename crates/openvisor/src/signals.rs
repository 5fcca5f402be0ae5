//! When to stop: Ctrl-C, the system's request to end, or the time asked for.

use std::time::Duration;

use crate::exit::{Exit, Failure};

/// Completes at the first Ctrl-C or SIGTERM, or after `time` if one is given. From the first signal on, a second one
/// ends the process at once, in case cleaning up hangs.
pub async fn time_to_stop(time: Option<Duration>) -> Result<(), Failure> {
    let mut interrupts = Interrupts::new()?;
    tokio::select! {
        () = interrupts.next() => {
            tokio::spawn(async move {
                interrupts.next().await;
                std::process::exit(Exit::NotHappened as i32);
            });
        }
        () = pass(time) => {}
    }
    Ok(())
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
        let failed = |error| Failure::environment(format!("cannot wait for Ctrl-C: {error}"));
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
