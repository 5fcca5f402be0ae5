//! Finding and reaching the cloud: a look-up of its name and a TCP connection, both of which block, on a thread that ends with
//! them.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Address;
use crate::waker::Waker;

/// Stack of the thread: the system's look-up of names wants some.
const STACK: usize = 256 * 1024;

/// Starts to reach `address`, within `time`. `waker` rings when there is something to receive, once. Who drops the receiver is
/// not waited for and does not wait.
pub(super) fn start(address: Arc<Address>, waker: Waker, time: Duration) -> Receiver<io::Result<TcpStream>> {
    let (tell, opened) = sync_channel(1);
    let reach = move || {
        let _ = tell.send(reach(&address, Instant::now() + time));
        waker.wake();
    };
    // Without a thread the sender is gone, and the receiver hears of that.
    let _ = thread::Builder::new().name("dial".into()).stack_size(STACK).spawn(reach);
    opened
}

/// The first address of the name that answers; otherwise why the last did not.
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
