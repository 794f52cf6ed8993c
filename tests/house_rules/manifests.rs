//! The rules for the manifest of a member.

use toml::{Table, Value};

/// Returns what a manifest does against the rules.
pub(crate) fn problems(manifest: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_inherited(manifest.get("lints")) {
        problems.push("write `[lints] workspace = true`".to_owned());
    }
    let package = manifest.get("package").and_then(Value::as_table);
    let field = |name| package.and_then(|package| package.get(name));
    let is_public = field("publish").and_then(Value::as_bool) != Some(false);
    let version = field("version");
    if is_public && !is_inherited(version) {
        problems.push("write `version.workspace = true`: all crates share one version".to_owned());
    }
    if !is_public && !is_inherited(version) && version.and_then(Value::as_str) != Some("0.0.0") {
        problems.push("a package that is never published has `version = \"0.0.0\"`".to_owned());
    }
    for name in ["edition", "rust-version", "license"] {
        if !is_inherited(field(name)) {
            problems.push(format!("write `{name}.workspace = true`"));
        }
    }
    dependencies(manifest, "", &mut problems);
    problems
}

/// Checks the dependency tables of the manifest and of every `[target.….]` below it.
fn dependencies(table: &Table, place: &str, problems: &mut Vec<String>) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let names = table.get(kind).and_then(Value::as_table).into_iter().flatten();
        for (name, _) in names.filter(|(_, value)| !is_inherited(Some(value))) {
            problems.push(format!("[{place}{kind}] {name}: write `{name}.workspace = true`"));
        }
    }
    let targets = table.get("target").and_then(Value::as_table).into_iter().flatten();
    for (condition, target) in targets.filter_map(|(name, value)| Some((name, value.as_table()?))) {
        dependencies(target, &format!("target.'{condition}'."), problems);
    }
}

fn is_inherited(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n\
        [dependencies]\ntokio = { workspace = true, features = [\"rt\"] }\n";

    fn problems_of(text: &str) -> Vec<String> {
        problems(&text.parse().unwrap())
    }

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        assert_eq!(problems_of(GOOD), [""; 0]);
    }

    #[test]
    fn a_version_of_its_own_is_for_unpublished_packages_only() {
        let own = GOOD.replace("version.workspace = true\nedition", "version = \"0.0.0\"\nedition");
        assert_eq!(problems_of(&own).len(), 1);
        let unpublished = own.replace("[package]", "[package]\npublish = false");
        assert_eq!(problems_of(&unpublished), [""; 0]);
        let numbered = unpublished.replace("0.0.0", "0.1.0");
        assert_eq!(problems_of(&numbered).len(), 1);
    }

    #[test]
    fn a_dependency_with_a_version_is_refused_wherever_it_stands() {
        for table in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            for dependency in
                ["\"1\"", "{ version = \"1\" }", "{ path = \"../x\" }", "{ git = \"x\" }"]
            {
                let text = format!(
                    "{}\n[{table}]\nserde = {dependency}\n",
                    GOOD.replace("[dependencies]\n", "[x]\n")
                );
                let problems = problems_of(&text);
                assert_eq!(problems.len(), 1, "{text}");
                assert!(problems[0].contains("serde.workspace = true"), "{problems:?}");
            }
        }
    }

    #[test]
    fn lints_must_come_from_the_root() {
        let problems = problems_of(
            &GOOD.replace("[lints]\nworkspace = true", "[lints.rust]\nmissing_docs = \"allow\""),
        );
        assert_eq!(problems, ["write `[lints] workspace = true`"]);
    }
}
