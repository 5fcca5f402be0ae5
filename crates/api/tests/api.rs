//! The API in process: what clients send and what they are answered (docs/spec/api.md).

mod support;

use support::{Fixture, Reply};

/// Shows D374, cloud-api 1.4.
#[tokio::test]
async fn without_or_with_wrong_credentials_there_is_nothing() {
    let fixture = Fixture::new().await;
    for authorization in [None, Some("Basic AAAA"), Some("Bearer x"), Some(&*fixture.basic("wrong"))] {
        let reply = fixture.send("GET", "/v1/Devices", authorization, "").await;
        assert_eq!((reply.status, reply.json["code"].as_u64()), (401, Some(20003)), "{authorization:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"openvisor\", charset=\"UTF-8\""));
    }
}

/// Shows D374: routes, properties and statuses of cloud-api 1.1 and 1.2.
#[tokio::test]
async fn a_device_is_found_by_id_and_name_and_updated() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let by_name = fixture.get("/v1/Devices/kitchen").await;
    let by_id = fixture.get(&format!("/v1/Devices/{device}")).await;
    assert_eq!((by_name.status, &by_name.json), (200, &by_id.json));
    assert_eq!(by_name.json["sid"], device.as_str());
    assert_eq!(by_name.json["url"], format!("http://localhost/v1/Devices/{device}"));
    assert_eq!(
        by_name.json["links"]["device_configs"],
        format!("http://localhost/v1/Devices/{device}/Configs")
    );

    let updated = fixture.post("/v1/Devices/kitchen", "UniqueName=hall&LoggingEnabled=False&Other=1").await;
    assert_eq!((updated.status, &updated.json["unique_name"]), (200, &"hall".into()));
    assert_eq!(updated.json["logging"]["enabled"], false);
    let updated = fixture.post("/v1/Devices/hall", "LoggingEnabled=true").await;
    assert_eq!(updated.json["logging"]["enabled"], true);
    assert!(updated.json["logging"]["date_expires"].is_string(), "for 24 hours, as in the original");
    assert_eq!(fixture.get("/v1/Devices/kitchen").await.status, 404);

    let other = fixture.device(Some("attic")).await;
    let conflict =
        fixture.post(&format!("/v1/Devices/{other}"), "UniqueName=hall&LoggingEnabled=false").await;
    assert_eq!((conflict.status, conflict.json["code"].as_u64()), (409, Some(20409)));
    let unchanged = fixture.get("/v1/Devices/attic").await;
    assert_eq!(unchanged.json["logging"]["enabled"], true, "nothing of a refused update is done");
}

/// Shows D376: the trap of cloud-api 1.5, where a client makes `..` of a key the device itself.
#[tokio::test]
async fn a_trailing_slash_never_acts_on_the_parent() {
    let fixture = Fixture::new().await;
    let device = fixture.device(None).await;
    for method in ["GET", "POST", "DELETE"] {
        let reply = fixture.send(method, &format!("/v1/Devices/{device}/"), Some(&fixture.owner()), "").await;
        assert_eq!(reply.status, 404, "{method}");
    }
    assert_eq!(fixture.get(&format!("/v1/Devices/{device}")).await.status, 200);
}

/// Shows D374: configuration and secrets at both levels.
#[tokio::test]
async fn items_are_created_once_replaced_and_removed() {
    let fixture = Fixture::new().await;
    let device = fixture.device(None).await;
    for (list, date) in [("Configs", "date_updated"), ("Secrets", "date_rotated")] {
        for base in ["/v1".to_owned(), format!("/v1/Devices/{device}")] {
            let list = format!("{base}/{list}");
            let created = fixture.post(&list, "Key=a%20key&Value=one+two").await;
            assert_eq!((created.status, &created.json["key"]), (201, &"a key".into()), "{list}");
            assert!(created.json[date].is_string());
            assert_eq!(created.json["url"], format!("http://localhost{list}/a%20key"));
            assert_eq!(fixture.post(&list, "Key=a%20key&Value=x").await.status, 409);
            assert_eq!(fixture.post(&format!("{list}/missing"), "Value=x").await.status, 404);
            let updated = fixture.post(&format!("{list}/a%20key"), "Value=three").await;
            let value = if list.contains("Configs") { "three".into() } else { serde_json::Value::Null };
            assert_eq!(
                (updated.status, &updated.json["value"]),
                (200, &value),
                "a secret's value is never returned"
            );
            assert_eq!(fixture.get(&format!("{list}/a%20key")).await.json, updated.json);
            let deleted = fixture.delete(&format!("{list}/a%20key")).await;
            assert_eq!((deleted.status, &*deleted.body), (204, ""), "no body");
            assert_eq!(fixture.delete(&format!("{list}/a%20key")).await.status, 404);
        }
    }
    let long = format!("Key=k&Value={}", "x".repeat(4097));
    assert_eq!(fixture.post("/v1/Configs", &long).await.json["code"], 20001);
    assert_eq!(fixture.post("/v1/Configs", "Key=k").await.status, 400);
}

