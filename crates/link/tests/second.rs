//! The page is enough: a second implementation, in another language and written from docs/spec/link.md alone, reads
//! every golden frame and writes it again byte for byte.

use std::path::Path;
use std::process::Command;

#[test]
fn a_second_implementation_reads_and_writes_the_golden_frames() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3");
    python.arg(here.join("tests/link_reader.py")).arg(here.join("../../docs/spec/link.md"));
    let output = python.output().unwrap_or_else(|error| {
        panic!("python3: {error}; on Debian and Ubuntu it comes with: apt-get install python3")
    });
    let stdout = String::from_utf8_lossy(&output.stdout);
    let rows = stdout.lines().filter(|line| line.starts_with("same: ")).count();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    let page = std::fs::read_to_string(here.join("../../docs/spec/link.md")).expect("the page");
    let written =
        page.split("## Appendix: Golden frames").nth(1).expect("the appendix").matches("\n| `").count();
    assert!(written > 40 && rows == written, "{rows} of {written} rows were understood:\n{stdout}");
}
