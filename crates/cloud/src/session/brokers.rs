//! A session's connections to brokers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use relay::ConnectionId;
use tokio::time::timeout;

use super::broker::{Broker, BrokerEvent, BrokerPermit, BrokerPipe, Connecting};
use crate::id::DeviceId;
use crate::limits::READ_CHUNK;
use crate::metrics::Metrics;
use crate::quota::Permit;

/// The connections of one session, open or being opened.
pub(super) struct Brokers {
    device: DeviceId,
    metrics: Arc<Metrics>,
    close_timeout: Duration,
    list: Vec<Broker>,
}

impl Brokers {
    pub(super) fn new(device: DeviceId, metrics: Arc<Metrics>, close_timeout: Duration) -> Self {
        Self { device, metrics, close_timeout, list: Vec::new() }
    }

    /// Adds a connection that is being opened. `parameters` is the number of bytes of what it is opened with.
    pub(super) fn add(
        &mut self,
        id: ConnectionId,
        connecting: Connecting,
        permit: Option<Permit>,
        parameters: usize,
    ) {
        let permit = BrokerPermit::new(permit, self.metrics.brokers.clone());
        self.list.push(Broker::new(id, connecting, permit, parameters));
    }

    /// Bytes in use for all of them.
    pub(super) fn memory_in_use(&self) -> usize {
        self.list.iter().map(Broker::memory_in_use).sum()
    }

    /// Runs `act` on a connection, if it is open.
    pub(super) fn with_pipe(&mut self, id: ConnectionId, act: impl FnOnce(&mut BrokerPipe)) {
        let broker = self.list.iter_mut().find(|broker| broker.id() == id);
        if let Some(pipe) = broker.and_then(Broker::pipe) {
            act(pipe);
        }
    }

    /// Polls the connection at `index` and moves the index on; `None` behind the last one. A connection that has ended
    /// is removed.
    pub(super) fn poll_at<'b>(
        &mut self,
        index: &mut usize,
        context: &mut Context<'_>,
        buffer: &'b mut [u8; READ_CHUNK],
        may_read: bool,
    ) -> Option<Poll<(ConnectionId, BrokerEvent<'b>)>> {
        let broker = self.list.get_mut(*index)?;
        let id = broker.id();
        let Poll::Ready(event) = broker.poll(context, buffer, may_read) else {
            *index += 1;
            return Some(Poll::Pending);
        };
        self.report(id, &event);
        if matches!(event, BrokerEvent::Failed(_) | BrokerEvent::Closed(_)) {
            self.list.remove(*index);
        } else {
            *index += 1;
        }
        Some(Poll::Ready((id, event)))
    }

    fn report(&self, id: ConnectionId, event: &BrokerEvent<'_>) {
        match event {
            BrokerEvent::Opened => {
                tracing::debug!(name: "broker_connected", device = %self.device, connection = id.0, "connected to a broker");
                self.metrics.brokers_opened.inc();
            }
            BrokerEvent::Failed(cause) => {
                self.metrics.brokers_failed.with_label_values(&[cause.label()]).inc();
            }
            BrokerEvent::Closed(_) | BrokerEvent::Received(_) | BrokerEvent::Written(_) => {}
        }
    }

    /// Closes a connection: at once with `abort`, else in a task of its own that sends what is queued and waits for the
    /// broker. Either way its permit is returned when the socket is closed, not before, so that closing connections
    /// count too.
    pub(super) fn close(&mut self, id: ConnectionId, abort: bool) {
        let Some(index) = self.list.iter().position(|broker| broker.id() == id) else { return };
        let broker = self.list.remove(index);
        let Some((mut pipe, permit)) = broker.into_open().filter(|_| !abort) else { return };
        let close_timeout = self.close_timeout;
        tokio::spawn(async move {
            let closed = poll_fn(|context| pipe.poll_close(context, &mut [0; READ_CHUNK]));
            let _ = timeout(close_timeout, closed).await;
            drop(pipe);
            drop(permit);
        });
    }

    /// Closes all connections at once.
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}

#[cfg(test)]
mod tests {
    use relay::{ConnectError, ConnectionEnd};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::connector::Transport;
    use crate::quota::Quota;

