use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;
use story_checker_core::gate::Quota;

use super::layer::KEYS;
use super::*;

const EXAMPLE: &str = include_str!("../../../examples/story-checker.toml");

fn layer(text: &str) -> Layer {
    file::parse(text.as_bytes(), "a.toml").unwrap()
}

fn refusal(text: &str) -> String {
    file::parse(text.as_bytes(), "a.toml").unwrap_err()
}

fn environment(pairs: &[(&str, &str)]) -> anyhow::Result<Layer> {
    let pairs = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Layer::from_environment(pairs)
}

#[test]
fn the_example_names_every_setting() {
    let layer = layer(EXAMPLE);
    let silent: Vec<_> = layer
        .rows()
        .into_iter()
        .filter(|row| !row.origin.starts_with("a.toml:"))
        .map(|row| row.key)
        .collect();
    assert_eq!(silent, [""; 0], "the example says nothing about these");
    let settings = Settings::from(layer);
    assert_eq!(settings.sessions, Some(Paths(vec!["sessions".into()])));
    assert_eq!(settings.max_batch, NonZeroUsize::new(50));
    let quota = Quota::with_burst(75, Duration::from_secs(660), 15).unwrap();
    assert_eq!(settings.limit("instagram-web"), Some(quota.into()));
    // What the example says about these is what holds anyway.
    let defaults = Settings::from(Layer::default());
    assert_eq!(
        (settings.deadline, settings.concurrency, settings.format, settings.progress),
        (defaults.deadline, defaults.concurrency, defaults.format, defaults.progress)
    );
    assert_eq!(
        (settings.quiet, settings.base_url, settings.x_since, settings.platform),
        (defaults.quiet, defaults.base_url, defaults.x_since, defaults.platform)
    );
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let flags = Layer {
        deadline: flag("--deadline", Some(Span(Duration::from_secs(1)))),
        ..Layer::default()
    };
    let environment = environment(&[
        ("STORY_CHECKER_DEADLINE", "2m"),
        ("STORY_CHECKER_CONCURRENCY", "2"),
        ("STORY_CHECKER_FORMAT", ""),
        ("STORY_CHECKER_ADVISORY_DB", "of a script"),
        ("HOME", "elsewhere"),
    ])
    .unwrap();
    let file = layer("deadline = '3m'\nconcurrency = 3\nformat = 'json'");
    let layer = flags.over(environment).over(file);
    let rows = layer.rows();
    let origin = |key: &str| rows.iter().find(|row| row.key == key).map(|row| row.origin.as_str());
    assert_eq!(origin("deadline"), Some("--deadline"));
    assert_eq!(origin("concurrency"), Some("STORY_CHECKER_CONCURRENCY"));
    assert_eq!(origin("format"), Some("a.toml:3"));
    assert_eq!(origin("quiet"), Some("default"));
    assert_eq!(origin("sessions"), Some("none"));
    let settings = Settings::from(layer);
    assert_eq!(settings.deadline.0, Duration::from_secs(1));
    assert_eq!(Some(settings.concurrency), NonZeroUsize::new(2));
    assert_eq!(settings.format, Format::Json);
}

