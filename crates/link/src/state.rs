//! How far a connection is, as both ends see it.

/// How far the connection is. Both ends go through it from top to bottom; only a device starts without a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no transport.
    Disconnected,
    /// `HELLO` has not been sent by the device, or not been received by the cloud.
    AwaitingHello,
    /// `HELLO` has been sent or received, `WELCOME` has not.
    AwaitingWelcome,
    /// `WELCOME` has been sent or received: channels can be opened and used.
    Open,
    /// `BYE` is pending, sent or received. Nothing else is sent, and what arrives is ignored.
    Closing,
}
