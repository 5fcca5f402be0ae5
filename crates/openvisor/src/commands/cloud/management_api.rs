//! Serving the management API beside the cloud.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::cloud::Cloud;
use ::cloud::data::DataFolder;
use api::server::{ServerConfig, serve, tls_config, tls_config_from_pem};
use api::{Api, LinkPolicy};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::CloudArguments;
use crate::host::address;
use crate::output::exit::Failure;

/// Where the API is served, unless `--api` is given: on this machine only.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:7885";
/// The value of `--api` that turns it off.
pub(super) const OFF: &str = "off";
/// How long requests in flight may take when the cloud stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API of a running cloud.
pub(super) struct ManagementApi {
    url: String,
    api: Api,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl ManagementApi {
    /// Starts serving; `None` when it is turned off, or not asked for and its port is taken.
    pub(super) async fn start(
        arguments: &CloudArguments,
        cloud: &Cloud,
        hosts: &[String],
    ) -> Result<Option<Self>, Failure> {
        let text = arguments.api.as_deref().unwrap_or(DEFAULT_ADDRESS);
        if text == OFF {
            return Ok(None);
        }
        let wanted = address::parse_listen_address("--api", text)?;
        let (tls, links) = security(arguments, wanted, hosts)?;
        let listener = match TcpListener::bind(wanted).await {
            Ok(listener) => listener,
            Err(error) if arguments.api.is_none() => {
                tracing::warn!(
                    name: "api_not_served",
                    address = %wanted,
                    %error,
                    "the management API is not served: choose an address with --api"
                );
                return Ok(None);
            }
            Err(error) => {
                return Err(Failure::environment(format!("--api {wanted}: cannot listen: {error}"))
                    .hint("choose another address or port, or `--api off`"));
            }
        };
        let bound = listener
            .local_addr()
            .map_err(|error| Failure::environment(format!("--api {wanted}: {error}")))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let api = Api::new(cloud.store().clone(), links);
        let router = api::router(api.clone());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, tls, router, stopped, PATIENCE));
        Ok(Some(Self { url: format!("{scheme}://{bound}"), api, stop, serving }))
    }

    /// The URL of its routes.
    pub(super) fn url(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Ends streams, and lets requests in flight end.
    pub(super) async fn stop(self) {
        self.api.stop_streams();
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}

/// Plain HTTP on loopback addresses and behind a proxy, TLS everywhere else: with the given certificate, or with one of
/// the cloud's own authority.
fn security(
    arguments: &CloudArguments,
    address: SocketAddr,
    hosts: &[String],
) -> Result<(Option<Arc<ServerConfig>>, LinkPolicy), Failure> {
    if arguments.api_behind_proxy {
        return Ok((None, LinkPolicy::BehindProxy));
    }
    if let (Some(certificate), Some(key)) = (&arguments.api_cert, &arguments.api_key) {
        let config = tls_config_from_pem(&read("--api-cert", certificate)?, &read("--api-key", key)?);
        let config = config.map_err(|error| {
            Failure::bad_input(format!(
                "--api-cert {} with --api-key {}: {error}",
                certificate.display(),
                key.display()
            ))
        })?;
        return Ok((Some(config), LinkPolicy::Https));
    }
    if address.ip().is_loopback() {
        return Ok((None, LinkPolicy::Http));
    }
    let authority = DataFolder::open_existing(&arguments.data)?.authority()?;
    let mut own =
        authority.issue_server(hosts).map_err(|error| Failure::bad_input(format!("--name: {error}")))?;
    // For clients that pin the authority (D386): the certificate is another one after each start.
    own.chain.push(authority.certificate().clone());
    let config = tls_config(own.chain, own.key).map_err(|error| Failure::failed(error.to_string()))?;
    Ok((Some(config), LinkPolicy::Https))
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::bad_input(format!("{option} {}: {error}", path.display())))
}
