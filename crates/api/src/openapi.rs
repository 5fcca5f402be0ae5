//! The description of the API (OpenAPI 3.1), made from the handlers.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ObjectBuilder, OpenApi as Description, PathItem, Required, Type};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::Api;

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
