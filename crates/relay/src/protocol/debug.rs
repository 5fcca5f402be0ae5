//! Debug output of what a relay asks for, without the bytes that are passed on: they contain payloads, passwords,
//! keys and configuration values.

use core::fmt;

use super::{Omitted, Output};

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkSend(bytes) => f.debug_tuple("LinkSend").field(&Omitted(bytes.len())).finish(),
            Self::OpenConnection { connection, target } => f
                .debug_struct("OpenConnection")
                .field("connection", connection)
                .field("target", target)
                .finish(),
            Self::ConnectionSend { connection, bytes } => f
                .debug_struct("ConnectionSend")
                .field("connection", connection)
                .field("bytes", &Omitted(bytes.len()))
                .finish(),
            Self::CloseConnection { connection, abort } => f
                .debug_struct("CloseConnection")
                .field("connection", connection)
                .field("abort", abort)
                .finish(),
            Self::PauseReading { connection } => f.debug_tuple("PauseReading").field(connection).finish(),
            Self::ResumeReading { connection } => f.debug_tuple("ResumeReading").field(connection).finish(),
            Self::Lookup { lookup, keys } => {
                f.debug_struct("Lookup").field("lookup", lookup).field("keys", keys).finish()
            }
            Self::HttpRequest { exchange, request } => {
                f.debug_struct("HttpRequest").field("exchange", exchange).field("request", request).finish()
            }
            Self::CancelHttp { exchange } => f.debug_tuple("CancelHttp").field(exchange).finish(),
            Self::Log(line) => f.debug_tuple("Log").field(line).finish(),
            Self::Hello(hello) => f.debug_tuple("Hello").field(hello).finish(),
            Self::Notice(notice) => f.debug_tuple("Notice").field(notice).finish(),
            Self::Disconnect { reason } => f.debug_tuple("Disconnect").field(reason).finish(),
        }
    }
}
