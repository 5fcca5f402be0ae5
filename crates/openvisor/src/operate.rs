//! What the operator's commands share: a cloud's data folder and database, settings in it, gaps in log
//! lines, and confirmations.

pub(crate) mod cloud_data;
pub(crate) mod confirmation;
pub(crate) mod management;
pub(crate) mod settings;
pub(crate) mod store_url;
