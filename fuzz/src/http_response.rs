//! A hostile HTTP server's response.

/// Bytes of a response that a device has room for.
const ROOM: usize = 1000;

pub(crate) fn run(bytes: &[u8]) {
    if let Some(response) = cloud::fuzzing::http_response(bytes, ROOM) {
        let headers = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        assert!(headers + response.body.len() <= ROOM, "a response larger than the room for it");
        assert!((100..1000).contains(&response.status), "status {}", response.status);
    }
}
