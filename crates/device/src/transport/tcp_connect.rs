//! Resolving the cloud's name and connecting by TCP, both of which block, on a thread that ends with them.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Address;
use crate::waker::Waker;

/// Stack of the thread, in bytes: the system's resolver needs more than the rest.
const STACK: usize = 256 * 1024;

/// Starts to connect to `address`, within `time`. Wakes the device when there is a result to receive, once. Dropping
/// the receiver neither waits for the thread nor ends it.
pub(super) fn start(address: Arc<Address>, waker: Waker, time: Duration) -> Receiver<io::Result<TcpStream>> {
    let (result, opened) = sync_channel(1);
    let reach = move || {
        let _ = result.send(reach(&address, Instant::now() + time));
        waker.wake();
    };
    // Without a thread the sender is dropped, and the receiver is disconnected.
    let _ = thread::Builder::new().name("connect".into()).stack_size(STACK).spawn(reach);
    opened
}

/// Connects to the first address of the name that accepts; otherwise returns why the last one did not.
fn reach(address: &Address, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for found in (address.host.as_str(), address.port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&found, left) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
