//! The common name of a hostile certificate.

pub(crate) fn run(bytes: &[u8]) {
    if let Some(name) = cloud::fuzzing::common_name(bytes) {
        assert!(name.len() < bytes.len(), "a name of {} bytes in {}", name.len(), bytes.len());
    }
}
