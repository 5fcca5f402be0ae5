//! Comparing responses and descriptions with the description of the API.
//!
//! The keywords are those the description uses; the library for all of them would bring 35 crates (docs/decisions).

use serde_json::{Map, Value};

/// Why a response is not one that the description has; `None` if it is.
pub(crate) fn fault(
    description: &Value,
    method: &str,
    path: &str,
    status: u16,
    body: &Value,
) -> Option<String> {
    let method = method.to_lowercase();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let paths = description["paths"].as_object().expect("paths");
    let mut templates: Vec<_> = paths.iter().filter(|(template, _)| matches(template, path)).collect();
    // A fixed segment is preferred to a parameter, as the router does.
    templates.sort_by_key(|(template, _)| template.matches('{').count());
    let operation = templates.into_iter().find_map(|(_, item)| item.get(&method));
    let schema = match operation {
        Some(operation) => {
            let Some(response) = operation["responses"].get(status.to_string()) else {
                return Some(format!("{method} {path}: {status} is not described"));
            };
            response.pointer("/content/application~1json/schema").cloned()
        }
        None if [401, 404, 405, 429].contains(&status) => {
            Some(serde_json::json!({ "$ref": "#/components/schemas/ErrorBody" }))
        }
        None => return Some(format!("{method} {path} is not described")),
    };
    match schema {
        Some(schema) => {
            mismatch(description, &schema, body).map(|why| format!("{method} {path}: {status}: {why}"))
        }
        None => (!body.is_null()).then(|| format!("{method} {path}: {status} has no body: {body}")),
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(
            |(wanted, found)| {
                if wanted.starts_with('{') { !found.is_empty() } else { wanted == found }
            },
        )
}

/// Why a value is not as a schema says.
fn mismatch(description: &Value, schema: &Value, value: &Value) -> Option<String> {
    let keywords = schema.as_object()?;
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = description.pointer(&reference[1..]).unwrap_or_else(|| panic!("no {reference}"));
        return mismatch(description, schema, value);
    }
    keywords.iter().find_map(|(keyword, rule)| match keyword.as_str() {
        "type" => (!is_of(rule, value)).then(|| format!("{value} is not {rule}")),
        "enum" => (!rule.as_array()?.contains(value)).then(|| format!("{value} is not one of {rule}")),
        "required" => {
            let object = value.as_object()?;
            let missing = rule.as_array()?.iter().filter_map(Value::as_str);
            missing
                .into_iter()
                .find(|name| !object.contains_key(*name))
                .map(|name| format!("{name} is missing"))
        }
        "properties" => property_mismatch(description, keywords, value),
        "additionalProperties" => {
            let others =
                value.as_object()?.iter().filter(|(name, _)| schema["properties"].get(*name).is_none());
            others.into_iter().find_map(|(_, inner)| mismatch(description, rule, inner))
        }
        "items" => value.as_array()?.iter().find_map(|item| mismatch(description, rule, item)),
        "oneOf" | "anyOf" => {
            let mut rules = rule.as_array()?.iter();
            let fits = rules.any(|rule| mismatch(description, rule, value).is_none());
            (!fits).then(|| format!("{value} is none of {rule}"))
        }
        "allOf" => rule.as_array()?.iter().find_map(|rule| mismatch(description, rule, value)),
        "minimum" => (value.as_f64()? < rule.as_f64()?).then(|| format!("{value} is below {rule}")),
        "description" | "format" | "propertyNames" | "example" | "examples" | "title" => None,
        other => panic!("the keyword {other} is not known here"),
    })
}

fn property_mismatch(description: &Value, keywords: &Map<String, Value>, value: &Value) -> Option<String> {
    let rules = &keywords["properties"];
    value.as_object()?.iter().find_map(|(name, inner)| match rules.get(name) {
        Some(rule) => mismatch(description, rule, inner).map(|why| format!("{name}: {why}")),
        None if keywords.contains_key("additionalProperties") => None,
        None => Some(format!("{name} is not described")),
    })
}

fn is_of(rule: &Value, value: &Value) -> bool {
    match rule {
        Value::Array(rules) => rules.iter().any(|rule| is_of(rule, value)),
        _ => match rule.as_str().expect("a type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            other => panic!("the type {other} is not known here"),
        },
    }
}

/// What a client of the description `before` would miss in `after`, or would have to add.
pub(crate) fn incompatibilities(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in entries(&before["paths"]) {
        let Some(new_item) = after["paths"].get(path) else {
            found.push(format!("{path} is removed"));
            continue;
        };
        for (method, operation) in entries(item) {
            let name = format!("{method} {path}");
            match new_item.get(method) {
                Some(new) => found.extend(operation_incompatibilities(&name, operation, new)),
                None => found.push(format!("{name} is removed")),
            }
        }
    }
    for (name, schema) in entries(&before["components"]["schemas"]) {
        match after["components"]["schemas"].get(name) {
            Some(new) => found.extend(schema_incompatibilities(name, schema, new)),
            None => found.push(format!("{name} is removed")),
        }
    }
    found
}

fn operation_incompatibilities(name: &str, before: &Value, after: &Value) -> Vec<String> {
    let parameters = |operation: &Value| -> Vec<(String, bool)> {
        let list = operation["parameters"].as_array().into_iter().flatten();
        let named = |parameter: &Value| (text(&parameter["name"]), parameter["required"] == true);
        list.map(named).collect()
    };
    let (old, new) = (parameters(before), parameters(after));
    let is_old = |name: &str, is_required: bool| {
        old.iter().any(|(old, required)| old == name && (!is_required || *required))
    };
    let required = new.iter().filter(|(name, is_required)| *is_required && !is_old(name, true));
    let removed = old.iter().filter(|(name, _)| new.iter().all(|(new, _)| new != name));
    let statuses = entries(&before["responses"]).filter(|(status, _)| {
        // An error that no longer occurs breaks no client.
        status.starts_with('2') && after["responses"].get(status).is_none()
    });
    required
        .map(|(parameter, _)| format!("{name} requires {parameter}"))
        .chain(removed.map(|(parameter, _)| format!("{name} no longer takes {parameter}")))
        .chain(statuses.map(|(status, _)| format!("{name} no longer answers {status}")))
        .collect()
}

fn schema_incompatibilities(name: &str, before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if before["type"] != after["type"] {
        found.push(format!("{name} is another type"));
    }
    for value in before["enum"].as_array().into_iter().flatten() {
        if after["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            found.push(format!("{name} no longer has {value}"));
        }
    }
    for (property, schema) in entries(&before["properties"]) {
        let name = format!("{name}.{property}");
        match after["properties"].get(property) {
            Some(new) => found.extend(schema_incompatibilities(&name, schema, new)),
            None => found.push(format!("{name} is removed")),
        }
    }
    // Forms are requests: what they require is what a client must send.
    if name.ends_with("Form") || name == "Upload" {
        let list = |schema: &Value| schema["required"].as_array().cloned().unwrap_or_default();
        let old = list(before);
        let required = list(after).into_iter().filter(|property| !old.contains(property));
        found.extend(required.map(|property| format!("{name} requires {}", text(&property))));
    }
    found
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
