//! Background tasks that are watched: one that panics is started again, and when that does not help the cloud ends (D166).

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

/// Which tasks do not run though they should.
pub(crate) struct Supervisor {
    metrics: Arc<Metrics>,
    /// Before a task is started again.
    pause: Duration,
    down: Mutex<BTreeSet<&'static str>>,
    /// The task that was given up.
    failed: watch::Sender<Option<&'static str>>,
}

impl Supervisor {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Self::with_pause(metrics, TASK_RESTART_PAUSE)
    }

    fn with_pause(metrics: Arc<Metrics>, pause: Duration) -> Arc<Self> {
        Arc::new(Self { metrics, pause, down: Mutex::default(), failed: watch::Sender::new(None) })
    }

    /// Runs the task that `make` makes until it ends by itself, and again each time it panics. When it panics too often it is given up.
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
            while supervisor.run(name, make()).await == Ended::Panicked {
                panics.push_back(Instant::now());
                while panics.front().is_some_and(|first: &Instant| first.elapsed() > TASK_PANIC_PERIOD) {
                    panics.pop_front();
                }
                if panics.len() >= TASK_PANICS {
                    return supervisor.give_up(name);
                }
                sleep(supervisor.pause).await;
            }
        })
    }

    /// Runs a task that cannot be started again: its panic ends the cloud.
    pub(crate) fn spawn_once<F>(self: &Arc<Self>, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            if supervisor.run(name, task).await == Ended::Panicked {
                supervisor.give_up(name);
            }
        })
    }

    async fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> Ended {
        lock(&self.down).remove(name);
        // A set of one, because it ends its task when it is dropped.
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                lock(&self.down).insert(name);
                self.metrics.task_panics.with_label_values(&[name]).inc();
                let cause = error.into_panic();
                let cause = panic_text(cause.as_ref());
                tracing::error!(task = name, cause, "a background task has panicked");
                Ended::Panicked
            }
            _ => Ended::Regularly,
        }
    }

    fn give_up(&self, name: &'static str) {
        tracing::error!(task = name, "the background task cannot go on: the cloud ends");
        self.failed.send_replace(Some(name));
    }

    /// Waits until a task has been given up; answers which.
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

    /// A task that does not run at the moment, if there is one.
    pub(crate) fn down(&self) -> Option<&'static str> {
        lock(&self.down).first().copied()
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Regularly,
    Panicked,
}

fn panic_text(cause: &(dyn std::any::Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

/// Counts a panic of the task it is dropped in.
pub(crate) struct PanicCount(pub(crate) Arc<Metrics>);

impl Drop for PanicCount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.session_panics.inc();
            tracing::error!("a device's session has panicked");
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
    async fn a_task_that_panics_is_started_again_and_reported_meanwhile() {
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
    async fn a_task_that_panics_again_and_again_is_given_up() {
        let metrics = Arc::new(Metrics::new());
        let supervisor = Supervisor::with_pause(metrics.clone(), Duration::ZERO);
        let _task = supervisor.spawn("test", || async { panic!("always") });
        assert_eq!(supervisor.failed().await, "test");
        assert_eq!(panics(&metrics), TASK_PANICS as u64);
        assert_eq!(supervisor.down(), Some("test"));
    }

    /// Shows D166.
    #[tokio::test]
    async fn a_task_that_cannot_be_started_again_is_given_up_at_once() {
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
        assert_eq!(metrics.session_panics.get(), 1, "a regular end is none");
    }
}
