//! `--record` and `--deterministic`.

use device::entropy::Seed;
use device::recording::{Recorder, Status};

use crate::options::RecordingOptions;
use crate::output::exit::Failure;

/// What a device is started with, and how its recording goes.
#[derive(Default)]
pub(crate) struct Recording {
    /// The seed of its random numbers.
    pub(crate) seed: Option<Seed>,
    /// Writes the recording.
    pub(crate) recorder: Option<Recorder>,
    status: Option<Status>,
}

impl Recording {
    /// Creates the file.
    pub(crate) fn create(options: &RecordingOptions) -> Result<Self, Failure> {
        let seed = options.deterministic.as_deref().map(Seed::of_text);
        let Some(path) = &options.record else { return Ok(Self { seed, ..Self::default() }) };
        let recorder = Recorder::create(path).map_err(|error| {
            Failure::environment(format!("--record: cannot write {}: {error}", path.display()))
        })?;
        Ok(Self { seed, status: Some(recorder.status()), recorder: Some(recorder) })
    }

    /// Reports later whether the recording was written completely.
    pub(crate) fn status(&self) -> RecordingStatus {
        RecordingStatus(self.status.clone())
    }
}

/// How a recording went.
pub(crate) struct RecordingStatus(Option<Status>);

impl RecordingStatus {
    /// Fails if a write has failed.
    pub(crate) fn check(self) -> Result<(), Failure> {
        match self.0.and_then(|status| status.take_failure()) {
            Some(error) => {
                Err(Failure::environment(format!("the recording is incomplete, a write failed: {error}"))
                    .hint("it can be replayed up to that point"))
            }
            None => Ok(()),
        }
    }
}
