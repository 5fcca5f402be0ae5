//! A relay on a loopback port that counts what passes, and when.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::Failure;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From who connected.
    Out,
    /// To who connected.
    Back,
}

/// Some bytes that passed.
struct Passage {
    at: Instant,
    direction: Direction,
    bytes: usize,
}

/// The counting relay. Its threads end with the connections they carry, the listening one with the process.
pub(crate) struct Proxy {
    address: SocketAddr,
    passages: Arc<Mutex<Vec<Passage>>>,
}

impl Proxy {
    /// Connects everybody who comes to `target`.
    pub(crate) fn start(target: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = Self { address: listener.local_addr()?, passages: Arc::default() };
        let passages = Arc::clone(&proxy.passages);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Who cannot be connected sees a closed connection, as from any relay.
                let _ = join(near, target, &passages);
            }
        });
        Ok(proxy)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that passed from `from` on and before `to`, out and back.
    pub(crate) fn bytes_between(&self, from: Instant, to: Instant) -> (usize, usize) {
        let passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = passages.iter().filter(|passage| (from..to).contains(&passage.at));
        inside.fold((0, 0), |(out, back), passage| match passage.direction {
            Direction::Out => (out + passage.bytes, back),
            Direction::Back => (out, back + passage.bytes),
        })
    }
}

fn join(near: TcpStream, target: SocketAddr, passages: &Arc<Mutex<Vec<Passage>>>) -> Result<(), Failure> {
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    for (source, sink, direction) in
        [(near.try_clone()?, far.try_clone()?, Direction::Out), (far, near, Direction::Back)]
    {
        let passages = Arc::clone(passages);
        thread::spawn(move || copy(source, sink, direction, &passages));
    }
    Ok(())
}

fn copy(mut source: TcpStream, mut sink: TcpStream, direction: Direction, passages: &Mutex<Vec<Passage>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(bytes @ 1..) = source.read(&mut buffer) {
        let passage = Passage { at: Instant::now(), direction, bytes };
        passages.lock().unwrap_or_else(PoisonError::into_inner).push(passage);
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
