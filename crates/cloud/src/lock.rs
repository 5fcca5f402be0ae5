//! Mutexes whose content is sound after every statement.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, also after a thread panicked while it held it: one panic must not become everybody's.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
