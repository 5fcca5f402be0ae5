//! The arguments of `openvisor cloud`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use cloud::destinations::Range;

use super::limits_help;
use crate::options::{AllowOption, OutboundOptions, StoreUrlOption};
use crate::output::logging;

/// Where devices connect, unless `--listen` is given: on this machine only.
const DEFAULT_LISTEN: &str = "127.0.0.1:7883";

/// Where `--metrics` listens without an address: on this machine only.
const DEFAULT_METRICS: &str = "127.0.0.1:7884";

/// The end of `openvisor cloud --help`, before the limits.
const EXAMPLES: &str = "\
The first start creates the cloud's own certificate authority in DIR; keep that folder private. The first \
line on standard output names the address, which matters with port 0.

Applications may reach public addresses, but none of this machine's own. --allow and --allow-loopback \
add others; the second line on standard output lists them.

With --metrics the cloud answers over HTTP, without password, on a separate port: /metrics (Prometheus), \
/healthz (the process is alive) and /readyz (devices are accepted and the database is reachable).

The management API is served on 127.0.0.1:7885. `openvisor accounts token` and `openvisor keys create` make \
credentials for it; clients of the original Microvisor API work with it.

Standard output reports what applications do, including their log lines; --quiet turns that off. The \
cloud's own log is on standard error. Neither contains passwords, keys, secrets, headers, or the query of \
a URL.

Devices, settings, secrets and log lines are stored in the file cloud.db in DIR, or in a PostgreSQL \
database. DIR remembers which (store.url, readable by you only), so that the other commands find it; give \
the URL again when its password has changed. A connection to a database on another machine uses TLS with \
a verified certificate (sslmode=verify-full), unless the URL has another sslmode. The keys are in DIR in \
either case. Other users of this machine can see a URL on the command line: put it into OPENVISOR_STORE \
instead, or put its password into ~/.pgpass or PGPASSWORD.

Examples:
  openvisor cloud --data ./cloud
  openvisor cloud --data ./cloud --allow-loopback      (with a broker on this machine)
  OPENVISOR_STORE=postgres://openvisor:PASSWORD@db.example.net/openvisor?sslrootcert=ca.pem \\
      openvisor cloud --data ./cloud --require-tls
  openvisor cloud --data ./cloud --listen 0.0.0.0:7883 --name cloud.example.net --metrics
  openvisor cloud --data ./cloud --listen 10.0.0.5:7883 --name cloud.example.net \\
      --proxy-protocol 10.0.0.2      (behind a load balancer)
  openvisor cloud --data ./cloud --quiet --log-format json 2>> cloud.log
  openvisor cloud --data ./cloud --limit connections=500 --limit log_lines_a_second=0";

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag of the command line")]
#[command(after_help = limits_help::append_to(EXAMPLES))]
pub(crate) struct CloudArguments {
    /// The cloud's data folder; created at the first start
    #[arg(long, value_name = "DIR", env = "OPENVISOR_DATA", hide_env_values = true)]
    pub(crate) data: PathBuf,
    /// Use this PostgreSQL database: postgres://USER:PASSWORD@HOST/DATABASE, also taken from the variable
    /// OPENVISOR_STORE; without it, the one that DIR remembers, or a file in DIR
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<StoreUrlOption>,
    /// Address on which devices connect; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: String,
    /// Load balancers whose connections begin with a PROXY header (version 1 or 2), as addresses or ranges; the cloud
    /// refuses their connections without one, and believes no one else's
    #[arg(long, value_name = "RANGE[,RANGE]", value_delimiter = ',')]
    pub(crate) proxy_protocol: Vec<Range>,
    #[command(flatten)]
    pub(crate) allow: AllowOption,
    /// Let applications reach this machine's loopback addresses, 127.0.0.0/8 and ::1, and everything that listens there
    #[arg(long)]
    pub(crate) allow_loopback: bool,
    /// Refuse connections to brokers without TLS
    #[arg(long)]
    pub(crate) require_tls: bool,
    /// Refuse connections to brokers without TLS for the devices of this account (repeatable)
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) require_tls_of: Vec<String>,
    /// Resolve host names with this DNS server, IP:PORT, instead of those in /etc/resolv.conf (repeatable)
    #[arg(long = "name-server", value_name = "ADDR")]
    pub(crate) name_servers: Vec<SocketAddr>,
    /// A host name or address under which devices reach this cloud, for its certificate (repeatable)
    #[arg(long = "name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
    /// Set a limit; all limits are listed below (repeatable)
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,
    #[command(flatten)]
    pub(crate) outbound: OutboundOptions,
    /// Serve health and metrics on this address; 127.0.0.1:7884 without ADDR, and port 0 picks a free one
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_METRICS)]
    pub(crate) metrics: Option<String>,
    /// Serve the management API on this address, or `off`; 127.0.0.1:7885 by default. Plain HTTP on loopback addresses,
    /// TLS elsewhere, with a certificate of the cloud's own authority unless --api-cert is given
    #[arg(long, value_name = "ADDR|off")]
    pub(crate) api: Option<String>,
    /// Certificate chain of the API, PEM
    #[arg(long, value_name = "FILE", requires = "api_key")]
    pub(crate) api_cert: Option<PathBuf>,
    /// Private key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "api_cert")]
    pub(crate) api_key: Option<PathBuf>,
    /// A proxy in front of the API terminates TLS: serve plain HTTP, and make links from X-Forwarded-Proto and
    /// X-Forwarded-Host. Only the proxy may be able to reach the address
    #[arg(long, conflicts_with = "api_cert")]
    pub(crate) api_behind_proxy: bool,
    /// Write one JSON object per line on standard output instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Write only the address and the end on standard output, not what applications do
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Level of the cloud's own log on standard error; defaults to warn, or info with --quiet
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<logging::Level>,
    /// Format of the cloud's own log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: logging::Format,
}
