//! A device whose events can be awaited. Its thread never waits for the reader of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use device::events::DeviceEvent;
use device::{Device, Options};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::host::serial_lines::SerialLines;
use crate::output::event::Event;
use crate::output::exit::Failure;
use crate::output::timeline::Source;

/// Most events in the queue; further ones are counted and dropped.
const QUEUE_LENGTH: usize = 1024;

/// What [`ObservedDevice::next`] returns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Observation {
    /// An event of the device. What a serial port sends is joined into lines.
    Event(DeviceEvent),
    /// This many events were dropped, because they arrived faster than they were taken.
    Missed(u64),
    /// The device's thread has ended.
    Ended,
}

impl Observation {
    /// It as an event of the timeline.
    pub(crate) fn event(&self) -> Event {
        match self {
            Self::Event(event) => event.into(),
            Self::Missed(count) => Event::EventsDropped { count: *count, source: Source::Device },
            Self::Ended => Event::DeviceFailed,
        }
    }
}

/// A running device and the queue of its events.
pub(crate) struct ObservedDevice {
    device: Device,
    events: EventQueue,
}

struct EventQueue {
    receiver: mpsc::Receiver<DeviceEvent>,
    missed: Arc<AtomicU64>,
    serial: SerialLines,
    /// Events taken from the queue and not returned yet.
    ready: VecDeque<DeviceEvent>,
}

impl ObservedDevice {
    /// Starts a device.
    pub(crate) fn start(options: Options) -> Result<Self, Failure> {
        let (observer, events) = event_queue();
        let device = Device::start(options, observer)
            .map_err(|error| Failure::environment(format!("cannot start the device: {error}")))?;
        Ok(Self { device, events })
    }

    /// A handle to the device for other threads.
    pub(crate) fn remote(&self) -> device::Remote {
        self.device.remote()
    }

    /// The next observation. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Observation {
        self.events.next().await
    }

    /// Stops the device, which first closes its link in order, and returns the observations not taken yet.
    pub(crate) async fn stop(self) -> Vec<Observation> {
        let Self { device, mut events } = self;
        let _ = tokio::task::spawn_blocking(move || device.stop()).await;
        events.drain()
    }
}

/// The two ends of the queue. The device calls the observer on its own thread, which must not wait: it drops what does
/// not fit.
fn event_queue() -> (impl FnMut(DeviceEvent) + Send + 'static, EventQueue) {
    let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
    let missed = Arc::new(AtomicU64::new(0));
    let dropped = missed.clone();
    let observer = move |event| {
        if sender.try_send(event).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    };
    (observer, EventQueue { receiver, missed, serial: SerialLines::default(), ready: VecDeque::new() })
}

impl EventQueue {
    /// Cancel-safe: what has been taken from the queue is in `ready` or in `serial`.
    async fn next(&mut self) -> Observation {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Observation::Event(event);
            }
            if let Some(missed) = self.take_missed() {
                return missed;
            }
            let timeout = self.serial.next_timeout();
            tokio::select! {
                biased;
                event = self.receiver.recv() => {
                    let Some(event) = event else { return self.finish() };
                    self.push(event);
                }
                () = sleep_until(timeout.unwrap_or_else(Instant::now)), if timeout.is_some() => {
                    self.ready.extend(self.serial.pop_expired(Instant::now()));
                }
            }
        }
    }

    fn drain(&mut self) -> Vec<Observation> {
        let missed = self.take_missed();
        while let Ok(event) = self.receiver.try_recv() {
            self.push(event);
        }
        self.ready.extend(self.serial.drain());
        missed.into_iter().chain(self.ready.drain(..).map(Observation::Event)).collect()
    }

    /// The device's thread has ended: partial lines of its serial ports come first.
    fn finish(&mut self) -> Observation {
        self.ready.extend(self.serial.drain());
        self.ready.pop_front().map_or(Observation::Ended, Observation::Event)
    }

    fn push(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Serial { port, bytes } => {
                self.ready.extend(self.serial.push(port, &bytes, Instant::now()));
            }
            event => self.ready.push_back(event),
        }
    }

    fn take_missed(&self) -> Option<Observation> {
        let count = self.missed.swap(0, Ordering::Relaxed);
        (count > 0).then_some(Observation::Missed(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_never_waits_and_dropped_events_are_counted() {
        let (mut observer, mut events) = event_queue();
        (0..QUEUE_LENGTH + 3).for_each(|_| observer(DeviceEvent::LinkUp));
        assert_eq!(events.next().await, Observation::Missed(3));
        assert_eq!(events.next().await, Observation::Event(DeviceEvent::LinkUp));
        assert_eq!(events.drain().len(), QUEUE_LENGTH - 1);
        drop(observer);
        assert_eq!(events.next().await, Observation::Ended);
    }
}
