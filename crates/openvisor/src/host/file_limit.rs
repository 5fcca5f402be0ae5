//! How many files the process may have open.

/// Raises the process's limit to what the system allows it: each device and each connection takes a descriptor. The usual limit of
/// 1024 is for programs that use `select`, of which this is none. Where it cannot be raised, whoever opens files is told.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Other systems have no such limit, or none that can be raised.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
