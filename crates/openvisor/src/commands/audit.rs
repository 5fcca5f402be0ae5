//! `openvisor audit`: who changed what, when and from where.

mod arguments;

use serde_json::Value;

use crate::operate::management::Management;
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line};
use crate::output::table::table;
pub(super) use arguments::AuditArguments;

/// Prints the newest records, the newest first.
pub(super) async fn run(arguments: AuditArguments) -> Result<(), Failure> {
    let cloud = Management::open(&arguments.cloud.folder, arguments.cloud.account.as_deref()).await?;
    let records = cloud.list("/v1/Audit", Some(arguments.last)).await;
    cloud.close().await;
    let records = records?;
    if arguments.cloud.json {
        let _ = records.iter().try_for_each(print_json);
        return Ok(());
    }
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let row = |record: &Value| {
        ["date", "actor", "source", "action", "object"].map(|name| text(record, name)).to_vec()
    };
    let rows: Vec<_> = records.iter().map(row).collect();
    let _ = print_line(&table(&["DATE", "WHO", "FROM", "ACTION", "OBJECT"], &rows));
    Ok(())
}
