//! Lists: good, bad and none.

use std::io::Write;
use std::process::Stdio;

use crate::support::{garbage, ndjson, run, stderr, stdout, story_checker};

#[test]
fn standard_input_is_read_with_and_without_the_dash() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["check", "--demo", "--ndjson", "-"][..], &["check", "--demo", "--ndjson"]] {
        let mut child = story_checker(folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let list = "\u{feff}@Tea_House\r\n# none\r\n\r\nhttps://www.instagram.com/cafe/?hl=en\r\n";
        child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let mut targets: Vec<_> = ndjson(stdout(&output))
            .iter()
            .map(|report| report["target"].as_str().unwrap().to_owned())
            .collect();
        targets.sort();
        assert_eq!(targets, ["instagram/account/cafe", "instagram/account/tea_house"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn bad_lines_are_named_and_the_rest_still_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut list = "tea_house\n".to_owned();
    (0..25).for_each(|number| list.push_str(&format!("bad name {number}\n")));
    list.push_str("cafe\n");
    std::fs::write(folder.path().join("list.txt"), list).unwrap();
    let output = run(folder.path(), &["check", "--demo", "--ndjson", "list.txt"]);
    assert_eq!(ndjson(stdout(&output)).len(), 2);
    let said = stderr(&output);
    assert!(said.contains("\nlist.txt:2: the Instagram account is \"bad name 0\""), "{said}");
    assert!(said.contains("\nlist.txt:21: ") && !said.contains("\nlist.txt:22: "), "{said}");
    assert!(said.contains("\n5 more bad lines are not listed\n"), "{said}");
    assert!(said.contains("; 25 bad lines; "), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn garbage_as_a_list_is_reported_and_nothing_breaks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("garbage.txt"), garbage()).unwrap();
    let output = run(folder.path(), &["check", "--demo", "--ndjson", "garbage.txt", "tea_house"]);
    let found = ndjson(stdout(&output));
    assert!(found.iter().any(|report| report["target"] == "instagram/account/tea_house"));
    assert!(stderr(&output).contains("more bad lines are not listed"), "{}", stderr(&output));
    assert!(!stderr(&output).contains('\u{1b}'));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn lists_that_cannot_be_read_end_the_run_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("utf16.txt"), b"\xff\xfet\0e\0a\0\n\0").unwrap();
    for (list, want) in [
        ("utf16.txt", "error: cannot read the list utf16.txt: this is UTF-16 text"),
        ("missing.txt", "error: cannot read the list missing.txt: "),
        (".", "error: cannot read the list .: it is a folder"),
    ] {
        let output = run(folder.path(), &["check", "--demo", "--file", list]);
        assert!(stderr(&output).starts_with(want), "{}", stderr(&output));
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    }
}

#[test]
fn an_empty_list_is_answered_with_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "--demo", "--json", "-"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), "[]\n"));
    let said = stderr(&output);
    assert!(
        said.contains("\nthere was nothing to check: the list is empty\n0 accounts; "),
        "{said}"
    );
}

#[test]
fn what_no_session_can_check_says_what_to_import() {
    let folder = tempfile::tempdir().unwrap();
    let token = r#"{"bearer_token": "AAAA%2Fexample-of-a-token"}"#;
    std::fs::write(folder.path().join("x.json"), token).unwrap();
    let arguments = ["check", "--session", "x.json", "--ndjson", "tea_house", "my-shop/account/a"];
    let output = run(folder.path(), &arguments);
    let causes: Vec<_> = ndjson(stdout(&output))
        .iter()
        .map(|report| report["cause"]["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(causes[0].starts_with("there is no session for Instagram: import one"), "{causes:?}");
    assert!(causes[1].starts_with("nothing here can check this platform"), "{causes:?}");
    assert!(stderr(&output).contains("2 accounts: 2 unknown; 0 requests"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn queries_in_a_list_stand_in_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let list = "\"x/query/#tea \"\"hot cake\"\"\"  # a phrase\nx:#tea\nx/hashtag/TEA\n";
    std::fs::write(folder.path().join("list.txt"), list).unwrap();
    let output = run(folder.path(), &["check", "--demo", "--ndjson", "list.txt", "--quiet"]);
    let mut targets: Vec<_> = ndjson(stdout(&output))
        .iter()
        .map(|report| report["target"].as_str().unwrap().to_owned())
        .collect();
    targets.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(targets, ["x/query/#tea \"hot cake\"", "x/hashtag/tea"]);
}
