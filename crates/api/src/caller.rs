//! Who makes a request, and what that permits.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use cloud::store::{Actor, Role};
use cloud::{AccountId, ApiKeyId, Store};

use crate::Api;
use crate::error::ApiError;

/// Who makes a request. It is an extension of every authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose data it may see.
    pub account: AccountId,
    /// What it may do there.
    pub role: Role,
    /// The API key it presented; `None`: an auth token, or a command on the data folder.
    pub key: Option<ApiKeyId>,
    /// How changes are recorded.
    pub actor: Actor,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Reading of devices, applications, settings and logs.
    Read,
    /// Changing applications, targets and logging, and restarting.
    Deploy,
    /// Enrolling devices.
    Provision,
    /// Everything else: settings, secrets, names, keys.
    Own,
}

impl Caller {
    /// Refuses what the role does not permit.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), ApiError> {
        let is_permitted = match self.role {
            Role::Owner => true,
            Role::Deploy => matches!(permission, Permission::Read | Permission::Deploy),
            Role::Read => permission == Permission::Read,
            Role::Provision => permission == Permission::Provision,
        };
        if is_permitted {
            return Ok(());
        }
        let role = self.role.as_str();
        Err(ApiError::forbidden(format!("the role `{role}` of this API key does not permit this request")))
    }

    /// The store as this caller sees it and changes it.
    pub(crate) fn store(&self, api: &Api) -> Store {
        api.store.of_account(self.account).acting_as(self.actor.clone())
    }

    /// The store, if the caller has the permission.
    pub(crate) fn permitted(&self, api: &Api, permission: Permission) -> Result<Store, ApiError> {
        self.require(permission)?;
        Ok(self.store(api))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::authenticate)
    }
}
