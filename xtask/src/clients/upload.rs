//! Uploading a bundle, as `curl -F File=@app.zip` does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cloud::Credentials;

const LIMIT: Duration = Duration::from_secs(30);
const BOUNDARY: &str = "------------------------boundary";

/// Uploads a bundle to a cloud without TLS; the id of the application.
pub(super) fn upload(
    address: SocketAddr,
    credentials: &Credentials,
    bundle: &[u8],
) -> Result<String, String> {
    let answer = request(address, credentials, bundle).map_err(|error| format!("upload: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("upload: the answer has no head")?;
    let app: Value = serde_json::from_str(body).map_err(|error| format!("upload: {error}: {head}"))?;
    let sid = app["sid"].as_str().filter(|_| head.starts_with("HTTP/1.1 201"));
    sid.map(str::to_owned).ok_or_else(|| format!("upload: {head}\n{body}"))
}

fn request(address: SocketAddr, credentials: &Credentials, bundle: &[u8]) -> std::io::Result<String> {
    let opening = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"File\"; filename=\"app.zip\"\r\n\
         Content-Type: application/zip\r\n\r\n"
    );
    let body = [opening.as_bytes(), bundle, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
    let user = STANDARD.encode(format!("{}:{}", credentials.sid, credentials.token));
    let head = format!(
        "POST /v1/Apps HTTP/1.1\r\nHost: microvisor-upload.twilio.com\r\nAuthorization: Basic {user}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(&[head.as_bytes(), &body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
