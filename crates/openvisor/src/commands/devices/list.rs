//! `openvisor devices list`.

use std::io::Write as _;

use ::cloud::store::Account;

use super::DeviceStatus;
use super::arguments::ListArguments;
use crate::operate::cloud_data::CloudData;
use crate::output::exit::Failure;
use crate::output::print::{print_json, print_line};
use crate::output::table::table;
use crate::output::timeline::printable;

/// A device and the account it belongs to.
struct Row {
    account: Account,
    status: DeviceStatus,
}

/// Lists the devices of one account, or of all.
pub(super) async fn run(list: &ListArguments) -> Result<(), Failure> {
    let rows = read(list).await?;
    if list.cloud.json {
        let object = |row: &Row| {
            let mut object = row.status.to_json();
            object["account"] = row.account.id.as_str().into();
            object
        };
        let _ = rows.iter().try_for_each(|row| print_json(&object(row)));
        return Ok(());
    }
    if rows.is_empty() {
        let _ = writeln!(
            anstream::stderr(),
            "there are no devices; create one with: openvisor provision --data {} --out DIR",
            crate::operate::management::target::folder(&list.cloud.folder)?.display()
        );
        return Ok(());
    }
    let mut header = vec!["ID", "NAME", "STATE", "LAST SEEN"];
    header.extend(list.all_accounts.then_some("ACCOUNT"));
    let cells: Vec<_> = rows.iter().map(|row| cells(row, list.all_accounts)).collect();
    let _ = print_line(&table(&header, &cells));
    Ok(())
}

async fn read(list: &ListArguments) -> Result<Vec<Row>, Failure> {
    let cloud = CloudData::open(&list.cloud.folder, list.cloud.account.as_deref()).await?;
    let cloud_runs = cloud.is_cloud_running()?;
    let mut rows = Vec::new();
    for account in cloud.store().accounts().await? {
        if !list.all_accounts && account.id.as_str() != cloud.store().account() {
            continue;
        }
        for device in cloud.store().of_account(account.id).devices().await? {
            rows.push(Row { account: account.clone(), status: DeviceStatus::new(device, cloud_runs) });
        }
    }
    cloud.close().await;
    Ok(rows)
}

fn cells(row: &Row, with_account: bool) -> Vec<String> {
    let Row { account, status } = row;
    let mut cells = vec![status.device.id.to_string(), status.name(), status.state().into(), status.seen()];
    cells.extend(
        with_account.then(|| account.name.as_deref().map_or_else(|| account.id.to_string(), printable)),
    );
    cells
}
