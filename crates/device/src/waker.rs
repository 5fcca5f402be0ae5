//! The one place where the device's thread waits: for its waker, for its connection, or for a deadline.
//!
//! Another thread that has something for the device uses the waker. It is a pipe, so that the operating system can wait
//! for it and for a socket at once.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Wakes the device's thread. Clones wake the same thread; a wake-up before the wait ends the next wait.
#[derive(Debug, Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// It was used since the last wait. A byte is in the pipe, or about to be.
    is_woken: AtomicBool,
    read_end: PipeReader,
    write_end: PipeWriter,
}

/// A socket that is waited for as well.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'a> {
    /// The socket.
    pub socket: BorrowedFd<'a>,
    /// Bytes wait to be sent: wake also when there is room for them.
    pub writes: bool,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// The socket has something to read, has room, or has failed.
    pub socket: bool,
}

impl Waker {
    /// A waker that has not been used.
    ///
    /// # Errors
    /// The operating system's, when the process may open no more files.
    pub fn new() -> io::Result<Self> {
        let (read_end, write_end) = io::pipe()?;
        Ok(Self { shared: Arc::new(Shared { is_woken: AtomicBool::new(false), read_end, write_end }) })
    }

    /// Ends the current or the next wait.
    pub fn wake(&self) {
        // One byte for all wake-ups since the last wait, so that the pipe is never full.
        if !self.shared.is_woken.swap(true, Ordering::SeqCst) {
            let _ = (&self.shared.write_end).write_all(&[1]);
        }
    }

    /// Waits until it is woken, the socket of `interest` is ready, or `deadline` is reached; without a deadline,
    /// forever.
    pub fn wait(&self, interest: Option<Interest<'_>>, deadline: Option<Instant>) -> Woken {
        let read_end = PollFd::new(&self.shared.read_end, PollFlags::IN);
        let socket = if let Some(interest) = interest {
            poll_both(read_end, interest, deadline)
        } else {
            poll_until(&mut [read_end], deadline);
            false
        };
        self.clear();
        Woken { socket }
    }

    /// Takes the wake-up back. Whatever is handed over from here on wakes again: the caller looks for it after this.
    fn clear(&self) {
        if self.shared.is_woken.swap(false, Ordering::SeqCst) {
            // The byte of the thread that set the flag; it is there, or is about to be written.
            let _ = (&self.shared.read_end).read_exact(&mut [0]);
        }
    }
}

/// Whether the socket is ready.
fn poll_both(read_end: PollFd<'_>, interest: Interest<'_>, deadline: Option<Instant>) -> bool {
    let flags = if interest.writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut waited = [read_end, PollFd::from_borrowed_fd(interest.socket, flags)];
    poll_until(&mut waited, deadline);
    !waited[1].revents().is_empty()
}

/// Waits until one of these is ready, or until `deadline`.
fn poll_until(waited: &mut [PollFd<'_>], deadline: Option<Instant>) {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(timespec);
        match poll(waited, left.as_ref()) {
            // A signal does not end the wait.
            Err(rustix::io::Errno::INTR) => {}
            // Without memory in the operating system there is no waiting: the caller polls and waits again.
            Ok(_) | Err(_) => return,
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn waker() -> Waker {
        Waker::new().expect("a pipe")
    }

    #[test]
    fn a_wake_up_before_the_wait_ends_one_wait() {
        let waker = waker();
        waker.wake();
        waker.wake();
        waker.wait(None, None);
        let deadline = Instant::now() + Duration::from_millis(5);
        waker.wait(None, Some(deadline));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn another_thread_wakes_the_one_that_waits() {
        let waker = waker();
        let waking = waker.clone();
        let thread = std::thread::spawn(move || waking.wake());
        waker.wait(None, None);
        thread.join().expect("woken");
    }

    #[test]
    fn no_wake_up_of_many_threads_is_lost() {
        let waker = waker();
        for _ in 0..100 {
            let wakings = [waker.clone(), waker.clone()];
            let threads = wakings.map(|waking| std::thread::spawn(move || waking.wake()));
            waker.wait(None, None);
            for thread in threads {
                thread.join().expect("woken");
            }
            // The second wake-up ends the same wait, or the next.
            waker.wait(None, Some(Instant::now()));
        }
        let deadline = Instant::now() + Duration::from_millis(5);
        waker.wait(None, Some(deadline));
        assert!(Instant::now() >= deadline, "nothing is left in the pipe");
    }

    #[test]
    fn a_socket_wakes_when_it_has_something_or_room() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (mut far, _) = listener.accept().expect("accepted");
        let waker = waker();
        let read = Interest { socket: near.as_fd(), writes: false };
        assert_eq!(waker.wait(Some(read), Some(Instant::now())), Woken { socket: false });
        assert_eq!(waker.wait(Some(Interest { writes: true, ..read }), None), Woken { socket: true });
        far.write_all(b"x").expect("sent");
        assert_eq!(waker.wait(Some(read), None), Woken { socket: true });
        waker.wake();
        waker.wait(Some(read), None);
    }
}
