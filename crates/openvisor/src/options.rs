//! Command line options that several commands share. Each command's own are in `commands/NAME/arguments.rs`.
//!
//! The doc comment of an option is its help text; that of a flattened group is not shown.

mod cloud_data;
mod debugging;
mod outbound;
mod recording;
mod run;
mod settings;
mod show;
mod store;
mod test_image;
mod verdict;
mod wiring;

pub(crate) use cloud_data::{CloudDataOptions, CloudFolderOptions};
pub(crate) use debugging::{DebuggingOptions, TraceFormat};
pub(crate) use outbound::{AllowOption, OutboundOptions};
pub(crate) use recording::RecordingOptions;
pub(crate) use run::{FactoryTestOption, ImageOptions, PaceOptions};
pub(crate) use settings::{AccountSettingsOptions, SettingsOptions};
pub(crate) use show::ShowOptions;
pub(crate) use store::{StoreEndOption, StoreUrlOption};
pub(crate) use test_image::{TestFormat, TestImageOptions};
pub(crate) use verdict::VerdictOptions;
pub(crate) use wiring::WiringOptions;
