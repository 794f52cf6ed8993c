//! Usage and settings: mistakes are named, and end with 2.

use crate::support::{garbage, ndjson, run, stderr, stdout, story_checker};

#[test]
fn without_a_session_it_says_what_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["check", "tea_house"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    for part in ["there is no session", "cookies.txt", "--session", "--demo"] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
}

#[test]
fn mistakes_in_the_settings_file_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("story-checker.toml"), "quiet = true\n\nsped = 9\n").unwrap();
    std::fs::write(folder.path().join("garbage.toml"), garbage()).unwrap();
    for (config, want) in [
        (None, "error: story-checker.toml:3:1: there is no setting \"sped\""),
        (Some("garbage.toml"), "error: garbage.toml:1:"),
        (Some("missing.toml"), "error: there is no settings file missing.toml"),
    ] {
        let mut command = story_checker(folder.path());
        command.args(["check", "--demo", "tea_house"]);
        if let Some(config) = config {
            command.args(["--config", config]);
        }
        let output = command.output().unwrap();
        assert!(stderr(&output).starts_with(want), "{}", stderr(&output));
        assert!(output.stderr.len() < 1000);
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn the_file_the_environment_and_the_flags_are_heard_in_this_order() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("story-checker.toml"), "format = 'json'\nquiet = true\n")
        .unwrap();
    let mut command = story_checker(folder.path());
    command.args(["check", "--demo", "tea_house"]);
    let output = command.output().unwrap();
    assert!(stdout(&output).starts_with("[\n") && output.stderr.is_empty());
    command.env("STORY_CHECKER_FORMAT", "table");
    assert!(stdout(&command.output().unwrap()).starts_with("ACCOUNT"));
    command.arg("--ndjson");
    assert_eq!(ndjson(stdout(&command.output().unwrap())).len(), 1);
    command.env("STORY_CHECKER_DEADLINE", "tomorrow");
    let output = command.output().unwrap();
    assert!(stderr(&output).starts_with("error: the variable STORY_CHECKER_DEADLINE: "));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn sessions_and_proxies_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("garbage", &garbage());
    write("short.txt", b"# Netscape HTTP Cookie File\n.instagram.com\tTRUE\t/\n");
    write("other.txt", b".example.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED\n");
    write("proxies.txt", b"127.0.0.1:9\nhttp://user:PLANTED@host\n");
    for (arguments, want) in [
        (&["--session", "garbage"][..], "error: session garbage: "),
        (&["--session", "missing.txt"], "error: session missing.txt: "),
        (&["--session", "short.txt"], "error: session short.txt: line 2 "),
        (&["--session", "other.txt"], "error: session other.txt: "),
        (&["--session", "http://u:PLANTED@a.test"], "error: session http://[redacted]@a.test: "),
        (
            &["--session", "4200000001%3APLANTED-PLANTED-PLANTED%3A28"],
            "error: session [redacted]: this names no file but looks like a secret",
        ),
        (&["--demo", "--session", "other.txt"], "error: the argument '--demo' cannot be used"),
        (&["--max-batch", "0", "--demo"], "error: invalid value '0' for '--max-batch"),
        (&["--session-limit", "often", "--demo"], "error: invalid value 'often'"),
        (
            &["--log", "a=b=c", "--demo"],
            "error: invalid value 'a=b=c' for '--log <FILTER>': \"a=b=c\" is no filter",
        ),
        (
            &["--store", "postgres://u:PLANTED@a", "--demo"],
            "error: invalid value for '--store <STORE>': there is no store of the kind",
        ),
    ] {
        let output = story_checker(folder.path())
            .args(["check", "tea_house"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(stderr(&output).starts_with(want), "{arguments:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("PLANTED"), "{}", stderr(&output));
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    }
}

#[test]
fn a_variable_that_is_no_setting_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = story_checker(folder.path())
        .args(["check", "--demo", "tea_house"])
        .env("STORY_CHECKER_DEADLIN", "9s")
        .output()
        .unwrap();
    let want = "error: the variable STORY_CHECKER_DEADLIN is no setting; did you mean \
                STORY_CHECKER_DEADLINE?";
    assert!(stderr(&output).starts_with(want), "{}", stderr(&output));
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
}

#[test]
fn config_show_names_the_origin_of_every_value_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = "# ours\nconcurrency = 9\nproxies = \"http://user:PLANTED@proxy.test:1\"\n";
    std::fs::write(folder.path().join("story-checker.toml"), file).unwrap();
    let mut command = story_checker(folder.path());
    command.args(["config", "show", "--deadline", "5m", "--csv"]);
    command.env("STORY_CHECKER_QUIET", "true");
    let output = command.output().unwrap();
    let text = stdout(&output);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    assert!(!text.contains("PLANTED"), "{text}");
    let origin = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} ")));
        let line = line.unwrap_or_else(|| panic!("{key}: {text}"));
        line.rsplit("  # ").next().unwrap().to_owned()
    };
    for (key, want) in [
        ("deadline", "--deadline"),
        ("format", "--csv"),
        ("quiet", "STORY_CHECKER_QUIET"),
        ("concurrency", "story-checker.toml:2"),
        ("proxies", "story-checker.toml:3"),
        ("platform", "default"),
    ] {
        assert_eq!(origin(key), want);
    }
    // What is shown is a settings file that says the same.
    std::fs::write(folder.path().join("again.toml"), text.replace("proxies =", "# proxies"))
        .unwrap();
    let again = run(folder.path(), &["config", "show", "--config", "again.toml"]);
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains("proxies"));
        lines.map(|line| line.split("  # ").next().unwrap().trim_end().to_owned()).collect()
    };
    assert_eq!(values(stdout(&again)), values(text));

    std::fs::write(folder.path().join("story-checker.toml"), "concurrensy = 9\n").unwrap();
    let output = run(folder.path(), &["config", "show"]);
    let want = "error: story-checker.toml:1:1: there is no setting \"concurrensy\"; did you mean \
                concurrency?";
    assert!(stderr(&output).starts_with(want), "{}", stderr(&output));
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
}

#[test]
fn completions_and_manual_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for word in ["completions", "explain", "demo-seed"] {
            assert!(stdout(&output).contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(folder.path(), &["completions", "tcsh"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["manual", "."]).status.code(), Some(0));
    let page = std::fs::read_to_string(folder.path().join("story-checker-check.1")).unwrap();
    assert!(page.contains("deadline"));
    assert_eq!(run(folder.path(), &["manual", "new/folder"]).status.code(), Some(0));
    assert!(folder.path().join("new/folder/story-checker.1").exists());
    let output = run(folder.path(), &["manual", "story-checker.1/x"]);
    assert!(stderr(&output).starts_with("error: cannot write the manual to story-checker.1/x: "));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn help_and_version_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["check", "--help"]);
    assert!(stdout(&help).contains("Examples:") && help.status.success());
    let version = run(folder.path(), &["--version"]);
    assert_eq!(stdout(&version), format!("story-checker {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(folder.path(), &[]).status.code(), Some(2));
}
