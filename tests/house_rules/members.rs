//! The members of the workspace, as cargo sees them.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::house_rules::tree;

/// One package of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) manifest: toml::Table,
    pub(crate) targets: Vec<Target>,
}

/// One thing that cargo builds from a package, with the file that its module tree starts at.
pub(crate) struct Target {
    pub(crate) kind: String,
    pub(crate) root: PathBuf,
}

impl Member {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().expect("a manifest lies in a folder")
    }

    /// Whether this is one of the packages that serve the whole workspace.
    pub(crate) fn is_shared_package(&self) -> bool {
        ["examples", "benches", "tests"].iter().any(|name| self.folder() == root().join(name))
    }
}

/// Returns the folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo and nextest name the package");
    Path::new(&here).parent().expect("the package lies in the workspace").to_owned()
}

/// Returns every member of the workspace.
pub(crate) fn read() -> Vec<Member> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed: {stderr}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let members: Vec<Member> = array(&metadata["packages"]).iter().map(member).collect();
    assert!(!members.is_empty(), "the workspace has no members");
    members
}

fn member(package: &Value) -> Member {
    let manifest_path = PathBuf::from(text(&package["manifest_path"]));
    let manifest = fs::read_to_string(&manifest_path).expect("the manifest is readable");
    Member {
        name: text(&package["name"]).to_owned(),
        manifest: manifest.parse().expect("cargo has read the same manifest"),
        manifest_path,
        targets: array(&package["targets"]).iter().map(target).collect(),
    }
}

fn target(target: &Value) -> Target {
    let kind = text(&target["kind"][0]);
    Target {
        kind: format!("{kind} {}", text(&target["name"])),
        root: PathBuf::from(text(&target["src_path"])),
    }
}

/// Returns the `.rs` files of a package that none of its targets reaches.
pub(crate) fn files_without_target(member: &Member) -> Vec<String> {
    let mut problems = Vec::new();
    let mut reached = BTreeSet::new();
    for target in &member.targets {
        match tree::read(&target.root, &|path| fs::read_to_string(path).ok()) {
            Ok(tree) => reached.extend(tree.files),
            Err(error) => problems.push(error),
        }
    }
    for file in rust_files(member.folder()) {
        if !reached.contains(&file) {
            problems.push(format!(
                "{}: no listed target of {} uses it",
                file.display(),
                member.name
            ));
        }
    }
    problems
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() {
                // A package of its own inside is no part of this one.
                if !path.join("Cargo.toml").exists() {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("cargo metadata has its documented shape")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata has its documented shape")
}
