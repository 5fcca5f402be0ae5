//! Serial ports' other ends: where what they send is written, and what waits to be received.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::machine::Input;
use crate::peripherals::usart::LPUART1;
use crate::recording::RecordedMachine;

/// Bytes handed to a port at a time.
const CHUNK: usize = 256;

/// Most bytes that wait for the ports of a device together.
pub const MAX_WAITING: usize = 1 << 16;

/// Where the bytes of one port go.
pub struct Route {
    /// The port's number.
    pub port: u8,
    /// Receives everything it sends.
    pub to: Box<dyn Write + Send>,
}

/// The number of the port called `name`: a number, or `lp1` for LPUART1.
pub fn port_named(name: &str) -> Option<u8> {
    match name {
        "lp1" => Some(LPUART1),
        _ => name.parse().ok().filter(|number| (1..=5).contains(number)),
    }
}

/// The name of a port.
pub fn port_name(port: u8) -> String {
    if port == LPUART1 { "lp1".to_owned() } else { port.to_string() }
}

/// Both directions, on the device's thread.
pub struct Serial {
    routes: Vec<Route>,
    waiting: Vec<(u8, VecDeque<u8>)>,
    /// Bytes that wait, here and on the way here.
    count: Arc<AtomicUsize>,
}

impl Serial {
    /// Empty queues; `count` is the number of bytes handed over and not accepted by a port.
    pub fn new(routes: Vec<Route>, count: Arc<AtomicUsize>) -> Self {
        Self { routes, waiting: Vec::new(), count }
    }

    /// Queues bytes for `port`.
    pub fn queue(&mut self, port: u8, bytes: &[u8]) {
        match self.waiting.iter_mut().find(|(number, _)| *number == port) {
            Some((_, queue)) => queue.extend(bytes),
            None => self.waiting.push((port, bytes.iter().copied().collect())),
        }
    }

    /// Hands over what the ports accept: they must be on and have room.
    pub fn feed(&mut self, machine: &mut RecordedMachine) {
        for (port, queue) in &mut self.waiting {
            while !queue.is_empty() {
                let chunk: Vec<u8> = queue.iter().copied().take(CHUNK).collect();
                let length = chunk.len();
                if machine.handle(&Input::Serial { port: *port, bytes: chunk.into() }).is_err() {
                    break;
                }
                queue.drain(..length);
                self.count.fetch_sub(length, Ordering::SeqCst);
            }
        }
    }

    /// Writes what `port` sent to its route. Returns whether it has one; a route that fails is removed.
    pub fn written(&mut self, port: u8, bytes: &[u8]) -> bool {
        let Some(index) = self.routes.iter().position(|route| route.port == port) else { return false };
        let to = &mut self.routes[index].to;
        let written = to.write_all(bytes).and_then(|()| to.flush()).is_ok();
        if !written {
            self.routes.remove(index);
        }
        written
    }
}
