//! The module graph of small crates that exist only here.

use std::{collections::BTreeMap, path::Path};

use crate::house_rules::{
    circle,
    graph::{self, Graph},
    tree,
};

fn read(files: &[(&str, &str)]) -> Result<Graph, String> {
    let files: BTreeMap<&Path, &str> =
        files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
    let tree =
        tree::read(Path::new("src/lib.rs"), &|path| files.get(path).map(|t| (*t).to_owned()))?;
    Ok(graph::of(&tree))
}

/// The arrows of a crate as `from>to`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let graph = read(files).expect("the crate can be read");
    assert!(graph.problems.is_empty(), "{:?}", graph.problems);
    let ends =
        graph.arrows.iter().flat_map(|(from, to)| to.keys().map(move |to| format!("{from}>{to}")));
    ends.collect()
}

const TWO: &str = "mod a; mod b;";

#[test]
fn a_crate_with_a_circle_shows_it_with_files_and_lines() {
    let graph = read(&[
        ("src/lib.rs", TWO),
        ("src/a.rs", "//! A.\nuse crate::b::Thing;\n"),
        ("src/b.rs", "pub struct Thing;\n\nfn f() -> crate::a::Other { todo!() }\n"),
    ]);
    let circles = circle::find(&graph.expect("the crate can be read").arrows);
    assert_eq!(
        circles.iter().map(ToString::to_string).collect::<String>(),
        "    a → b   src/a.rs:2  crate::b::Thing\n    b → a   src/b.rs:3  crate::a::Other\n"
    );
}

#[test]
fn a_crate_without_a_circle_has_none() {
    let graph =
        read(&[("src/lib.rs", TWO), ("src/a.rs", "use crate::b::Thing;"), ("src/b.rs", "")]);
    assert!(circle::find(&graph.expect("the crate can be read").arrows).is_empty());
}

#[test]
fn the_root_may_name_every_module_and_is_none_itself() {
    let root = "mod a; mod b; pub use a::A; use crate::b::B; fn f() { crate::a::g(); }";
    assert!(
        arrows(&[("src/lib.rs", root), ("src/a.rs", "pub struct A;"), ("src/b.rs", "")]).is_empty()
    );
}

#[test]
fn a_name_that_the_root_re_exports_stands_for_its_module() {
    let root = "mod a; mod b; mod c; pub use self::b::{Kind, inner::Deep as Renamed};";
    let a = "use crate::Kind;";
    let c = "fn f(_: super::Renamed) {}";
    let files = [("src/lib.rs", root), ("src/a.rs", a), ("src/b.rs", ""), ("src/c.rs", c)];
    assert_eq!(arrows(&files), ["a>b", "c>b"]);
}

#[test]
fn grouped_uses_count_for_each_name() {
    let root = "mod a; mod b; mod c; mod d;";
    let a = "use crate::{b::{self, X}, c::*, d as other};";
    let files = [
        ("src/lib.rs", root),
        ("src/a.rs", a),
        ("src/b.rs", ""),
        ("src/c.rs", ""),
        ("src/d.rs", ""),
    ];
    assert_eq!(arrows(&files), ["a>b", "a>c", "a>d"]);
}

#[test]
fn an_alias_of_the_root_is_followed() {
    let a = "use crate as root; fn f() { root::b::g(); }";
    assert_eq!(arrows(&[("src/lib.rs", TWO), ("src/a.rs", a), ("src/b.rs", "")]), ["a>b"]);
    let a = "use super::{self as up}; type T = up::b::T;";
    assert_eq!(arrows(&[("src/lib.rs", TWO), ("src/a.rs", a), ("src/b.rs", "")]), ["a>b"]);
}

#[test]
fn self_and_super_inside_one_module_are_no_arrows() {
    let files = [
        ("src/lib.rs", TWO),
        ("src/a/mod.rs", "mod inner; use self::inner::X; use self::inner;"),
        ("src/a/inner.rs", "use super::Y; use crate::a::Z; fn f() { super::super::b::g(); }"),
        ("src/b.rs", "mod a {}"),
    ];
    assert_eq!(arrows(&files), ["a>b"]);
}

