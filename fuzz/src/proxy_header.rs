//! The PROXY header of a hostile load balancer.

pub(crate) fn run(bytes: &[u8]) {
    let Some((client, length)) = cloud::fuzzing::proxy_header(bytes) else { return };
    assert!(length <= bytes.len().min(cloud::limits::PROXY_HEADER), "{length} of {} bytes", bytes.len());
    let alone = cloud::fuzzing::proxy_header(&bytes[..length]);
    assert_eq!(alone, Some((client, length)), "the header depends on what follows it");
    assert_eq!(cloud::fuzzing::proxy_header(&bytes[..length - 1]), None, "its last byte is needed");
}
