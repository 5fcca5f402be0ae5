//! The arguments of `openvisor audit`.

use clap::Args;

use crate::options::CloudDataOptions;

#[derive(Args)]
#[command(after_help = "\
Every change by the API or by a command on the data folder is recorded, and kept for 400 days: the API key \
or user that made it, from which address, what was done and to what, but no value.

Examples:
  openvisor audit --data ./cloud
  openvisor audit --last 1000 --json --data ./cloud | jq 'select(.action == \"device.revoke\")'")]
pub(crate) struct AuditArguments {
    /// Show this many changes, the newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) last: usize,
    #[command(flatten)]
    pub(crate) cloud: CloudDataOptions,
}
