//! Protects the keys in a cloud's memory from other processes.

/// Keeps the memory of this process, with its keys and passwords, out of core dumps, and its memory and environment
/// from other processes of the same user, because a cloud holds the keys of all its devices (D207). If the system
/// refuses, the cloud runs without this protection.
pub(crate) fn protect_memory() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Logs a warning if the process runs as root, whose rights a cloud does not need.
pub(crate) fn warn_if_root() {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        tracing::warn!(name: "running_as_root", "running as root, which is not needed: run it as a user of its own");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    use super::*;

    /// Shows D207.
    #[test]
    fn a_protected_process_writes_no_core_dump() {
        protect_memory();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
