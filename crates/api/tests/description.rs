//! The description of the API: current, compatible with the committed one, shown without credentials.

mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::Fixture;
use support::description::{fault, incompatibilities};

const WRITE: &str = "OPENVISOR_WRITE_DOCS";
const HOW: &str = "OPENVISOR_WRITE_DOCS=1 cargo test -p api --test description";

/// Shows D381: `docs/openapi.json` is what the handlers are, and it cannot be written without what it had.
#[test]
fn the_committed_description_is_current_and_nothing_of_it_is_removed() {
    let mut current = serde_json::to_value(api::description()).expect("JSON");
    current["x-generated"] = format!("from the handlers of crates/api: {HOW}").into();
    let text = serde_json::to_string_pretty(&current).expect("JSON") + "\n";
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json"));
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    if !committed.is_empty() {
        let before = serde_json::from_str(&committed).expect("JSON");
        assert_eq!(incompatibilities(&before, &current), Vec::<String>::new(), "clients depend on these");
    }
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, &text).expect("written");
    } else {
        assert!(committed == text, "docs/openapi.json is stale: {HOW}");
    }
}

fn example() -> Value {
    json!({
        "paths": { "/v1/Things": { "post": {
            "parameters": [{ "name": "PageSize", "in": "query", "required": false }],
            "requestBody": { "content": { "form": { "schema": { "$ref": "#/components/schemas/ThingForm" } } } },
            "responses": {
                "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                "204": {}
            }
        } } },
        "components": { "schemas": {
            "ThingForm": { "type": "object", "properties": { "Name": { "type": "string" } } },
            "Thing": { "type": "object", "required": ["kind"], "properties": {
                "kind": { "type": "string", "enum": ["a", "b"] },
                "size": { "type": ["integer", "null"] }
            } }
        } }
    })
}

/// Shows D381.
#[test]
fn what_would_break_a_client_is_found_and_what_is_added_is_not() {
    let before = example();
    let changed = |pointer: &str, value: Value| {
        let mut after = example();
        *after.pointer_mut(pointer).expect("is there") = value;
        incompatibilities(&before, &after)
    };
    let thing = "/components/schemas/Thing/properties";
    let operation = "/paths/~1v1~1Things/post";
    let parameters =
        json!([{ "name": "PageSize", "in": "query" }, { "name": "New", "in": "query", "required": true }]);
    for (pointer, value, found) in [
        ("/paths".to_owned(), json!({}), "/v1/Things is removed"),
        ("/paths/~1v1~1Things".to_owned(), json!({}), "post /v1/Things is removed"),
        (
            thing.to_owned(),
            json!({ "kind": { "type": "string", "enum": ["a", "b"] } }),
            "Thing.size is removed",
        ),
        (format!("{thing}/kind/enum"), json!(["a"]), "Thing.kind no longer has \"b\""),
        (format!("{thing}/size/type"), json!("string"), "Thing.size is another type"),
        (format!("{operation}/parameters"), parameters, "post /v1/Things requires New"),
        (format!("{operation}/parameters"), json!([]), "post /v1/Things no longer takes PageSize"),
        (format!("{operation}/responses/204"), json!({ "content": {} }), ""),
        (format!("{operation}/responses"), json!({ "204": {} }), "post /v1/Things no longer answers 200"),
    ] {
        let expected: Vec<&str> = Some(found).filter(|found| !found.is_empty()).into_iter().collect();
        assert_eq!(changed(&pointer, value), expected, "{pointer}");
    }
    let mut after = example();
    after["components"]["schemas"]["ThingForm"]["required"] = json!(["Name"]);
    assert_eq!(incompatibilities(&before, &after), ["ThingForm requires Name"]);
    let mut after = example();
    after["paths"]["/v1/Others"] = json!({});
    after["components"]["schemas"]["Thing"]["properties"]["more"] = json!({ "type": "string" });
    after["components"]["schemas"]["Thing"]["required"] = json!(["kind", "more"]);
    assert_eq!(incompatibilities(&before, &after), Vec::<String>::new());
}

/// Shows D382: the check of every response in these tests finds what is not documented.
#[test]
fn an_undocumented_status_property_or_type_is_found() {
    let description = example();
    let found = |status, body: Value| fault(&description, "POST", "/v1/Things?x=1", status, &body);
    assert_eq!(found(200, json!({ "kind": "a", "size": null })), None);
    assert_eq!(found(204, Value::Null), None);
    for (status, body) in [
        (418, json!({})),
        (200, json!({ "kind": "a", "other": 1 })),
        (200, json!({ "kind": "c" })),
        (200, json!({ "kind": "a", "size": "1" })),
        (200, json!({ "size": 1 })),
        (200, json!([])),
        (204, json!({ "kind": "a" })),
    ] {
        assert!(found(status, body.clone()).is_some(), "{status} {body}");
    }
    assert!(fault(&description, "GET", "/v1/Things", 200, &json!({})).is_some(), "another method");
}

/// Shows D383.
#[tokio::test]
async fn the_description_and_its_pages_need_no_credentials_and_nothing_from_elsewhere() {
    let fixture = Fixture::new().await;
    let described = fixture.send("GET", "/openapi.json", None, "").await;
    assert_eq!((described.status, &described.json["openapi"]), (200, &"3.1.0".into()));
    for (page, wanted) in [("/docs", "GET /v1/Devices/{sid}"), ("/docs/errors", "<tr id=\"20409\">")] {
        let shown = fixture.send("GET", page, None, "").await;
        assert_eq!(shown.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(shown.body.contains(wanted), "{page}: {}", shown.body);
        for outside in ["<script", "src=", "http://", "https://", "@import"] {
            assert!(!shown.body.contains(outside), "{page} has {outside}");
        }
    }
    let missing = fixture.get("/v1/Devices/absent").await;
    assert_eq!(missing.json["more_info"], "http://localhost/docs/errors#20404");
}
