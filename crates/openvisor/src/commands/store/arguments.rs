//! The arguments of `openvisor store`.

use clap::{Args, Subcommand};

use crate::options::StoreEndOption;

#[derive(Args)]
#[command(after_help = "\
Example:
  openvisor store copy --from ./cloud --to postgres://openvisor@db.example.net/openvisor")]
pub(crate) struct StoreArguments {
    #[command(subcommand)]
    pub(crate) action: StoreAction,
}

#[derive(Subcommand)]
pub(crate) enum StoreAction {
    /// Copy everything a cloud has stored to another database
    #[command(after_help = "\
Stop the cloud first: the command refuses a database that a cloud uses. The copy appears in the target as \
a whole or, after an error or an interruption, not at all. Before that, every table is read again from the \
target and compared; the result lists its rows and a SHA-256, which is the same for the same data in \
either kind of database.

Devices need no change, and neither does the data folder, whose keys remain where they are: secrets are copied \
encrypted, so the folder that is used with the copy must have the same secret.key. Afterwards start the \
cloud once with the new database, which DIR then remembers, and delete the old one when you no longer need it.

Examples:
  openvisor store copy --from ./cloud --to postgres://openvisor@db.example.net/openvisor
  openvisor cloud --data ./cloud --store postgres://openvisor@db.example.net/openvisor
      The move to PostgreSQL, and the first start there.

  openvisor store copy --from ./cloud --to ./cloud --replace
  openvisor cloud --data ./cloud --store sqlite
      The way back, from the database that the folder remembers to its file cloud.db.")]
    Copy(CopyArguments),
}

#[derive(Args)]
pub(crate) struct CopyArguments {
    /// The source: postgres://USER:PASSWORD@HOST/DATABASE, or a data folder, which means the database it uses
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) from: StoreEndOption,
    /// The target: a PostgreSQL database, or a data folder, which means the file cloud.db in it
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) to: StoreEndOption,
    /// Replace what the target contains, after a confirmation
    #[arg(long)]
    pub(crate) replace: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Write one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
