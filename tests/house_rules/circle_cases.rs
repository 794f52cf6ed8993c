//! The circle finder on small graphs.

use crate::house_rules::circle::{Arrows, find};

fn graph(arrows: &[(&str, &str)]) -> Arrows {
    let mut graph = Arrows::new();
    for (from, to) in arrows {
        graph
            .entry((*from).to_owned())
            .or_default()
            .insert((*to).to_owned(), format!("{from}.rs:1"));
    }
    graph
}

fn circles(arrows: &[(&str, &str)]) -> Vec<String> {
    find(&graph(arrows)).iter().map(|circle| circle.modules().join(" ")).collect()
}

#[test]
fn a_graph_without_a_way_back_has_no_circle() {
    assert!(circles(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]).is_empty());
    assert!(circles(&[]).is_empty());
}

#[test]
fn two_modules_that_name_each_other_are_one_circle() {
    assert_eq!(circles(&[("b", "a"), ("a", "b"), ("c", "a")]), ["a b"]);
}

#[test]
fn a_long_circle_is_found_whole_and_once() {
    assert_eq!(circles(&[("c", "d"), ("d", "b"), ("b", "c"), ("a", "b")]), ["b c d"]);
}

#[test]
fn separate_circles_are_all_reported() {
    assert_eq!(
        circles(&[("a", "b"), ("b", "a"), ("x", "y"), ("y", "x"), ("b", "x")]),
        ["a b", "x y"]
    );
}

#[test]
fn a_circle_prints_each_arrow_with_its_place() {
    let printed = find(&graph(&[("a", "b"), ("b", "a")]))[0].to_string();
    assert_eq!(printed, "    a → b   a.rs:1\n    b → a   b.rs:1\n");
}
