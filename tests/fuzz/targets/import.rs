//! Session files of any format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use story_checker_core::session::SessionRecord;
use story_checker_fuzz::seeds;
use story_checker_http::import;

fn is_a_login(record: &SessionRecord) -> bool {
    let token = record.credentials.tokens.get("access_token");
    let has_token = token.is_some_and(|token| !token.expose().is_empty());
    match record.kind.as_str() {
        "instagram-graph" => record.account.is_some() && has_token,
        "x-api" => has_token,
        "instagram-web" => {
            let login = record.credentials.cookie("sessionid");
            login.is_some_and(|cookie| !cookie.value.expose().is_empty())
        }
        other => panic!("a session of the unknown kind {other}"),
    }
}

fuzz_target!(
    init: seeds::plant(seeds::imports),
    |file: &[u8]| match import::read("main".into(), file) {
        Ok(import) => {
            assert!(!import.sessions.is_empty());
            assert!(import.sessions.iter().all(is_a_login), "a session that is no login");
            let mut ids: Vec<_> = import.sessions.iter().map(|session| &session.id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), import.sessions.len(), "two sessions of one name");
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
);
