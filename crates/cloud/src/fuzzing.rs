//! Ways in for the fuzz targets (`fuzz/`), which see only what is public. Nothing else uses them.

use std::net::SocketAddr;

use relay::HttpResponse;
use tokio::io::AsyncWriteExt;

use crate::gateway::Origin;

/// The common name of a certificate, if it has exactly one.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    crate::certificate::common_name(certificate)
}

/// The client's address in the PROXY header that `bytes` begin with, and how many bytes that has; `None` when it is
/// refused. A header without a client's address has `None` inside.
///
/// # Panics
/// If the system has no resources for a runtime.
pub fn proxy_header(bytes: &[u8]) -> Option<(Option<SocketAddr>, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut rest = bytes;
    let origin = runtime.block_on(crate::gateway::read_header(&mut rest)).ok()?;
    let client = match origin {
        Origin::Client(client) => Some(client),
        Origin::Unknown | Origin::Local => None,
    };
    Some((client, bytes.len() - rest.len()))
}

/// What a device with `room` bytes is given of the response in `bytes`, after which the server closes.
///
/// # Panics
/// If the system has no resources for a runtime.
pub fn http_response(bytes: &[u8], room: usize) -> Option<HttpResponse> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (client, mut server) = tokio::io::duplex(bytes.len().max(1) + 4096);
        server.write_all(bytes).await.ok()?;
        server.shutdown().await.ok()?;
        crate::http::get(client, room).await
    })
}
