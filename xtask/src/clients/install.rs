//! Installing a client in a folder of its own, from the registry of its language.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::capture;

const LIMIT: Duration = Duration::from_mins(5);
/// Written into the folder when all of it is there.
const COMPLETE: &str = "installed";

/// What a registry calls it, with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    Pip(&'static str),
    Npm(&'static str),
}

/// Why a client could not be installed or run.
#[derive(Debug)]
pub(super) enum InstallError {
    /// The registry does not answer: nothing can be said about the client.
    Unreachable(String),
    Other(String),
}

impl std::fmt::Display for InstallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "a registry cannot be reached: {why}"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<String> for InstallError {
    fn from(error: String) -> Self {
        Self::Other(error)
    }
}

impl From<std::io::Error> for InstallError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Installs a package, unless its folder has all of it.
pub(super) fn install(package: Package, folder: &Path) -> Result<(), InstallError> {
    if folder.join(COMPLETE).exists() {
        return Ok(());
    }
    println!("installing {package:?} in {}", folder.display());
    match package {
        Package::Pip(name) => {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--retries",
                "1",
                name,
            ]);
            run(&mut pip)?;
        }
        Package::Npm(name) => {
            std::fs::create_dir_all(folder)?;
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries", "1"]);
            run(npm.arg("--prefix").arg(folder).arg(name))?;
        }
    }
    std::fs::write(folder.join(COMPLETE), "")?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), InstallError> {
    let ended = capture(command, LIMIT)?;
    if ended.success {
        return Ok(());
    }
    let why = format!("{}: {}\n{}", command.get_program().to_string_lossy(), ended.how, ended.output);
    Err(if is_unreachable(&ended.output) { InstallError::Unreachable(why) } else { InstallError::Other(why) })
}

/// Whether pip or npm reports that there is no way to its registry.
fn is_unreachable(output: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "NewConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ProxyError",
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ETIMEDOUT",
        "ENETUNREACH",
    ];
    SIGNS.iter().any(|sign| output.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_out_of_reach_is_reported_as_such() {
        assert!(is_unreachable("npm ERR! code ENOTFOUND\nnpm ERR! syscall getaddrinfo"));
        assert!(is_unreachable("WARNING: Retrying after 'NewConnectionError('<pip._vendor…"));
        assert!(!is_unreachable("ERROR: No matching distribution found for twilio==999"));
        assert!(!is_unreachable("npm ERR! code E404"));
    }
}
