//! What the process of a cloud asks of the system for the sake of its keys.

/// From now on the memory of this process, keys and passwords in it, is in no core dump, and neither it nor the environment is to
/// be read by other processes of the same user. Where the system does not let us, the cloud serves its devices all the same.
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

/// Says so in the log where the process has all rights, which a cloud needs none of.
pub(crate) fn warn_if_root() {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        tracing::warn!("running as root, which is not needed: use an account of its own");
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
