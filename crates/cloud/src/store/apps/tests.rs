use super::*;
use crate::store::DeviceUpdate;
use crate::store::tests::Fixture;

fn to(app: AppId) -> DeviceUpdate {
    DeviceUpdate { target: Some(app), ..DeviceUpdate::default() }
}

fn app(manifest: &[u8]) -> NewApp<'_> {
    NewApp { name: None, manifest, hash: [manifest[0]; 32], image: [7; 32], layers: &[([7; 32], b"image")] }
}

/// Shows D372.
#[tokio::test]
async fn an_application_is_stored_once_and_its_layers_with_it() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let (first, is_new) =
            store.add_app(NewApp { name: Some("blink"), ..app(b"1") }).await.expect("stored");
        assert!(is_new);
        let (again, is_new) = store.add_app(app(b"1")).await.expect("known");
        assert_eq!((again.id, is_new), (first.id, false));
        let (second, _) = store.add_app(app(b"2")).await.expect("stored");
        assert!(matches!(
            store.add_app(NewApp { name: Some("blink"), ..app(b"3") }).await,
            Err(StoreError::AppNameTaken(_))
        ));
        assert_eq!(store.app_named("blink").await.expect("read").as_ref(), Some(&first));
        assert_eq!(store.app_manifest(first.id).await.expect("read").as_deref(), Some(&b"1"[..]));
        assert!(store.remove_app(first.id).await.expect("removed"));
        assert_eq!(store.app_layers(second.id).await.expect("read"), [([7; 32], b"image".to_vec())]);
        assert!(store.remove_app(second.id).await.expect("removed"));
        let count = sqlx::query("SELECT COUNT(*) FROM layers");
        let count: i64 =
            store.pool.fetch_one(Purpose::Read, count).await.expect("read").try_get(0).expect("a number");
        assert_eq!(count, 0, "no layer without an application is kept");
    }
}

/// Shows D372.
#[tokio::test]
async fn what_a_device_runs_or_is_to_run_cannot_be_removed() {
    for fixture in Fixture::each().await {
        let (store, device) = (&fixture.store, fixture.device(None).await);
        let (target, _) = store.add_app(NewApp { image: [8; 32], ..app(b"1") }).await.expect("stored");
        let (reported, _) = store.add_app(app(b"2")).await.expect("stored");
        store.update_device(device, &to(target.id)).await.expect("targeted");
        store.record_seen(&[(device, [7; 32])]).await.expect("recorded");
        assert_eq!(store.device(device).await.expect("read").expect("there").target, Some(target.id));
        for app in [target.id, reported.id] {
            assert!(matches!(store.remove_app(app).await, Err(StoreError::AppInUse(_))));
        }
        let foreign = store.of_account(store.add_account(None).await.expect("created").id);
        assert!(matches!(foreign.update_device(device, &to(target.id)).await, Err(StoreError::NoApp(_))));
    }
}

/// Shows D373.
#[tokio::test]
async fn a_list_read_page_by_page_has_each_item_once_while_others_come_and_go() {
    let fixture = Fixture::sqlite().await;
    let store = &fixture.store;
    let mut kept = Vec::new();
    for number in 0..20_u8 {
        kept.push(store.add_app(app(&[number])).await.expect("stored").0.id);
    }
    let removed = kept.remove(3);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.apps(after, 6).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some((last.created, last.id));
        seen.extend(page.iter().map(|app| app.id));
        let _ = store.remove_app(removed).await.expect("removed");
        store.add_app(app(&[100 + u8::try_from(seen.len()).expect("few")])).await.expect("stored");
        if seen.len() > 60 {
            break;
        }
    }
    for id in kept {
        assert_eq!(seen.iter().filter(|seen| **seen == id).count(), 1);
    }
}
