//! `openvisor store`: copies a cloud's data to another database.

mod arguments;

use std::io::Write as _;
use std::time::{Duration, Instant};

use ::cloud::StoreUrlError;
use ::cloud::store::{CopyEnd, CopyProgress, CopySummary, StoreCopy};
use serde_json::json;

use crate::operate::confirmation::confirm;
use crate::options::StoreEndOption;
use crate::output::exit::Failure;
use crate::output::print::print_result;
use crate::output::table::table;
pub(super) use arguments::StoreArguments;
use arguments::{CopyArguments, StoreAction};

/// Shortest time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Characters of a digest that the table shows; with `--json` all are there.
const SHOWN_DIGITS: usize = 16;

/// Runs the subcommand.
pub(super) async fn run(arguments: StoreArguments) -> Result<(), Failure> {
    match arguments.action {
        StoreAction::Copy(copy) => copy_store(&copy).await,
    }
}

async fn copy_store(arguments: &CopyArguments) -> Result<(), Failure> {
    let from = end("--from", &arguments.from)?;
    let to = end("--to", &arguments.to)?;
    let copy = StoreCopy::open(&from, &to).await?;
    let (source, target) = (copy.source_name(), copy.target_name());
    if let Some(contents) = copy.existing().filter(|_| arguments.replace && !arguments.yes) {
        confirm(
            &format!("replacing {target}"),
            &format!("Replace everything in {target}?\n{contents}; all of that is deleted."),
            &format!("{target} was not replaced"),
        )?;
    }
    let start = Instant::now();
    let summary = copy.run(arguments.replace, progress()).await?;
    let seconds = start.elapsed().as_secs_f64();
    print_result(
        arguments.json,
        || {
            let next = next_step(&from, &to, &target);
            format!("{}\ncopied and compared: {source} to {target}{next}", rows(&summary))
        },
        || {
            let tables = summary.tables.iter().map(
                |copied| json!({ "table": copied.table, "rows": copied.rows, "sha256": hexadecimal(&copied.digest), "last_number": copied.last_number }),
            );
            json!({
                "from": source,
                "to": target,
                "tables": tables.collect::<Vec<_>>(),
                "seconds": seconds,
            })
        },
    );
    Ok(())
}

/// The end that an option names. No error repeats the text, which may contain a password.
fn end(option: &str, value: &StoreEndOption) -> Result<CopyEnd, Failure> {
    value.end().map_err(|error: StoreUrlError| {
        Failure::bad_input(format!("{option}: {error}"))
            .hint("for example postgres://openvisor@db.example.net/openvisor, or the folder of `openvisor cloud --data`")
    })
}

/// Writes how far the copy is, on standard error.
fn progress() -> impl FnMut(CopyProgress) {
    let mut last = Instant::now();
    move |progress| {
        if last.elapsed() < PROGRESS_INTERVAL {
            return;
        }
        last = Instant::now();
        let CopyProgress { table, rows, total } = progress;
        let _ = writeln!(anstream::stderr(), "{table}: {rows} of {total} rows");
    }
}

fn rows(summary: &CopySummary) -> String {
    let rows: Vec<_> = summary
        .tables
        .iter()
        .map(|copied| {
            let digest = hexadecimal(&copied.digest)[..SHOWN_DIGITS].to_owned();
            vec![copied.table.to_owned(), copied.rows.to_string(), digest]
        })
        .collect();
    table(&["TABLE", "ROWS", "SHA-256"], &rows)
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The start that makes the data folder use the copy.
fn next_step(from: &CopyEnd, to: &CopyEnd, target: &str) -> String {
    let (folder, store) = match (from, to) {
        (_, CopyEnd::Folder(folder)) => (folder.display().to_string(), "sqlite"),
        (CopyEnd::Folder(folder), CopyEnd::Server(_)) => (folder.display().to_string(), target),
        (CopyEnd::Server(_), CopyEnd::Server(_)) => ("DIR".to_owned(), target),
    };
    format!("\n  use it from now on with: openvisor cloud --data {folder} --store {store}")
}
