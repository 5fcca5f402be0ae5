//! Received messages: logs and acknowledges them.

use openvisor_app::mqtt::{Client, Message};
use openvisor_app::sys::MV_STATUS_RATELIMITED;
use openvisor_app::{log_line, logging};

pub(crate) struct Inbox {
    /// The pending acknowledgement, if there is one.
    pending: Option<u32>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { pending: None }
    }

    pub(crate) fn take(&mut self, client: &Client, message: &Message<'_>) {
        let text = |bytes| core::str::from_utf8(bytes).unwrap_or("(no text)");
        log_line!("received on {}: {}", text(message.topic), text(message.payload));
        self.pending = (message.qos > 0).then_some(message.id);
        self.settle(client);
    }

    /// Retries an acknowledgement; false if it is still pending. Too many in flight is no error: this one is retried
    /// later, before further messages are read.
    pub(crate) fn settle(&mut self, client: &Client) -> bool {
        let Some(id) = self.pending else { return true };
        match client.acknowledge(id) {
            Err(MV_STATUS_RATELIMITED) => false,
            result => {
                self.pending = None;
                logging::checked("mvMqttAcknowledgeMessage", result);
                true
            }
        }
    }
}
