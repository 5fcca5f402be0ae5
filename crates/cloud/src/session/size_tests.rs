//! What each idle device costs the cloud in memory for its session. What it grows by grows as often as there are
//! devices, and nothing else would show it.

use link::CloudLink;

use super::*;

/// Most bytes of the state of a session, and of its largest parts.
const MAX_SESSION: usize = 4704;
const MAX_RELAY: usize = 2496;
const MAX_LINK: usize = 2112;
const MAX_STREAM: usize = 1224;
/// Most bytes of the future, which is part of the connection's task. A variable that is alive while the session runs is
/// in it, so that this also finds a box that is kept.
const MAX_FUTURE: usize = 136;

/// Bytes of the future that a function returns.
fn future_size<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_session_grows_only_on_purpose() {
    let sizes = [
        ("session", size_of::<Session>(), MAX_SESSION),
        ("relay", size_of::<DeviceRelay>(), MAX_RELAY),
        ("link", size_of::<CloudLink>(), MAX_LINK),
        ("stream", size_of::<DeviceStream>(), MAX_STREAM),
        ("future", future_size(serve), MAX_FUTURE),
    ];
    let grown: Vec<_> = sizes.iter().filter(|(_, size, limit)| size > limit).collect();
    assert!(grown.is_empty(), "larger than their limits: {grown:?}");
}
