//! A small disk that can be filled and emptied: a tmpfs, if the test may mount one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Mounted until it is dropped.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Creates `path` and mounts a disk of this size there. `None` if that is not allowed.
    pub(crate) fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(path).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0700"), "tmpfs"]).arg(path);
        let done = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self { path: path.to_owned() })
    }

    /// Fills the disk except for about `left` bytes.
    pub(crate) fn fill(&self, left: u64) {
        let mut file = File::create(self.filler()).expect("made");
        let mut size = 0;
        for block in [1 << 16, 1 << 12] {
            while let Ok(written) = file.write(&vec![1; block]) {
                size += written as u64;
            }
        }
        file.set_len(size.saturating_sub(left)).expect("cut off");
    }

    /// Frees what [`SmallDisk::fill`] took.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).expect("there");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}
