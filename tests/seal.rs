//! `hyclus seal`, `pack` and `verify`, judged by others: rocrate, minisign and py-minisign.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCAN: &str = "20000101T000000Z-T1";

/// A folder with a copy of a kept data root, `data`, and a key.
struct Sealed {
    folder: tempfile::TempDir,
}

impl Sealed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/2");
        let copied = Command::new("cp").arg("-R").arg(kept).arg(folder.path().join("data")).status().unwrap();
        assert!(copied.success());
        let this = Self { folder };
        this.done(&["seal", "--new-key", "rig.key"]);
        this.done(&[
            "seal",
            "--data",
            "data",
            "--key",
            "rig.key",
            "--by",
            "Ada Lovelace",
            "--orcid",
            "https://orcid.org/0000-0002-1825-0097",
            "--license",
            "https://creativecommons.org/licenses/by/4.0/",
            SCAN,
        ]);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hyclus"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("HYCLUS_SEAL_KEY").env_remove("HYCLUS_LOG");
        command.output().unwrap()
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command prints that is refused with exit status 1.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        said
    }
}

#[test]
fn others_read_a_pack_and_its_signature() {
    let sealed = Sealed::new();
    let said = sealed.done(&["verify", "--data", "data", "--public-key", "rig.key.pub", SCAN]);
    assert!(said.contains("all as sealed with the key") && said.contains("by:Ada Lovelace"), "{said}");
    let said = sealed.done(&["verify", "--data", "data", SCAN]);
    assert!(said.contains("name the key that you trust with --public-key"), "{said}");
    sealed.done(&["pack", "--data", "data", "--out", "scan.zip", SCAN]);
    sealed.done(&["pack", "--data", "data", "--out", "again.zip", SCAN]);
    assert_eq!(fs::read(sealed.path("scan.zip")).unwrap(), fs::read(sealed.path("again.zip")).unwrap());
    python::run("seal.py", &[&sealed.path("data"), SCAN.as_ref(), &sealed.path("rig.key.pub"), &sealed.path("scan.zip")]);
}

#[test]
fn an_unpacked_pack_is_a_data_root() {
    let sealed = Sealed::new();
    sealed.done(&["pack", "--data", "data", "--out", "scan.zip", SCAN]);
    let python = std::env::var("HYCLUS_PYTHON").unwrap_or_else(|_| "python3".into());
    let unpacked = Command::new(python).args(["-m", "zipfile", "-e", "scan.zip", "unpacked"]).current_dir(sealed.folder.path()).status();
    assert!(unpacked.unwrap().success());
    let said = sealed.done(&["verify", "--data", "unpacked", "--public-key", "rig.key.pub", SCAN]);
    assert!(said.contains("all as sealed"), "{said}");
    sealed.done(&["pack", "--data", "unpacked", "--out", "again.zip", SCAN]);
    assert_eq!(fs::read(sealed.path("scan.zip")).unwrap(), fs::read(sealed.path("again.zip")).unwrap());
    let sample = sealed.path("unpacked").join("scans").join(SCAN).join("samples/left.h5");
    let mut bytes = fs::read(&sample).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&sample, bytes).unwrap();
    let said = sealed.refused(&["verify", "--data", "unpacked", "--public-key", "rig.key.pub", SCAN]);
    assert!(said.contains("samples/left.h5: its contents changed"), "{said}");
    let said = sealed.refused(&["pack", "--data", "unpacked", "--out", "damaged.zip", SCAN]);
    assert!(said.contains("samples/left.h5: its contents changed") && !sealed.path("damaged.zip").exists(), "{said}");
    assert!(!sealed.path(".damaged.zip.part").exists());
}

#[test]
fn what_cannot_be_sealed_is_told() {
    let sealed = Sealed::new();
    let said = sealed.refused(&["seal", "--data", "data", SCAN]);
    assert!(said.contains("--key FILE") && said.contains("--new-key"), "{said}");
    let said = sealed.refused(&["seal", "--data", "data", "--key", "rig.key", "20000101T000000Z-T2"]);
    assert!(said.contains("there is no scan"), "{said}");
    let said = sealed.refused(&["seal", "--data", "data", "--key", "rig.key.pub", SCAN]);
    assert!(said.contains("chmod 600"), "{said}");
    let said = sealed.refused(&["seal", "--new-key", "rig.key"]);
    assert!(said.contains("exists already"), "{said}");
    sealed.done(&["seal", "--new-key", "other.key"]);
    let said = sealed.refused(&["verify", "--data", "data", "--public-key", "other.key.pub", SCAN]);
    assert!(said.contains("is signed by the key"), "{said}");
    fs::remove_dir_all(sealed.path("data/seals")).unwrap();
    for arguments in [&["verify", "--data", "data", "--public-key", "other.key.pub", SCAN][..], &["pack", "--data", "data", SCAN]] {
        let said = sealed.refused(arguments);
        assert!(said.contains("is not sealed; `hyclus seal --key FILE"), "{said}");
    }
    for wrong in [&["seal", "--new-key", "a", SCAN][..], &["seal", "--key", "a"], &["seal", "--key", "rig.key", "--license", "mine", SCAN]]
    {
        assert_eq!(sealed.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Runs `hyclus pack` into `small/scan.zip` after a preparation by the shell.
fn packed_after(sealed: &Sealed, unshare: &[&str], prepare: &str) -> (Option<i32>, String) {
    let script = format!("{prepare}\n\"$0\" pack --data data --out small/scan.zip {SCAN}; code=$?; ls -A small >&2; exit $code");
    let command = [unshare, &["sh", "-c", &script, env!("CARGO_BIN_EXE_hyclus")]].concat();
    fs::create_dir_all(sealed.path("small")).unwrap();
    let output = Command::new(command[0]).args(&command[1..]).current_dir(sealed.folder.path()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_disk_that_is_full_leaves_no_pack() {
    const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];
    let sealed = Sealed::new();
    let small = |kib: u32| packed_after(&sealed, &UNSHARE, &format!("mount -t tmpfs -o size={kib}k tmpfs small || exit 77"));
    let (code, said) = small(64);
    if code == Some(77) || !Command::new(UNSHARE[0]).args([&UNSHARE[1..], &["true"]].concat()).status().is_ok_and(|status| status.success())
    {
        eprintln!("skipped: this system lets nobody but root mount a file system");
    } else {
        assert!(code == Some(1) && said.contains("MiB free; nothing was written") && !said.contains("scan.zip"), "{said}");
        assert_eq!(small(1024).0, Some(0));
    }
}

#[test]
fn a_disk_that_refuses_in_between_leaves_no_pack() {
    let sealed = Sealed::new();
    // A file may grow to 64 KiB, in blocks of 512 bytes.
    let (code, said) = packed_after(&sealed, &[], "trap '' XFSZ; ulimit -f 128");
    assert!(code == Some(1) && said.contains("small/scan.zip cannot be written: ") && said.lines().count() == 1, "{said}");
}
