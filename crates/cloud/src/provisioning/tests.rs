use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::tempdir;

use super::*;
use crate::store::Scope;

async fn devices(data: &Path) -> usize {
    let folder = DataFolder::open_existing(data).expect("there");
    let store = Store::open(&folder).await.expect("opened");
    let count = store.devices().await.expect("listed").len();
    store.close().await;
    count
}

/// Shows D163.
#[tokio::test]
async fn a_device_whose_files_cannot_be_written_is_not_added() {
    let directory = tempdir().expect("a folder");
    let data = directory.path().join("cloud");
    let blocked = directory.path().join("file");
    fs::write(&blocked, "in the way").expect("written");
    let device = NewDevice { account: None, name: Some("orphan"), items: &[], out: &blocked.join("device") };
    assert!(matches!(provision_into(&data, None, device).await, Err(ProvisionError::Data(_))));
    assert_eq!(devices(&data).await, 0);
    let out = directory.path().join("device");
    let again = NewDevice { out: &out, ..device };
    provision_into(&data, None, again).await.expect("the name is free");
    assert_eq!(fs::metadata(&out).expect("there").permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(out.join("key.pem")).expect("there").permissions().mode() & 0o777, 0o600);
}

/// Shows D163.
#[tokio::test]
async fn a_device_the_store_refuses_leaves_no_files() {
    let directory = tempdir().expect("a folder");
    let (data, out) = (directory.path().join("cloud"), directory.path().join("device"));
    provision(&data, None, Some("kettle")).await.expect("made");
    let item = |key: &str| NewItem {
        device_scope: false,
        secret: false,
        key: key.to_owned(),
        value: "value".to_owned(),
    };
    let bad = [item("good"), item("")];
    let refused = NewDevice { account: None, name: Some("kettle"), items: &bad[..1], out: &out };
    let message = provision_into(&data, None, refused).await.expect_err("taken");
    assert!(matches!(message, ProvisionError::Store(StoreError::NameTaken(_))), "{message}");
    let refused = NewDevice { name: None, items: &bad, ..refused };
    let message = provision_into(&data, None, refused).await.expect_err("no key");
    assert!(matches!(message, ProvisionError::Store(StoreError::InvalidKey)), "{message}");
    assert!(!out.exists());
    // A folder that was there stays, and is empty again.
    fs::create_dir(&out).expect("made");
    provision_into(&data, None, refused).await.expect_err("no key");
    assert_eq!(fs::read_dir(&out).expect("there").count(), 0);
    let folder = DataFolder::open_existing(&data).expect("there");
    let store = Store::open(&folder).await.expect("opened");
    assert_eq!(store.config(Scope::Account, "good").await.expect("asked"), None);
    assert_eq!(store.devices().await.expect("listed").len(), 1);
}