    const FIRST: ConnectionId = ConnectionId(1);
    const SECOND: ConnectionId = ConnectionId(2);

    fn brokers() -> (Brokers, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        (Brokers::new(DeviceId::random(), metrics.clone(), Duration::from_secs(5)), metrics)
    }

    fn add(brokers: &mut Brokers, id: ConnectionId, quota: &Quota) -> DuplexStream {
        let (near, far) = duplex(64);
        let connected: Box<dyn Transport> = Box::new(near);
        brokers.add(id, Box::pin(async move { Ok(connected) }), quota.try_acquire(), 10);
        far
    }

    fn describe(event: &BrokerEvent<'_>) -> String {
        match event {
            BrokerEvent::Opened => "opened".to_owned(),
            BrokerEvent::Failed(cause) => format!("failed: {}", cause.label()),
            BrokerEvent::Received(bytes) => format!("received {}", bytes.escape_ascii()),
            BrokerEvent::Written(count) => format!("written {count}"),
            BrokerEvent::Closed(end) => format!("closed: {end:?}"),
        }
    }

    /// The events of one poll of every connection.
    async fn events(brokers: &mut Brokers) -> Vec<(ConnectionId, String)> {
        poll_fn(|context| {
            let (mut buffer, mut index, mut found) = ([0; READ_CHUNK], 0, Vec::new());
            while let Some(polled) = brokers.poll_at(&mut index, context, &mut buffer, true) {
                if let Poll::Ready((id, event)) = polled {
                    found.push((id, describe(&event)));
                }
            }
            Poll::Ready(found)
        })
        .await
    }

    #[tokio::test]
    async fn each_connection_reports_its_own_events() {
        let (mut brokers, metrics) = brokers();
        let quota = Quota::new(9);
        let mut far = add(&mut brokers, FIRST, &quota);
        brokers.add(SECOND, Box::pin(async { Err(ConnectError::Refused) }), quota.try_acquire(), 0);
        let opened = events(&mut brokers).await;
        assert_eq!(
            opened,
            [(FIRST, "opened".to_owned()), (SECOND, format!("failed: {}", ConnectError::Refused.label()))]
        );
        assert_eq!((metrics.brokers.get(), quota.in_use()), (1, 1), "the failed one is gone");
        far.write_all(b"hi").await.expect("written");
        brokers.with_pipe(FIRST, |pipe| pipe.push(b"hello"));
        assert_eq!(brokers.memory_in_use(), 10 + 5, "its parameters and what is queued");
        assert_eq!(events(&mut brokers).await, [(FIRST, "written 5".to_owned())]);
        assert_eq!(events(&mut brokers).await, [(FIRST, "received hi".to_owned())]);
        drop(far);
        assert_eq!(events(&mut brokers).await, [(FIRST, format!("closed: {:?}", ConnectionEnd::Closed))]);
        assert_eq!((metrics.brokers.get(), quota.in_use(), brokers.memory_in_use()), (0, 0, 0));
    }

    #[tokio::test]
    async fn an_aborted_connection_closes_at_once_and_another_one_sends_its_queue_first() {
        let (mut brokers, metrics) = brokers();
        let quota = Quota::new(9);
        let (mut aborted, mut closed) = (add(&mut brokers, FIRST, &quota), add(&mut brokers, SECOND, &quota));
        events(&mut brokers).await;
        brokers.with_pipe(FIRST, |pipe| pipe.push(b"lost"));
        brokers.with_pipe(SECOND, |pipe| pipe.push(b"DISCONNECT"));
        brokers.close(FIRST, true);
        brokers.close(SECOND, false);
        assert_eq!((metrics.brokers.get(), quota.in_use()), (1, 1), "the socket of the second one is open");
        let mut received = Vec::new();
        aborted.read_to_end(&mut received).await.expect("read");
        assert_eq!(received, b"");
        closed.read_to_end(&mut received).await.expect("read");
        assert_eq!(received, b"DISCONNECT");
        drop(closed);
        while metrics.brokers.get() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(quota.in_use(), 0);
    }
}
