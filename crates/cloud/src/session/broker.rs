//! One connection to a broker, open or being opened.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus::IntGauge;
use relay::{ConnectError, ConnectionEnd, ConnectionId};

use crate::connector::{self, Transport};
use crate::limits::READ_CHUNK;
use crate::pipe::Pipe;
use crate::quota::Permit;

/// A connection being opened.
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Transport>, ConnectError>> + Send>>;

/// An open connection.
pub(super) type BrokerPipe = Pipe<Box<dyn Transport>>;

/// A connection to a broker.
pub(super) struct Broker {
    id: ConnectionId,
    // Declared, hence dropped, before the permit, which is returned when the socket is closed.
    state: State,
    permit: BrokerPermit,
    /// Bytes of what it was opened with: certificates, keys, names.
    parameters: usize,
}

/// What a connection occupies while its socket exists: a permit of its account, and a unit of the metric of open
/// connections.
pub(super) struct BrokerPermit {
    _permit: Option<Permit>,
    open: IntGauge,
    is_open: bool,
}

impl BrokerPermit {
    /// For a connection that is being opened; `open` counts the open ones.
    pub(super) fn new(permit: Option<Permit>, open: IntGauge) -> Self {
        Self { _permit: permit, open, is_open: false }
    }

    fn set_open(&mut self) {
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
    Open(BrokerPipe),
}

/// What happened on a connection.
pub(super) enum BrokerEvent<'a> {
    Opened,
    Failed(ConnectError),
    Received(&'a [u8]),
    Written(usize),
    Closed(ConnectionEnd),
}

impl Broker {
    pub(super) fn new(
        id: ConnectionId,
        connecting: Connecting,
        permit: BrokerPermit,
        parameters: usize,
    ) -> Self {
        Self { id, state: State::Connecting(connecting), permit, parameters }
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Bytes in use for it.
    pub(super) fn memory_in_use(&self) -> usize {
        self.parameters + if let State::Open(pipe) = &self.state { pipe.backlog() } else { 0 }
    }

    /// The connection, if it is open.
    pub(super) fn pipe(&mut self) -> Option<&mut BrokerPipe> {
        match &mut self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some(pipe),
        }
    }

    /// The connection and what it occupies, to be closed; `None`, which aborts the connect, when it is not open yet.
    pub(super) fn into_open(self) -> Option<(BrokerPipe, BrokerPermit)> {
        match self.state {
            State::Connecting(_) => None,
            State::Open(pipe) => Some((pipe, self.permit)),
        }
    }

    /// The next event. Nothing is read without `may_read`.
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
                    self.permit.set_open();
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
    pipe: &mut BrokerPipe,
    context: &mut Context<'_>,
    buffer: &'b mut [u8; READ_CHUNK],
    may_read: bool,
) -> Poll<BrokerEvent<'b>> {
    match pipe.poll_write(context) {
        Poll::Ready(Ok(count)) => return Poll::Ready(BrokerEvent::Written(count)),
        Poll::Ready(Err(error)) => {
            return Poll::Ready(BrokerEvent::Closed(write_failed(pipe, context, buffer, &error)));
        }
        Poll::Pending => {}
    }
    if !may_read {
        return Poll::Pending;
    }
    pipe.poll_read(context, buffer).map(|read| received(&read))
}

/// How a connection has ended that cannot be written to. A TLS alert of the broker, received before, may say why.
fn write_failed(
    pipe: &mut BrokerPipe,
    context: &mut Context<'_>,
    buffer: &mut [u8; READ_CHUNK],
    error: &io::Error,
) -> ConnectionEnd {
    match pipe.poll_read(context, buffer) {
        Poll::Ready(Err(alert)) => connector::connection_end(&alert),
        _ => connector::connection_end(error),
    }
}

fn received<'b>(read: &io::Result<&'b [u8]>) -> BrokerEvent<'b> {
    match read {
        Ok([]) => BrokerEvent::Closed(ConnectionEnd::Closed),
        Ok(bytes) => BrokerEvent::Received(bytes),
        Err(error) => BrokerEvent::Closed(connector::connection_end(error)),
    }
}
