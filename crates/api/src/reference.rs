//! What the cloud shows of its API without credentials: the description, and pages for a browser made from it.

use std::fmt::Write as _;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::OpenApi as Description;

use crate::Api;
use crate::error::codes;

/// Everything a page needs is in it: nothing is loaded, from here or elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse;margin:.5em 0 1em}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;\
    vertical-align:top}code{background:#f3f3f3;padding:0 .2em}h3{margin-top:2em}";

/// `/openapi.json`, `/docs` and `/docs/errors`.
pub(crate) fn routes(description: &Description) -> Router<Api> {
    let text = description.to_pretty_json().expect("a description is JSON");
    let page = page(&serde_json::from_str(&text).expect("JSON"));
    Router::new()
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], text) }))
        .route("/docs", get(move || async move { html(page) }))
        .route("/docs/errors", get(|| async { html(errors_page()) }))
}

fn html(page: String) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], page)
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n{body}</body></html>\n"
    )
}

fn errors_page() -> String {
    let mut rows = String::from("<table><tr><th>code</th><th>status</th><th>meaning</th></tr>\n");
    for (code, status, meaning) in codes::ALL {
        let row =
            format!("<tr id=\"{code}\"><td>{code}</td><td>{status}</td><td>{}</td></tr>\n", escape(meaning));
        rows.push_str(&row);
    }
    frame("Errors of the API", &format!("{rows}</table>\n<p><a href=\"/docs\">All routes</a></p>\n"))
}

/// The page of all routes, by their tags.
fn page(description: &Value) -> String {
    let mut body = format!(
        "<p>{}</p>\n<p>For programs: <a href=\"/openapi.json\">openapi.json</a>. \
         <a href=\"/docs/errors\">Numbers of errors</a>.</p>\n",
        escape(text(&description["info"]["description"]))
    );
    let operations: Vec<_> = operations(description).collect();
    let mut tags: Vec<&str> =
        operations.iter().map(|(_, _, operation)| text(&operation["tags"][0])).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        let _ = writeln!(body, "<h2>{}</h2>", escape(tag));
        let of_tag = operations.iter().filter(|(_, _, operation)| text(&operation["tags"][0]) == tag);
        of_tag.for_each(|(path, method, operation)| body.push_str(&section(path, method, operation)));
    }
    body.push_str("<h2>Resources</h2>\n");
    for (name, schema) in description["components"]["schemas"].as_object().into_iter().flatten() {
        body.push_str(&resource(name, schema));
    }
    frame(&escape(text(&description["info"]["title"])), &body)
}

/// Path, method and operation of everything described.
fn operations(description: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = description["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

fn section(path: &str, method: &str, operation: &Value) -> String {
    let about = [text(&operation["summary"]), text(&operation["description"])].join(" ");
    let heading = format!("{} {}", method.to_uppercase(), escape(path));
    let mut section = format!("<h3><code>{heading}</code></h3>\n<p>{}</p>\n<table>\n", escape(about.trim()));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        section.push_str(&row(name, place, text(&parameter["description"])));
    }
    for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        section.push_str(&row("body", kind, &schema_name(&content["schema"])));
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = &response["content"]["application/json"]["schema"];
        section.push_str(&row(status, &schema_name(content), text(&response["description"])));
    }
    section + "</table>\n"
}

fn resource(name: &str, schema: &Value) -> String {
    let heading = format!("<h3 id=\"{0}\">{0}</h3>\n", escape(name));
    let mut resource = format!("{heading}<p>{}</p>\n<table>\n", escape(text(&schema["description"])));
    for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
        resource.push_str(&row(property, &schema_name(schema), text(&schema["description"])));
    }
    resource + "</table>\n"
}

fn row(name: &str, kind: &str, about: &str) -> String {
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>\n",
        escape(name),
        escape(kind),
        escape(about)
    )
}

/// A word for what a schema is: the name of a resource, or a type.
fn schema_name(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", schema_name(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => {
            let any = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
            any.into_iter().flatten().map(schema_name).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
