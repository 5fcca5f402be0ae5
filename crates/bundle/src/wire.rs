//! The manifest's protobuf messages (proto3), with the field numbers of the original's.

use prost::{Message, Oneof};

/// The outer message: the signed body as bytes, with the signature.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpaqueManifest {
    #[prost(uint64, tag = "1")]
    pub signer_id: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub body: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppBody {
    #[prost(message, repeated, tag = "1")]
    pub layers: Vec<AppLayerReference>,
    #[prost(message, optional, tag = "2")]
    pub debug: Option<DebugPolicy>,
    #[prost(message, optional, tag = "3")]
    pub crash: Option<CrashPolicy>,
    #[prost(message, optional, tag = "4")]
    pub update: Option<UpdatePolicy>,
    #[prost(message, optional, tag = "5")]
    pub connectivity: Option<ConnectivityPolicy>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppLayerReference {
    #[prost(message, optional, tag = "1")]
    pub target: Option<AppLayerRegion>,
    #[prost(uint64, tag = "2")]
    pub encrypted_with_key_id: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub fetch_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub measurement_hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppLayerRegion {
    #[prost(oneof = "Where", tags = "1, 2")]
    pub at: Option<Where>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Where {
    #[prost(message, tag = "1")]
    InternalFlash(FlashRegion),
    #[prost(message, tag = "2")]
    ExternalFlash(FlashRegion),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct FlashRegion {
    #[prost(uint32, tag = "1")]
    pub start: u32,
    #[prost(uint32, tag = "2")]
    pub size: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DebugPolicy {
    #[prost(bool, tag = "1")]
    pub debuggable: bool,
    #[prost(bytes = "vec", tag = "2")]
    pub debug_auth_pubkey: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CrashPolicy {
    #[prost(uint32, tag = "1")]
    pub minimum_restart_ms: u32,
    #[prost(uint32, tag = "2")]
    pub maximum_restart_ms: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub crash_report_pubkey: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub include_stack_bytes: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct UpdatePolicy {
    #[prost(uint32, tag = "1")]
    pub maximum_politeness_time_sec: u32,
    #[prost(uint32, tag = "2")]
    pub minimum_kernel_version: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ConnectivityPolicy {
    #[prost(uint32, tag = "1")]
    pub connection_grace_time_sec: u32,
    #[prost(uint32, tag = "2")]
    pub minimum_check_in_time_sec: u32,
}
