//! A TCP proxy on a loopback port that records how many bytes pass, and when.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::Error;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client.
    Out,
    /// To the client.
    Back,
}

/// A number of bytes that passed at once.
struct Transfer {
    at: Instant,
    direction: Direction,
    bytes: usize,
}

/// The proxy. Its threads end with their connections, the listening one with the process.
pub(crate) struct Proxy {
    address: SocketAddr,
    transfers: Arc<Mutex<Vec<Transfer>>>,
}

impl Proxy {
    /// Forwards all connections to `target`.
    pub(crate) fn start(target: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = Self { address: listener.local_addr()?, transfers: Arc::default() };
        let transfers = Arc::clone(&proxy.transfers);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Who cannot be connected sees a closed connection, as from any relay.
                let _ = join(near, target, &transfers);
            }
        });
        Ok(proxy)
    }

    /// The address on which it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that passed from `from` on and before `to`, out and back.
    pub(crate) fn bytes_between(&self, from: Instant, to: Instant) -> (usize, usize) {
        let transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = transfers.iter().filter(|transfer| (from..to).contains(&transfer.at));
        inside.fold((0, 0), |(out, back), transfer| match transfer.direction {
            Direction::Out => (out + transfer.bytes, back),
            Direction::Back => (out, back + transfer.bytes),
        })
    }
}

fn join(near: TcpStream, target: SocketAddr, transfers: &Arc<Mutex<Vec<Transfer>>>) -> Result<(), Error> {
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    for (source, sink, direction) in
        [(near.try_clone()?, far.try_clone()?, Direction::Out), (far, near, Direction::Back)]
    {
        let transfers = Arc::clone(transfers);
        thread::spawn(move || copy(source, sink, direction, &transfers));
    }
    Ok(())
}

fn copy(mut source: TcpStream, mut sink: TcpStream, direction: Direction, transfers: &Mutex<Vec<Transfer>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(bytes @ 1..) = source.read(&mut buffer) {
        let transfer = Transfer { at: Instant::now(), direction, bytes };
        transfers.lock().unwrap_or_else(PoisonError::into_inner).push(transfer);
        if sink.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = sink.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_passed_on_and_counted_each_way() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let proxy = Proxy::start(target.local_addr().expect("an address")).expect("a proxy");
        let start = Instant::now();
        let mut near = TcpStream::connect(proxy.address()).expect("a connection");
        let (mut far, _) = target.accept().expect("a connection");
        let mut buffer = [0; 5];

        near.write_all(b"hello").expect("it is open");
        far.read_exact(&mut buffer).expect("it comes through");
        assert_eq!(&buffer, b"hello");
        far.write_all(b"yes").expect("it is open");
        near.read_exact(&mut buffer[..3]).expect("it comes through");

        let end = Instant::now();
        assert_eq!(proxy.bytes_between(start, end), (5, 3));
        assert_eq!(proxy.bytes_between(start, start), (0, 0));
    }
}
