//! One outbound connection of a session: being made, or open.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use relay::ConnectionId;

use crate::accounts::Share;
use crate::connector::{ConnectError, Transport};
use crate::limits::READ_CHUNK;
use crate::pipe::Pipe;

/// A connection being made.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, ConnectError>> + Send>>;

/// An outbound connection.
pub(super) struct Broker {
    pub(super) id: ConnectionId,
    state: State,
    /// Its part in what the account may have.
    _share: Option<Share>,
}

enum State {
    Connecting(Connecting),
    Open(Pipe<Box<dyn Transport>>),
}

/// What happened at a connection.
#[derive(Clone, Copy)]
pub(super) enum Happened<'a> {
    Opened,
    Failed(ConnectError),
    Received(&'a [u8]),
    Written(usize),
    Closed { clean: bool },
}

impl Broker {
    pub(super) fn new(id: ConnectionId, connecting: Connecting, share: Option<Share>) -> Broker {
        Broker { id, state: State::Connecting(connecting), _share: share }
    }

    /// The open connection, if it is open.
    pub(super) fn pipe(&mut self) -> Option<&mut Pipe<Box<dyn Transport>>> {
        match &mut self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some(pipe),
        }
    }

    /// The open connection, to be closed; `None` when it is not open yet, which ends its being made.
    pub(super) fn into_pipe(self) -> Option<Pipe<Box<dyn Transport>>> {
        match self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some(pipe),
        }
    }

    /// The next thing that happened; pending when nothing has. Nothing is read while the device is too far behind.
    pub(super) fn poll<'b>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &'b mut [u8; READ_CHUNK],
        may_read: bool,
    ) -> Poll<Happened<'b>> {
        match &mut self.state {
            State::Connecting(connecting) => match connecting.as_mut().poll(context) {
                Poll::Ready(Ok(transport)) => {
                    self.state = State::Open(Pipe::new(transport));
                    Poll::Ready(Happened::Opened)
                }
                Poll::Ready(Err(error)) => Poll::Ready(Happened::Failed(error)),
                Poll::Pending => Poll::Pending,
            },
            State::Open(pipe) => poll_open(pipe, context, buffer, may_read),
        }
    }
}

fn poll_open<'b>(
    pipe: &mut Pipe<Box<dyn Transport>>,
    context: &mut Context<'_>,
    buffer: &'b mut [u8; READ_CHUNK],
    may_read: bool,
) -> Poll<Happened<'b>> {
    match pipe.poll_write(context) {
        Poll::Ready(Ok(count)) => return Poll::Ready(Happened::Written(count)),
        Poll::Ready(Err(_)) => return Poll::Ready(Happened::Closed { clean: false }),
        Poll::Pending => {}
    }
    if !may_read {
        return Poll::Pending;
    }
    pipe.poll_read(context, buffer).map(|read| received(&read))
}

fn received<'b>(read: &io::Result<&'b [u8]>) -> Happened<'b> {
    match read {
        Ok([]) => Happened::Closed { clean: true },
        Ok(bytes) => Happened::Received(bytes),
        Err(_) => Happened::Closed { clean: false },
    }
}
