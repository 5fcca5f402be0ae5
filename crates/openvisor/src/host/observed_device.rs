//! A device whose events can be awaited. Its thread never waits for whoever shows them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use device::events::DeviceEvent;
use device::{Device, Options};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::host::serial_lines::SerialLines;
use crate::output::exit::Failure;

/// Events that may wait to be shown; more are counted, not kept.
const QUEUE: usize = 1024;

/// What an observer gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Something happened. What a serial port has sent comes in lines.
    Event(DeviceEvent),
    /// So many events came faster than they were taken.
    Missed(u64),
    /// The device's thread is gone.
    Ended,
}

/// A running device.
pub(crate) struct Watched {
    device: Device,
    events: Events,
}

struct Events {
    queue: mpsc::Receiver<DeviceEvent>,
    missed: Arc<AtomicU64>,
    serial: SerialLines,
    /// What is to be told before anything else.
    ready: VecDeque<DeviceEvent>,
}

impl Watched {
    /// Starts a device.
    pub(crate) fn start(options: Options) -> Result<Self, Failure> {
        let (tell, events) = events();
        let device = Device::start(options, tell)
            .map_err(|error| Failure::environment(format!("cannot start the device: {error}")))?;
        Ok(Self { device, events })
    }

    /// Reaches the device from other threads.
    pub(crate) fn remote(&self) -> device::Remote {
        self.device.remote()
    }

    /// The next thing to be told. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Told {
        self.events.next().await
    }

    /// Stops the device, which says goodbye to its cloud first. Answers what was still to be told.
    pub(crate) async fn stop(self) -> Vec<Told> {
        let Self { device, mut events } = self;
        let _ = tokio::task::spawn_blocking(move || device.stop()).await;
        events.rest()
    }
}

/// The two ends of the queue. The device's end is called on its thread and holds it up, so it only ever tries.
fn events() -> (impl FnMut(DeviceEvent) + Send + 'static, Events) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let missed = Arc::new(AtomicU64::new(0));
    let counted = missed.clone();
    let tell = move |event| {
        if sender.try_send(event).is_err() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    };
    (tell, Events { queue, missed, serial: SerialLines::default(), ready: VecDeque::new() })
}

impl Events {
    /// Safe to cancel: what has been taken from the queue is in `ready` or in `serial`.
    async fn next(&mut self) -> Told {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Told::Event(event);
            }
            if let Some(missed) = self.take_missed() {
                return missed;
            }
            let due = self.serial.due();
            tokio::select! {
                biased;
                event = self.queue.recv() => {
                    let Some(event) = event else { return self.last() };
                    self.sort(event);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.ready.extend(self.serial.pop_due(Instant::now()));
                }
            }
        }
    }

    fn rest(&mut self) -> Vec<Told> {
        let missed = self.take_missed();
        while let Ok(event) = self.queue.try_recv() {
            self.sort(event);
        }
        self.ready.extend(self.serial.rest());
        missed.into_iter().chain(self.ready.drain(..).map(Told::Event)).collect()
    }

    /// The device's thread is gone: what it had begun to send is shown first.
    fn last(&mut self) -> Told {
        self.ready.extend(self.serial.rest());
        self.ready.pop_front().map_or(Told::Ended, Told::Event)
    }

    fn sort(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                self.ready.extend(self.serial.take(port, &bytes, Instant::now()));
            }
            event => self.ready.push_back(event),
        }
    }

    fn take_missed(&self) -> Option<Told> {
        let count = self.missed.swap(0, Ordering::Relaxed);
        (count > 0).then_some(Told::Missed(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_is_never_held_up_and_what_is_lost_is_counted() {
        let (mut tell, mut events) = events();
        (0..QUEUE + 3).for_each(|_| tell(DeviceEvent::LinkUp));
        assert_eq!(events.next().await, Told::Missed(3));
        assert_eq!(events.next().await, Told::Event(DeviceEvent::LinkUp));
        assert_eq!(events.rest().len(), QUEUE - 1);
        drop(tell);
        assert_eq!(events.next().await, Told::Ended);
    }
}
