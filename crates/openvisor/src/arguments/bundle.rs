//! `openvisor bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `openvisor bundle`
#[derive(Args, Debug)]
#[command(after_help = "\
A bundle is a zip archive of the application and a manifest, which says how the device is to behave. The
commands `run`, `device` and `demo` take one wherever they take an image.

Examples:
  openvisor bundle create app.elf app.zip --connection-grace-time 30 --restart-min 500
  openvisor bundle show app.zip
  openvisor run app.zip")]
pub struct Bundle {
    /// What to do.
    #[command(subcommand)]
    pub action: BundleAction,
}

/// What can be done with bundles.
#[derive(Debug, Subcommand)]
pub enum BundleAction {
    /// Make a bundle of an application image
    #[command(after_help = "\
What is not said is left to the device. A key for --sign is a private key on P-256 in PEM, as
`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one; its public half, which
`openssl pkey -pubout` writes, goes to `run --signer`.

Examples:
  openvisor bundle create app.elf app.zip
  openvisor bundle create app.bin app.zip --minimum-check-in-time 3600 --restart-min 500 --restart-max 60000
  openvisor bundle create app.elf app.zip --sign key.pem")]
    Create(Box<Create>),
    /// Check a bundle, and show what is in it
    #[command(after_help = "\
Exit code 2 says that it is no bundle that can be used, and why.

Examples:
  openvisor bundle show app.zip
  openvisor bundle show app.zip --signer public.pem --json | jq .connectivity")]
    Show(ShowBundle),
}

/// `openvisor bundle create`
#[derive(Args, Debug)]
pub struct Create {
    /// The application: an ELF file (.elf), hexadecimal records (.hex, .srec), or the bytes of its flash (.bin)
    pub image: PathBuf,
    /// The bundle to write; one that is there is replaced
    pub out: PathBuf,
    /// How long the link stays after the application has released the network, in seconds
    #[arg(long, value_name = "S", default_value_t = 0, hide_default_value = true)]
    pub connection_grace_time: u32,
    /// Longest time without a connection, in seconds; then the device connects by itself
    #[arg(long, value_name = "S", default_value_t = 0, hide_default_value = true)]
    pub minimum_check_in_time: u32,
    /// The public key of debugging sessions, a PEM file
    #[arg(long, short = 'k', value_name = "FILE")]
    pub debug_auth_pubkey: Option<PathBuf>,
    /// The first pause before an application that crashed is started again, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    pub restart_min: u32,
    /// The longest such pause; each is twice the one before, up to this
    #[arg(long, value_name = "MS", default_value_t = 0, hide_default_value = true)]
    pub restart_max: u32,
    /// How many bytes of the stack a crash report may hold
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub include_stack_bytes: u32,
    /// Sign the bundle with this private key, a PEM file
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
}

/// `openvisor bundle show`
#[derive(Args, Debug)]
pub struct ShowBundle {
    /// The bundle
    pub file: PathBuf,
    /// Refuse a bundle that is not signed with this key; FILE has its public half in PEM
    #[arg(long, value_name = "FILE")]
    pub signer: Option<PathBuf>,
    /// Answer with one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}
