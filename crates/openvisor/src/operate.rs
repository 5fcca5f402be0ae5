//! What the operator's commands share: a cloud's data folder and database, settings in it, and gaps in log lines.

pub(crate) mod cloud_data;
pub(crate) mod log_gaps;
pub(crate) mod management;
pub(crate) mod settings;
pub(crate) mod store_url;
