//! `debian/release.sh check`: a release is made of a commit whose versions and changelog are ready, and of no other.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The files that it looks at.
const FILES: [&str; 7] = [
    "debian/release.sh",
    "Cargo.toml",
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "CHANGELOG.md",
    "python/hyclus/__init__.py",
    "archive/hyclus_archive/__init__.py",
];

/// A repository with a commit of those files.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        tree.git(&["init", "--quiet"]);
        for file in FILES {
            let to = tree.folder.path().join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), to).unwrap();
        }
        tree.commit();
        tree
    }

    fn git(&self, arguments: &[&str]) {
        let settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"];
        let git = Command::new("git").args(settings).args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a change"]);
    }

    /// Changes the text of a file, and commits it.
    fn change(&self, file: &str, change: impl Fn(&str) -> String) {
        let path = self.folder.path().join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{file}");
        fs::write(path, after).unwrap();
        self.commit();
    }

    /// What keeps a version from being released. Empty where nothing does.
    fn faults(&self, version: &str) -> String {
        let script = self.folder.path().join("debian/release.sh");
        let output = Command::new("sh").arg(script).args(["check", version]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), text.is_empty(), "{text}");
        text
    }
}

/// A change of a text.
type Change<'a> = &'a dyn Fn(&str) -> String;

/// The version of this tree.
const NOW: &str = env!("CARGO_PKG_VERSION");
/// A later one.
const NEXT: &str = "907.0.1";

/// A tree that is ready for the release of [`NEXT`].
fn ready() -> Tree {
    let tree = Tree::new();
    let quoted = |file: &str| {
        let (from, to) = (format!("version = \"{NOW}\""), format!("version = \"{NEXT}\""));
        tree.change(file, |text| text.replace(&from, &to));
    };
    ["Cargo.toml", "Cargo.lock", "fuzz/Cargo.lock"].into_iter().for_each(quoted);
    for file in ["python/hyclus/__init__.py", "archive/hyclus_archive/__init__.py"] {
        tree.change(file, |text| text.replace(&format!("__version__ = \"{NOW}\""), &format!("__version__ = \"{NEXT}\"")));
    }
    tree.change("CHANGELOG.md", |text| {
        let entries = format!("## [Unreleased]\n\n## [{NEXT}] - 2026-12-03\n\n### Fixed\n\n- Something.\n");
        text.replacen("## [Unreleased]\n", &entries, 1)
    });
    tree
}

#[test]
fn a_release_needs_one_version_everywhere_and_an_entry_of_the_changelog() {
    let tree = ready();
    assert_eq!(tree.faults(NEXT), "");
    for (version, told) in [
        ("", "no version such as"),
        ("1.2", "no version such as"),
        ("01.2.3", "no version such as"),
        ("v1.2.3", "no version such as"),
        (NOW, "Cargo.toml has version 907.0.1"),
    ] {
        assert!(tree.faults(version).contains(told), "{version}: {}", tree.faults(version));
    }
    // A place that was forgotten is told.
    let mistakes: [(&str, Change<'_>, &str); 6] = [
        ("python/hyclus/__init__.py", &|text| text.replace(NEXT, "0.0.9"), "python/hyclus/__init__.py has __version__ 0.0.9"),
        ("fuzz/Cargo.lock", &|text| text.replace(NEXT, NOW), "fuzz/Cargo.lock has hyclus"),
        ("CHANGELOG.md", &|text| text.replacen("- 2026-12-03", "- soon", 1), "no date such as"),
        ("CHANGELOG.md", &|text| text.replacen("- Something.\n", "## [0.0.9] - 2026-12-02\n", 1), "no entries under [907.0.1]"),
        ("CHANGELOG.md", &|text| text.replacen("## [Unreleased]\n", "## [Unreleased]\n\n- Left over.\n", 1), "entries under [Unreleased]"),
        ("CHANGELOG.md", &|text| text.replacen("## [0.1.0]", "## [908.0.0]", 1), "908.0.0 in CHANGELOG.md is later"),
    ];
    for (file, mistake, told) in mistakes {
        let tree = ready();
        tree.change(file, mistake);
        let faults = tree.faults(NEXT);
        assert!(faults.contains(told) && faults.lines().count() == 2, "{told}: {faults}");
    }
}

#[test]
fn a_release_is_made_once_and_of_a_commit() {
    let tree = ready();
    tree.git(&["tag", &format!("v{NEXT}")]);
    fs::write(tree.folder.path().join("new"), "").unwrap();
    let faults = tree.faults(NEXT);
    assert!(faults.contains("the tag v907.0.1 exists") && faults.contains("no commit holds"), "{faults}");
}
