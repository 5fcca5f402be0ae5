//! One outbound connection of a session: being made, or open.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus::IntGauge;
use relay::{ConnectError, ConnectionEnd, ConnectionId};

use crate::accounts::Permit;
use crate::connector::{self, Transport};
use crate::limits::READ_CHUNK;
use crate::pipe::Pipe;

/// A connection being made.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, ConnectError>> + Send>>;

/// An outbound connection.
pub(super) struct Broker {
    pub(super) id: ConnectionId,
    // Dropped before the permit: the permit is given back when the socket is closed.
    state: State,
    permit: BrokerPermit,
    /// Bytes of what was given to connect with: certificates, keys, names.
    given: usize,
}

/// What a connection occupies for as long as its socket is open: its part in what the account may have, and its place in the
/// metric of open connections.
pub(super) struct BrokerPermit {
    _share: Option<Permit>,
    open: IntGauge,
    is_open: bool,
}

impl BrokerPermit {
    /// For a connection that is about to be made; `open` counts those that stand.
    pub(super) fn new(share: Option<Permit>, open: IntGauge) -> Self {
        Self { _share: share, open, is_open: false }
    }

    fn note_open(&mut self) {
        self.is_open = true;
        self.open.inc();
    }
}

impl Drop for BrokerPermit {
    fn drop(&mut self) {
        if self.is_open {
            self.open.dec();
        }
    }
}

enum State {
    Connecting(Connecting),
    Open(Pipe<Box<dyn Transport>>),
}

/// What happened at a connection.
#[derive(Clone)]
pub(super) enum BrokerEvent<'a> {
    Opened,
    Failed(ConnectError),
    Received(&'a [u8]),
    Written(usize),
    Closed(ConnectionEnd),
}

impl Broker {
    pub(super) fn new(id: ConnectionId, connecting: Connecting, permit: BrokerPermit, given: usize) -> Self {
        Self { id, state: State::Connecting(connecting), permit, given }
    }

    /// Bytes held for it.
    pub(super) fn held(&self) -> usize {
        self.given + if let State::Open(pipe) = &self.state { pipe.backlog() } else { 0 }
    }

    /// The open connection, if it is open.
    pub(super) fn pipe(&mut self) -> Option<&mut Pipe<Box<dyn Transport>>> {
        match &mut self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some(pipe),
        }
    }

    /// The open connection, to be closed, and what it occupies until then; `None` when it is not open yet, which ends its being
    /// made.
    pub(super) fn into_open(self) -> Option<(Pipe<Box<dyn Transport>>, BrokerPermit)> {
        match self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some((pipe, self.permit)),
        }
    }

    /// The next thing that happened; pending when nothing has. Nothing is read while the device is too far behind.
    pub(super) fn poll<'b>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &'b mut [u8; READ_CHUNK],
        may_read: bool,
    ) -> Poll<BrokerEvent<'b>> {
        match &mut self.state {
            State::Connecting(connecting) => match connecting.as_mut().poll(context) {
                Poll::Ready(Ok(transport)) => {
                    self.state = State::Open(Pipe::new(transport));
                    self.permit.note_open();
                    Poll::Ready(BrokerEvent::Opened)
                }
                Poll::Ready(Err(error)) => Poll::Ready(BrokerEvent::Failed(error)),
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
) -> Poll<BrokerEvent<'b>> {
    match pipe.poll_write(context) {
        Poll::Ready(Ok(count)) => return Poll::Ready(BrokerEvent::Written(count)),
        Poll::Ready(Err(error)) => {
            return Poll::Ready(BrokerEvent::Closed(unwritable(pipe, context, buffer, &error)));
        }
        Poll::Pending => {}
    }
    if !may_read {
        return Poll::Pending;
    }
    pipe.poll_read(context, buffer).map(|read| received(&read))
}

/// How a connection has ended to which nothing can be written: what the other end said before may tell why.
fn unwritable(
    pipe: &mut Pipe<Box<dyn Transport>>,
    context: &mut Context<'_>,
    buffer: &mut [u8; READ_CHUNK],
    error: &io::Error,
) -> ConnectionEnd {
    match pipe.poll_read(context, buffer) {
        Poll::Ready(Err(told)) => connector::of_end(&told),
        _ => connector::of_end(error),
    }
}

fn received<'b>(read: &io::Result<&'b [u8]>) -> BrokerEvent<'b> {
    match read {
        Ok([]) => BrokerEvent::Closed(ConnectionEnd::Closed),
        Ok(bytes) => BrokerEvent::Received(bytes),
        Err(error) => BrokerEvent::Closed(connector::of_end(error)),
    }
}
