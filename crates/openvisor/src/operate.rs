//! What the operator's commands share: the cloud they work on, here or elsewhere, its database, settings in it, and
//! gaps in log lines.

pub(crate) mod cloud_data;
pub(crate) mod confirmation;
pub(crate) mod management;
pub(crate) mod profiles;
pub(crate) mod settings;
pub(crate) mod store_url;
