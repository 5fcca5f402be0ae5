//! Supervision of background tasks: a task that panics is restarted, because the cloud would otherwise run on without
//! it; one that panics too often ends the cloud (D166).

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::limits::{TASK_PANIC_PERIOD, TASK_PANICS, TASK_RESTART_PAUSE};
use crate::lock::lock;
use crate::metrics::Metrics;

/// Supervises the background tasks of one cloud.
pub(crate) struct Supervisor {
    metrics: Arc<Metrics>,
    /// Pause before a restart.
    pause: Duration,
    /// Tasks that have panicked and not been restarted.
    down: Mutex<BTreeSet<&'static str>>,
    /// The task that failed for good.
    failed: watch::Sender<Option<&'static str>>,
}

impl Supervisor {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Self::with_pause(metrics, TASK_RESTART_PAUSE)
    }

    fn with_pause(metrics: Arc<Metrics>, pause: Duration) -> Arc<Self> {
        Arc::new(Self { metrics, pause, down: Mutex::default(), failed: watch::Sender::new(None) })
    }

    /// Runs the task that `make` returns until it ends by itself, and restarts it each time it panics, up to a limit.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        name: &'static str,
        make: impl Fn() -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            let mut panics = VecDeque::new();
            while supervisor.run(name, make()).await == Exit::Panicked {
                panics.push_back(Instant::now());
                while panics.front().is_some_and(|first: &Instant| first.elapsed() > TASK_PANIC_PERIOD) {
                    panics.pop_front();
                }
                if panics.len() >= TASK_PANICS {
                    return supervisor.fail(name);
                }
                sleep(supervisor.pause).await;
            }
        })
    }

    /// Runs a task that cannot be restarted: its panic ends the cloud.
    pub(crate) fn spawn_once<F>(self: &Arc<Self>, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            if supervisor.run(name, task).await == Exit::Panicked {
                supervisor.fail(name);
            }
        })
    }

    async fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Exit {
        lock(&self.down).remove(name);
        // A set of one, because it aborts its task when it is dropped.
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                lock(&self.down).insert(name);
                self.metrics.task_panics.with_label_values(&[name]).inc();
                let cause = error.into_panic();
                let cause = panic_text(cause.as_ref());
                tracing::error!(name: "task_panicked", task = name, error = cause, "a background task panicked");
                Exit::Panicked
            }
            _ => Exit::Normal,
        }
    }

    fn fail(&self, name: &'static str) {
        tracing::error!(
            name: "task_failed",
            task = name,
            "a background task panicked too often or cannot be restarted; the cloud stops"
        );
        self.failed.send_replace(Some(name));
    }

    /// Waits until a task has failed for good and returns its name.
    pub(crate) async fn failed(&self) -> &'static str {
        let mut failed = self.failed.subscribe();
        loop {
            let name = *failed.borrow_and_update();
            if let Some(name) = name {
                return name;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A task that is not running, if there is one.
    pub(crate) fn down(&self) -> Option<&'static str> {
        lock(&self.down).first().copied()
    }
}

#[derive(PartialEq, Eq)]
enum Exit {
    Normal,
    Panicked,
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

/// Counts the panic of a session in whose task it is dropped.
pub(crate) struct PanicCount(pub(crate) Arc<Metrics>);

impl Drop for PanicCount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.session_panics.inc();
            tracing::error!(name: "session_panicked", "a device's session panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn panics(metrics: &Metrics) -> u64 {
        metrics.task_panics.with_label_values(&["test"]).get()
    }

    /// Shows D166.
    #[tokio::test]
    async fn a_task_that_panics_is_restarted_and_reported_until_then() {
        let metrics = Arc::new(Metrics::new());
        let supervisor = Supervisor::with_pause(metrics.clone(), Duration::from_millis(100));
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = starts.clone();
        let task = supervisor.spawn("test", move || {
            let start = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(start >= 2, "start {start}") }
        });
        while starts.load(Ordering::Relaxed) == 0 || supervisor.down().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(supervisor.down(), Some("test"));
        task.await.expect("it ends");
        assert_eq!((starts.load(Ordering::Relaxed), panics(&metrics)), (3, 2));
        assert_eq!(supervisor.down(), None);
    }

    /// Shows D166.
    #[tokio::test]
    async fn a_task_that_panics_too_often_fails() {
        let metrics = Arc::new(Metrics::new());
        let supervisor = Supervisor::with_pause(metrics.clone(), Duration::ZERO);
        let _task = supervisor.spawn("test", || async { panic!("always") });
        assert_eq!(supervisor.failed().await, "test");
        assert_eq!(panics(&metrics), TASK_PANICS as u64);
        assert_eq!(supervisor.down(), Some("test"));
    }

    /// Shows D166.
    #[tokio::test]
    async fn a_task_that_cannot_be_restarted_fails_at_once() {
        let supervisor = Supervisor::new(Arc::new(Metrics::new()));
        let _task = supervisor.spawn_once("test", async { panic!("once") });
        assert_eq!(supervisor.failed().await, "test");
    }

    /// Shows D166.
    #[tokio::test]
    async fn a_session_that_panics_is_counted() {
        let metrics = Arc::new(Metrics::new());
        let count = PanicCount(metrics.clone());
        let session = tokio::spawn(async move {
            let _count = count;
            panic!("a session");
        });
        assert!(session.await.is_err());
        assert_eq!(metrics.session_panics.get(), 1);
        drop(PanicCount(metrics.clone()));
        assert_eq!(metrics.session_panics.get(), 1, "a normal end is not counted");
    }
}
