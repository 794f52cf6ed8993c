//! House rules of the workspace that no compiler checks: modules without circles, manifests that
//! take versions and lints from the root, no machine's own paths in a tracked file.

mod circle;
mod circle_cases;
mod graph;
mod graph_cases;
mod manifests;
mod members;
mod text;
mod tree;

use std::fs;

/// Fails with every problem on a line of its own.
fn expect_none(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}\n\n{}\n", problems.join("\n"));
}

#[test]
fn no_crate_has_a_circle_of_modules() {
    let mut problems = Vec::new();
    for member in members::read() {
        for target in &member.targets {
            let name = format!("{} ({})", member.name, target.kind);
            let tree = tree::read(&target.root, &|path| fs::read_to_string(path).ok());
            match tree {
                Ok(tree) => {
                    let graph = graph::of(&tree);
                    problems.extend(graph.problems.iter().map(|p| format!("{name}: {p}")));
                    for circle in circle::find(&graph.arrows) {
                        problems.push(format!("{name}: modules go in a circle:\n{circle}"));
                    }
                }
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
    }
    expect_none("the modules of a crate must not depend on each other in a circle", &problems);
}

#[test]
fn every_file_of_the_shared_packages_belongs_to_a_listed_target() {
    let mut problems = Vec::new();
    for member in members::read().iter().filter(|member| member.is_shared_package()) {
        problems.extend(members::files_without_target(member));
    }
    expect_none("every file of examples/, benches/ and tests/ belongs to a target", &problems);
}

#[test]
fn every_manifest_takes_versions_and_lints_from_the_root() {
    let mut problems = Vec::new();
    for member in members::read() {
        let rules = manifests::problems(&member.manifest);
        problems.extend(rules.iter().map(|p| format!("{}: {p}", member.manifest_path.display())));
    }
    expect_none("only the root manifest names versions and lints", &problems);
}

#[test]
fn no_tracked_file_names_a_path_of_one_machine() {
    expect_none("a tracked file names an absolute home or work path", &text::machine_paths());
}