/// Shows D373, cloud-api 1.3.
#[tokio::test]
async fn a_list_is_followed_by_its_next_page_url() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(fixture.device(Some(&format!("d{number}"))).await.to_string());
    }
    let (mut found, mut next) = (Vec::new(), Some("/v1/Devices?PageSize=3".to_owned()));
    let mut sizes = Vec::new();
    while let Some(url) = next {
        let page = fixture.get(&url).await;
        assert_eq!((page.status, &page.json["meta"]["key"]), (200, &"devices".into()));
        let devices = page.json["devices"].as_array().expect("a list");
        sizes.push(devices.len());
        found.extend(devices.iter().map(|device| device["sid"].as_str().expect("an id").to_owned()));
        next = page.json["meta"]["next_page_url"].as_str().map(|url| url.replace("http://localhost", ""));
    }
    expected.sort();
    found.sort();
    assert_eq!((found, sizes), (expected, vec![3, 3, 1]));
    assert_eq!(fixture.get("/v1/Devices?PageSize=5000").await.json["meta"]["page_size"], 1000);
    for wrong in ["PageSize=0", "PageSize=x", "PageToken=%21", "PageToken=AAAA"] {
        assert_eq!(fixture.get(&format!("/v1/Devices?{wrong}")).await.json["code"], 20001, "{wrong}");
    }
}

/// Shows D372: an upload is verified, stored once, targeted, and cannot be removed while it is.
#[tokio::test]
async fn a_bundle_is_uploaded_targeted_and_removed() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let bundle = Fixture::bundle();
    let created = fixture.upload(&bundle, Some("blink")).await;
    assert_eq!((created.status, &created.json["unique_name"]), (201, &"blink".into()), "{created:?}");
    let sid = created.json["sid"].as_str().expect("an id").to_owned();
    let again = fixture.upload(&bundle, None).await;
    assert_eq!((again.status, &again.json["sid"]), (200, &created.json["sid"]));
    let manifest = fixture.get("/v1/Apps/blink/Manifest").await;
    assert_eq!(manifest.json["hash"], created.json["hash"]);
    assert_eq!(fixture.upload(b"no zip", None).await.json["code"], 20001);

    let targeted = fixture.post("/v1/Devices/kitchen", "TargetApp=blink").await;
    assert_eq!(targeted.json["app"]["target_sid"], sid.as_str());
    assert_eq!(targeted.json["app"]["update_status"], "pending");
    assert_eq!(fixture.delete("/v1/Apps/blink").await.status, 409);
    assert_eq!(fixture.post("/v1/Devices/kitchen", "TargetApp=unknown").await.status, 400);
    assert_eq!(fixture.delete(&format!("/v1/Devices/{device}")).await.status, 204);
    assert_eq!(fixture.delete("/v1/Apps/blink").await.status, 204);
}

/// Shows D370, D371: roles, other accounts, the record of changes.
#[tokio::test]
async fn a_key_permits_what_its_role_does_in_its_own_account() {
    let fixture = Fixture::new().await;
    let device = fixture.device(Some("kitchen")).await;
    let key = async |role: &str| -> Reply {
        fixture.post("/v1/Keys", &format!("Role={role}&FriendlyName=ci")).await
    };
    let read = key("read").await;
    assert_eq!((read.status, &read.json["role"]), (201, &"read".into()));
    let deploy = key("deploy").await;
    let (read, deploy) = (Fixture::basic_of(&read), Fixture::basic_of(&deploy));
    let path = format!("/v1/Devices/{device}");
    for (key, body, status) in [
        (&read, "LoggingEnabled=true", 403),
        (&deploy, "LoggingEnabled=true", 200),
        (&deploy, "UniqueName=x", 403),
    ] {
        assert_eq!(fixture.send("POST", &path, Some(key), body).await.status, status, "{body}");
    }
    assert_eq!(fixture.send("GET", &path, Some(&read), "").await.status, 200);
    assert_eq!(fixture.send("GET", "/v1/Keys", Some(&deploy), "").await.json["code"], 20403);
    let foreign = fixture.foreign_owner().await;
    assert_eq!(fixture.send("GET", &path, Some(&foreign), "").await.status, 404);
    assert_eq!(
        fixture.send("GET", "/v1/Devices", Some(&foreign), "").await.json["devices"],
        serde_json::json!([])
    );

    let list = fixture.get("/v1/Keys").await;
    assert!(list.json["keys"][0].get("secret").is_none(), "a secret is shown once");
    let sid = list.json["keys"][0]["sid"].as_str().expect("an id").to_owned();
    assert_eq!(fixture.delete(&format!("/v1/Keys/{sid}")).await.status, 204);
    assert_eq!(fixture.send("GET", &path, Some(&read), "").await.status, 401);
    let audit = fixture.get("/v1/Audit?PageSize=2").await;
    assert_eq!(audit.json["records"][0]["action"], "key.revoke");
    assert_eq!(audit.json["records"][0]["object"], sid.as_str());
    assert!(audit.json["meta"]["next_page_url"].is_string());
}

/// Shows D375.
#[tokio::test]
async fn guessing_is_refused_after_twenty_failures() {
    let fixture = Fixture::new().await;
    let wrong = fixture.basic("ovt_wrong");
    for _ in 0..20 {
        assert_eq!(fixture.send("GET", "/v1/Devices", Some(&wrong), "").await.status, 401);
    }
    let refused = fixture.send("GET", "/v1/Devices", Some(&wrong), "").await;
    assert_eq!((refused.status, refused.json["code"].as_u64()), (429, Some(20429)));
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_the_errors_body() {
    let fixture = Fixture::new().await;
    let missing = fixture.get("/v1/Nothing").await;
    assert_eq!((missing.status, missing.json["code"].as_u64()), (404, Some(20404)));
    let method = fixture.send("PUT", "/v1/Devices", Some(&fixture.owner()), "").await;
    assert_eq!((method.status, method.json["code"].as_u64()), (405, Some(20004)));
    assert!(method.header("allow").is_some());
    let large = format!("Key=k&Value={}", "x".repeat(100_000));
    assert_eq!(fixture.post("/v1/Configs", &large).await.json["code"], 20413);
}