#[test]
fn a_limit_of_an_app_wins_over_that_of_all() {
    let settings = Settings::from(layer("[limits]\nsession = '9 per 1h'\nx = '3 per 1m'"));
    let requests = |app| settings.limit(app).map(|limit| limit.quotas()[0].requests());
    assert_eq!([requests("x"), requests("instagram-web")], [Some(3), Some(9)]);
    assert_eq!(Settings::from(Layer::default()).limit("x"), None);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, want) in [
        (
            "quiet = true\n\n  sped = 9\n",
            "3:3: there is no setting \"sped\"; there are sessions, proxies,",
        ),
        (
            "quiet = true\ndeadlin = '9s'\n",
            "2:1: there is no setting \"deadlin\"; did you mean deadline?",
        ),
        (
            "[limits]\nsesion = '9 per 1h'",
            "2:1: there is no setting \"limits.sesion\"; did you mean session?",
        ),
        (
            "[limits]\nquiet = true",
            "2:1: there is no setting \"limits.quiet\"; did you mean quiet?",
        ),
        (
            "session = '9 per 1h'",
            "1:1: there is no setting \"session\"; did you mean limits.session?",
        ),
        ("[proxy]\nurl = 'a'", "1:2: there is no setting \"proxy\"; did you mean proxies?"),
        ("zero = 1\nalso = 2", "1:1: there is no setting \"zero\""),
        ("deadline = 'soon'", "1:12: deadline: \"soon\" is no time such as 90s"),
        ("deadline = 90", "1:12: deadline: it must be a time such as \"90s\", in quotes"),
        ("concurrency = 0", "1:15: concurrency: it must be a number from 1 up"),
        ("concurrency = -1", "1:15: the number is out of range"),
        ("sessions = 'one'", "1:12: sessions: it must be a list of paths"),
        ("sessions = [1]", "1:12: what stands in this list must be text"),
        ("limits = 3", "1:1: there is no setting \"limits\""),
        ("log = 1979-05-27", "1:7: a datetime is no value"),
        ("[limits]\nsession = '9 per'", "2:11: limits.session: \"9 per\" is no limit"),
        ("[limits]\nsession = '9 per 1h, burst 10'", "2:11: limits.session: 9 requests per 3600s"),
        ("format = 'xml'", "1:10: format: \"xml\" is none of table, json, ndjson, csv, explain"),
        ("quiet = ", "1:9: "),
        ("quiet = true\nquiet = true", "2:1: duplicate key"),
    ] {
        let got = refusal(text);
        assert!(got.starts_with(want), "{text}: {got}");
        assert!(!got.contains('\n'), "{got}");
    }
}

#[test]
fn variables_that_are_no_setting_or_hold_none_are_named() {
    for (name, value, want) in [
        (
            "STORY_CHECKER_DEADLIN",
            "9s",
            "the variable STORY_CHECKER_DEADLIN is no setting; did you mean STORY_CHECKER_DEADLINE?",
        ),
        ("STORY_CHECKER_ZZZZZZZZZZZZZZZZZZZZZZ", "1", "the variable STORY_CHECKER_ZZZZ"),
        (
            "STORY_CHECKER_MAX_BATCH",
            "many",
            "the variable STORY_CHECKER_MAX_BATCH: it must be a number",
        ),
        (
            "STORY_CHECKER_QUIET",
            "yes",
            "the variable STORY_CHECKER_QUIET: it must be true or false",
        ),
    ] {
        let error = environment(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
    assert_eq!(environment(&[("STORY_CHECKER_DEADLIN", "")]).unwrap(), Layer::default());
}

#[test]
fn a_file_that_is_none_gives_an_error_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    assert_eq!(file::read(&path).unwrap(), None);
    let mut number = 1u32;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    })
    .take(1024 * 1024)
    .collect();
    for (bytes, want) in [
        (garbage.as_slice(), "a.toml:1:"),
        (&[b' '; 1024 * 1024 + 1], "longer than 1 MiB"),
        (b"\xff\xfeq\0", "a.toml:1:1: this is not UTF-8 text"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = format!("{:#}", file::read(&path).unwrap_err());
        assert!(error.contains(want) && error.len() < 800, "{error}");
    }
    assert!(file::read(folder.path()).is_err());
    std::fs::write(&path, "proxies = 'p.txt'\nsessions = ['s']").unwrap();
    let settings = Settings::from(file::read(&path).unwrap().unwrap());
    assert_eq!(settings.proxies, Some(folder.path().join("p.txt")));
    assert_eq!(settings.sessions, Some(Paths(vec![folder.path().join("s")])));
}

#[test]
fn what_is_shown_can_be_read_again_and_holds_no_secret() {
    let said = layer(
        "proxies = 'http://user:PLANTED@p.test:1'\nsessions = ['a', 'b']\n[limits]\nx = '3 per 1m'",
    );
    let text = Shown(said).to_string();
    assert!(!text.contains("PLANTED"), "{text}");
    let again = layer(&text);
    let settings = Settings::from(again);
    assert_eq!(settings.sessions, Some(Paths(vec!["a".into(), "b".into()])));
    assert_eq!(settings.limit("x").unwrap().quotas()[0].requests(), 3);
    for key in KEYS {
        let name = key.rsplit('.').next().unwrap();
        assert!(
            text.contains(&format!("{name} = ")) || text.contains(&format!("# {name}")),
            "{key}"
        );
    }
    assert!(text.contains("# a.toml:2\n") && text.contains("# default\n"), "{text}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = file::parse(&bytes, "a.toml");
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        let _ = file::parse(text.as_bytes(), "a.toml");
    }
}
