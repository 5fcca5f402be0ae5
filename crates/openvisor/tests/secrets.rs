//! Credentials on every way through the product, and a search of everything it writes for them.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::fixtures::{HTTP_SAMPLE, Mosquitto, SAMPLE, https_server, provision, text};
use support::{Processes, within};

const LIMIT: Duration = Duration::from_mins(2);

/// In every credential below, and in nothing else.
const MARK: &str = "S3cr";

/// The HTTP sample with credentials in its URLs and a header, and without the URL in its log line: texts of the same
/// length.
fn http_image(folder: &Path) -> PathBuf {
    let mut image = std::fs::read(HTTP_SAMPLE).unwrap();
    for (before, after) in [
        (&b"https://example.com/readings\0"[..], &b"https://u:S3crU@e.m/r?t=S3cr\0"[..]),
        (b"https://example.com/\0", b"https://S3cr@e.m/#S3\0"),
        (b"Content-Type: application/json\0", b"Authorization: Bearer S3crHead\0"),
        (b"http: %s %s\0", b"http: %s ..\0"),
    ] {
        assert_eq!(before.len(), after.len());
        let at = image.windows(before.len()).position(|bytes| bytes == before).expect("the sample's text");
        image[at..at + after.len()].copy_from_slice(after);
    }
    let path = folder.join("http.elf");
    std::fs::write(&path, image).unwrap();
    path
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Everything that was written, by where.
#[derive(Default)]
struct Written(Vec<(String, String)>);

impl Written {
    fn add(&mut self, place: &str, text: String) {
        self.0.push((place.to_owned(), text));
    }

    fn file(&mut self, path: &Path) {
        let bytes = std::fs::read(path).unwrap();
        self.add(text(path), String::from_utf8_lossy(&bytes).into_owned());
    }

    /// Runs a command to its end.
    fn command(&mut self, processes: &Processes, words: &[&str]) {
        let process = processes.openvisor(words);
        process.wait();
        self.add(&words.join(" "), process.out.text() + &process.err.text());
    }

    /// What cannot be used is refused without being repeated.
    fn refusals(&mut self, processes: &Processes, folder: &str) {
        for store in [
            "postgres://u:S3cr@",
            "postgres://u:S3cr@127.0.0.1:9/d?password=S3cr",
            "S3cr:S3cr@host",
            "mysql://u:S3cr@h/d",
        ] {
            let words = ["cloud", "--data", folder, "--store", store, "--listen", "127.0.0.1:0"];
            self.command(processes, &words);
        }
        self.command(processes, &["run", SAMPLE, "--secret", "S3crWithoutKey"]);
        self.command(processes, &["run", SAMPLE, "--secret", "password=@/no/such/file", "--seconds", "1"]);
    }

    fn check(&self, proofs: &[&str]) {
        for proof in proofs {
            assert!(
                self.0.iter().any(|(_, text)| text.contains(proof)),
                "{proof} is in nothing that is searched"
            );
        }
        for (place, text) in &self.0 {
            let found = text.lines().find(|line| line.contains(MARK));
            assert_eq!(found, None, "a credential in {place}");
        }
    }
}

/// Shows D137, D206.
#[test]
fn no_credential_is_in_anything_the_product_writes() {
    within(LIMIT, |processes| {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let broker = Mosquitto::with_password(processes, folder.path(), "S3crUser", "S3crPassword");
        let port = https_server(folder.path());
        let (data, resolve, ca) = (place("cloud"), format!("e.m:443=127.0.0.1:{port}"), place("ca.pem"));
        let relayed = ["--allow-loopback", "--resolve", &resolve, "--cacert", text(&ca)];
        let words = ["cloud", "--data", text(&data), "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
        let logged = ["--log-level", "trace", "--log-format", "json"];
        let cloud = processes.openvisor(words.iter().chain(&logged).chain(&relayed));
        let address = cloud.out.expect("listening on ").rsplit(' ').next().unwrap().to_owned();
        let monitor = cloud.out.expect("health and metrics at http://");

        let mut settings = broker.settings();
        settings.extend(
            ["--config", "username=S3crUser", "--secret", "password=S3crPassword"].map(str::to_owned),
        );
        let mut written = Written::default();
        for (name, image, settings) in
            [("mqtt", PathBuf::from(SAMPLE), &settings[..]), ("http", http_image(folder.path()), &[])]
        {
            let identity = provision(processes, &data, folder.path(), name, settings);
            let files = ["txt", "json", "rec"].map(|kind| place(&format!("{name}.{kind}")));
            let (image, address) = (text(&image), &address[..]);
            let device =
                ["device", image, "--cloud", address, "--data", text(&identity), "--trace", text(&files[0])];
            let more = ["--trace", text(&files[1]), "--record", text(&files[2])];
            let device = processes.openvisor(device.iter().chain(&more));
            cloud.out.expect(if name == "mqtt" { "to broker, " } else { "POST https://" });
            cloud.err.expect(if name == "mqtt" { "connected to a broker" } else { "HTTP request failed" });
            device.signal("INT");
            assert_eq!(device.code(), 0, "{}", device.err.text());
            written.add(name, device.out.text() + &device.err.text());
            written.file(&files[0]);
            written.file(&files[1]);
            written.command(processes, &["device", image, "--replay", text(&files[2])]);
            written.command(processes, &["run", image, "--json", "--seconds", "2", "--resolve", &resolve]);
        }
        written.add(
            "metrics",
            metrics(monitor.split(['/', ' ']).find(|part| part.contains("127.0.0.1:")).unwrap()),
        );
        let data = text(&data);
        written.command(processes, &["secrets", "list", "--data", data]);
        written.command(processes, &["devices", "list", "--data", data, "--json"]);
        cloud.signal("TERM");
        assert_eq!(cloud.code(), 0);
        written.add("cloud", cloud.out.text() + &cloud.err.text());
        written.refusals(processes, text(&place("other")));
        written.check(&[
            "GET https://…@e.m/#…",
            "POST https://…@e.m/r?…",
            "mvSendHttpRequest",
            "\\\"Authorization\\\" (30 bytes)",
            "username=(8 bytes, not shown), password=(12 bytes, not shown)",
            "openvisor_http",
        ]);
    });
}