#[test]
fn nested_modules_count_for_the_top_level_module_around_them() {
    let files = [
        ("src/lib.rs", "mod a; mod b { pub mod c { use super::super::a::X; } }"),
        ("src/a.rs", "mod deep;"),
        ("src/a/deep.rs", "mod deeper { use crate::b::c::Y; }"),
    ];
    assert_eq!(arrows(&files), ["a>b", "b>a"]);
}

#[test]
fn a_path_attribute_names_the_file() {
    let root = "#[path = \"other.rs\"] mod a; mod b;";
    let files = [("src/lib.rs", root), ("src/other.rs", "use crate::b::X;"), ("src/b.rs", "")];
    assert_eq!(arrows(&files), ["a>b"]);
}

#[test]
fn paths_in_types_patterns_and_visibilities_count_once_each() {
    let root = "mod a; mod b; mod c; mod d;";
    let a = "impl crate::b::Trait for u8 {} pub(crate) struct S; \
             fn f(x: u8) { match x { crate::c::ONE => {} _ => {} } let _ = Vec::<crate::d::T>::new(); }";
    let files = [
        ("src/lib.rs", root),
        ("src/a.rs", a),
        ("src/b.rs", ""),
        ("src/c.rs", ""),
        ("src/d.rs", ""),
    ];
    assert_eq!(arrows(&files), ["a>b", "a>c", "a>d"]);
}

#[test]
fn paths_in_macros_and_attributes_count() {
    let root = "mod a; mod b; mod c; mod d; mod e;";
    let a = "fn f() { select! { x = crate::b::wait() => {}, } } \
             macro_rules! m { () => { $crate::c::g(); use crate::{d::X, std}; } } \
             #[derive(Serialize)] struct S { #[serde(with = \"crate::e::millis\")] at: u64 }";
    let rest = [("src/b.rs", ""), ("src/c.rs", ""), ("src/d.rs", ""), ("src/e.rs", "")];
    let files = [&[("src/lib.rs", root), ("src/a.rs", a)][..], &rest].concat();
    assert_eq!(arrows(&files), ["a>b", "a>c", "a>d", "a>e"]);
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let a = "#[cfg(test)] use crate::b::X; #[cfg(test)] mod tests { use crate::b::Y; } \
             #[cfg(all(test, feature = \"f\"))] fn f() { crate::b::g() } #[cfg(test)] mod more; \
             struct S; impl S { #[cfg(test)] fn g() { crate::b::g() } }";
    let files = [
        ("src/lib.rs", TWO),
        ("src/a.rs", a),
        ("src/a/more.rs", "use crate::b::Z;"),
        ("src/b.rs", ""),
    ];
    assert!(arrows(&files).is_empty());
}

#[test]
fn what_a_feature_or_a_missing_test_compiles_is_kept() {
    let root = "mod a; mod b; mod c;";
    let a =
        "#[cfg(any(test, feature = \"f\"))] use crate::b::X; #[cfg(not(test))] use crate::c::X;";
    let files = [("src/lib.rs", root), ("src/a.rs", a), ("src/b.rs", ""), ("src/c.rs", "")];
    assert_eq!(arrows(&files), ["a>b", "a>c"]);
}

#[test]
fn other_crates_docs_and_text_are_no_arrows() {
    let a = "//! [`crate::b::X`]\nuse ::b::Y; use b::Z; /// See [`crate::b::X`].\nconst T: &str = \"crate::b\";";
    assert!(arrows(&[("src/lib.rs", TWO), ("src/a.rs", a), ("src/b.rs", "")]).is_empty());
}

#[test]
fn a_glob_of_the_root_hides_arrows_and_is_refused() {
    let files = [("src/lib.rs", TWO), ("src/a.rs", "use crate::*;"), ("src/b.rs", "use super::*;")];
    let problems = read(&files).expect("the crate can be read").problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems.iter().any(|problem| problem.starts_with("src/a.rs:1  crate::*")),
        "{problems:?}"
    );
}

#[test]
fn a_missing_file_and_a_syntax_error_name_the_place() {
    let missing = read(&[("src/lib.rs", "\nmod a;")]).err();
    assert_eq!(missing.as_deref(), Some("src/lib.rs:2: module `a` has no file"));
    let broken = read(&[("src/lib.rs", "mod a;"), ("src/a.rs", "\nfn {")]).err();
    assert!(broken.is_some_and(|error| error.starts_with("src/a.rs:2: ")));
}
