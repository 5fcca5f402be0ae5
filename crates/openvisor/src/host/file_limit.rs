//! The limit of open files.

/// Raises the process's soft limit to its hard limit, because each device and each connection takes a descriptor. The
/// usual limit of 1024 protects programs that use `select`, which this one does not. If it cannot be raised, opening a
/// file fails later, with an error.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
