use super::*;
use crate::store::tests::Fixture;

fn key(role: Role) -> NewApiKey<'static> {
    NewApiKey { name: Some("ci"), role, expires: None, devices: None }
}

/// Shows D370.
#[tokio::test]
async fn a_key_is_accepted_with_its_secret_until_it_is_revoked_or_ends() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let (key, secret) = store.add_api_key(&key(Role::Deploy)).await.expect("created");
        let accepted = store.authenticate_key(key.id, secret.as_str()).await.expect("read").expect("valid");
        assert_eq!((accepted.role, accepted.account.as_str()), (Role::Deploy, store.account()));
        assert_eq!(store.authenticate_key(key.id, "ovs_wrong").await.expect("read"), None);
        assert_eq!(store.authenticate_key(ApiKeyId::random(), secret.as_str()).await.expect("read"), None);
        assert!(
            store.api_key(key.id).await.expect("read").expect("there").used.is_some(),
            "its use is recorded"
        );

        assert!(store.revoke_api_key(key.id).await.expect("revoked"));
        assert!(!store.revoke_api_key(key.id).await.expect("revoked before"));
        assert_eq!(store.authenticate_key(key.id, secret.as_str()).await.expect("read"), None);
        assert!(!store.is_key_valid(key.id).await.expect("read"));

        let ended = NewApiKey { expires: Some(wall_millis() - 1), ..self::key(Role::Read) };
        let (key, secret) = store.add_api_key(&ended).await.expect("created");
        assert_eq!(store.authenticate_key(key.id, secret.as_str()).await.expect("read"), None);
    }
}

/// Shows D370, D371.
#[tokio::test]
async fn keys_and_the_record_of_changes_belong_to_one_account() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let other = store.of_account(store.add_account(Some("other")).await.expect("created").id);
        let (key, secret) = store.add_api_key(&key(Role::Owner)).await.expect("created");
        assert_eq!(other.api_key(key.id).await.expect("read"), None);
        assert_eq!(other.api_keys(None, 10).await.expect("read"), []);
        assert!(matches!(other.revoke_api_key(key.id).await, Err(StoreError::NoApiKey(_))));
        let records = store.audit(None, 10).await.expect("read");
        assert_eq!((&*records[0].action, &*records[0].object), ("key.create", key.id.as_str()));
        assert!(!format!("{records:?}").contains(secret.as_str()));
        let foreign = other.audit(None, 10).await.expect("read");
        assert_eq!(foreign.iter().map(|record| &*record.action).collect::<Vec<_>>(), ["account.create"]);
    }
}

/// Shows D370.
#[tokio::test]
async fn a_new_token_replaces_the_old_one() {
    for fixture in Fixture::each().await {
        let store = &fixture.store;
        let account = AccountId::parse(store.account()).expect("an id");
        assert_eq!(store.token_created().await.expect("read"), None);
        assert!(!store.authenticate_token(account, "").await.expect("read"), "no token, no access");
        let first = store.rotate_token().await.expect("made");
        assert!(store.authenticate_token(account, first.as_str()).await.expect("read"));
        let second = store.rotate_token().await.expect("made");
        assert!(!store.authenticate_token(account, first.as_str()).await.expect("read"));
        assert!(store.authenticate_token(account, second.as_str()).await.expect("read"));
        assert!(store.token_created().await.expect("read").is_some());
    }
}
