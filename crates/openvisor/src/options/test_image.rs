//! Which tests of an image run, and how their results are written: the options of Rust's test harness.

use clap::{Args, ValueEnum};

/// The options that `cargo test` users and editors know.
#[derive(Args, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag of the command line")]
#[command(next_help_heading = "Images of tests (openvisor_app::tests!, cargo test)")]
pub(crate) struct TestImageOptions {
    /// Run only the tests whose name contains one of these
    pub(crate) filter: Vec<String>,
    /// The filters are whole names
    #[arg(long)]
    pub(crate) exact: bool,
    /// Leave out the tests whose name contains this, or is it with --exact (repeatable)
    #[arg(long, value_name = "FILTER")]
    pub(crate) skip: Vec<String>,
    /// Run only the tests that are otherwise ignored
    #[arg(long, conflicts_with = "include_ignored")]
    pub(crate) ignored: bool,
    /// Run the ignored tests, too
    #[arg(long)]
    pub(crate) include_ignored: bool,
    /// List the tests and run none
    #[arg(long)]
    pub(crate) list: bool,
    /// Show the lines of all tests and what happens on the device while they run
    #[arg(long, alias = "nocapture")]
    pub(crate) no_capture: bool,
    /// Show the lines of passed tests, too, at the end
    #[arg(long)]
    pub(crate) show_output: bool,
    /// A line for each test, or one character as with --quiet
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TestFormat>,
    /// Accepted for the sake of editors: tests run one after the other
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) test_threads: Option<usize>,
}

/// Form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestFormat {
    /// A line for each test
    Pretty,
    /// A character for each test
    Terse,
}

impl TestImageOptions {
    /// An option that only means something for an image of tests, if one is given.
    pub(crate) fn given(&self) -> Option<String> {
        let flags = [
            (self.exact, "--exact"),
            (!self.skip.is_empty(), "--skip"),
            (self.ignored, "--ignored"),
            (self.include_ignored, "--include-ignored"),
            (self.list, "--list"),
            (self.no_capture, "--no-capture"),
            (self.show_output, "--show-output"),
            (self.format.is_some(), "--format"),
            (self.test_threads.is_some(), "--test-threads"),
        ];
        let flag = flags.into_iter().find_map(|(is_given, option)| is_given.then(|| option.to_owned()));
        self.filter.first().cloned().or(flag)
    }

    /// Whether a test of this name is one of those named.
    pub(crate) fn names(&self, name: &str) -> bool {
        let matches = |filter: &String| if self.exact { name == filter } else { name.contains(filter) };
        (self.filter.is_empty() || self.filter.iter().any(matches)) && !self.skip.iter().any(matches)
    }
}
