//! The description of the API (OpenAPI 3.1), made from the handlers.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi as Description, PathItem, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::Api;
use crate::error::codes;

/// What the description says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Openvisor management API",
        description = "Devices, applications, settings, secrets and credentials of an Openvisor cloud. Compatible with \
                       the public API of Microvisor, version 1."
    ),
    modifiers(&BasicAuthentication),
    security(("basic" = []))
)]
pub(crate) struct Head;

struct BasicAuthentication;

impl Modify for BasicAuthentication {
    fn modify(&self, description: &mut Description) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        description.components.get_or_insert_default().add_security_scheme("basic", scheme);
    }
}

/// The same routes at a device's level: each has the device's id as a parameter, and an operation id of its own.
pub(crate) fn of_device(mut level: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    for item in level.get_openapi_mut().paths.paths.values_mut() {
        for operation in operations(item) {
            operation.parameters.get_or_insert_default().insert(0, device_parameter().into());
            if let Some(id) = &mut operation.operation_id {
                *id = format!("device_{id}");
            }
            operation.tags = Some(vec!["Devices".to_owned()]);
        }
    }
    level
}

/// What any request may be answered, and whether only if the route takes a body.
const COMMON: &[(u16, bool)] = &[
    (400, false),
    (401, false),
    (403, false),
    (408, false),
    (413, true),
    (415, true),
    (429, false),
    (500, false),
    (503, false),
];

/// Adds to every operation the responses that do not depend on its handler, and to every response what it means.
pub(crate) fn complete(mut description: Description) -> Description {
    for operation in description.paths.paths.values_mut().flat_map(operations) {
        let has_body = operation.request_body.is_some();
        for (status, _) in COMMON.iter().filter(|(_, needs_body)| has_body || !needs_body) {
            operation.responses.responses.entry(status.to_string()).or_insert_with(|| refusal().into());
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response {
                meaning(status).clone_into(&mut response.description);
            }
        }
    }
    description
}

fn refusal() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().content("application/json", content).build()
}

/// What a status means, with the codes of errors.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Success",
        "201" => "Created",
        "204" => "Removed",
        _ => {
            let found = codes::ALL.iter().find(|(_, of_code, _)| of_code.to_string() == status);
            found.map_or("Refused", |(_, _, meaning)| meaning)
        }
    }
}

fn device_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("sid")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("Id or unique name of the device"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().filter_map(Option::as_mut)
}
