use super::*;

#[test]
fn a_profile_needs_what_a_decision_rests_on() {
    let parse = |text: &'static str| parse_profile(text.as_bytes());
    assert_eq!(
        parse(
            r#"{"data":{"user":{"id":42,"username":"a","is_private":0,"latest_reel_media":null,"x":[]}},"status":"ok"}"#
        ),
        Ok(ProfileAnswer::User {
            id: "42".into(),
            username: "a".into(),
            private: false,
            followed: false,
            gated: false,
            latest_reel_media: None
        })
    );
    assert_eq!(
        parse(
            r#"{"status":"ok","data":{"user":{"id":"42","username":"a","is_private":true,"followed_by_viewer":true,"latest_reel_media":1795251600}}}"#
        ),
        Ok(ProfileAnswer::User {
            id: "42".into(),
            username: "a".into(),
            private: true,
            followed: true,
            gated: false,
            latest_reel_media: Some(1_795_251_600)
        })
    );
    assert_eq!(parse(r#"{"data":{"user":null},"status":"ok"}"#), Ok(ProfileAnswer::Missing));

    let shape = |result| matches!(result, Err(BodyError::Shape(_)));
    assert!(shape(parse(r#"{"data":{},"status":"ok"}"#)));
    assert!(shape(parse(r#"{"data":null,"status":"ok"}"#)));
    assert!(shape(parse(r#"{"status":"ok"}"#)));
    assert!(shape(parse(
        r#"{"data":{"user":{"id":"a","username":"a","is_private":false}},"status":"ok"}"#
    )));
    assert!(shape(parse(r#"{"data":{"user":{"id":"1","username":"a"}},"status":"ok"}"#)));
    assert!(shape(parse(
        r#"{"data":{"user":{"id":"1","username":"a","is_private":true}},"status":"ok"}"#
    )));
    assert!(shape(parse(r#"{"data":{"user":null},"data":{"user":null},"status":"ok"}"#)));
    assert!(parse("[]").is_err() && parse("7").is_err());
    assert_eq!(parse(r#"{"data":{"user":null}}"#), Err(BodyError::NotOk));
    assert_eq!(parse(r#"{"data":{"user":null},"status":"fail"}"#), Err(BodyError::NotOk));
    assert_eq!(
        parse(r#"{"data":{"user":null},"errors":[{}],"status":"ok"}"#),
        Err(BodyError::NotOk)
    );
    assert_eq!(parse(r#"{"data":{"user":nu"#), Err(BodyError::Truncated));
    assert_eq!(parse(r#"{"data":{"user":null},"status":"ok"} x"#), Err(BodyError::NotJson));
    assert_eq!(parse("<html>"), Err(BodyError::NotJson));
    assert_eq!(parse(""), Err(BodyError::Truncated));
}

#[test]
fn a_viewer_is_somebody_or_null() {
    let parse = |text: &'static str| parse_viewer(text.as_bytes());
    let somebody = r#"{"data":{"user":{"id":"1","username":"me"}},"status":"ok"}"#;
    assert_eq!(parse(somebody), Ok(ViewerAnswer::LoggedIn));
    let nobody = r#"{"data":{"user":null},"status":"ok"}"#;
    assert_eq!(parse(nobody), Ok(ViewerAnswer::LoggedOut));
    assert!(parse(r#"{"data":{"user":{}},"status":"ok"}"#).is_err());
    assert!(parse(r#"{"data":{},"status":"ok"}"#).is_err());
}

#[test]
fn reels_come_as_map_or_list() {
    let count = |text: &'static str| parse_reels(text.as_bytes()).map(|r| r.reels.len());
    assert_eq!(count(r#"{"reels":{},"reels_media":[],"status":"ok"}"#), Ok(0));
    assert_eq!(count(r#"{"reels_media":[{"id":7,"items":[]}],"status":"ok"}"#), Ok(1));
    assert_eq!(
        count(r#"{"reels_media":[{"id":7}],"reels":{"7":{},"8":null},"status":"ok"}"#),
        Ok(2)
    );
    assert_eq!(count(r#"{"reels":{},"status":"fail"}"#), Err(BodyError::NotOk));
    assert_eq!(count(r#"{"reels":{}}"#), Err(BodyError::NotOk));
    for text in [
        r#"{"status":"ok"}"#,
        r#"{"reels":null,"status":"ok"}"#,
        r#"{"reels":{},"reels_media":[{"id":7}],"status":"ok"}"#,
        r#"{"reels_media":[{"id":7}],"reels":{},"status":"ok"}"#,
        r#"{"reels":{},"reels_media":"odd","status":"ok"}"#,
        r#"{"reels":[],"status":"ok"}"#,
        r#"{"reels_media":{},"status":"ok"}"#,
        r#"{"reels":{},"reels":{},"status":"ok"}"#,
        r#"{"reels":{"7":{"items":{}}},"status":"ok"}"#,
    ] {
        assert!(matches!(count(text), Err(BodyError::Shape(_))), "{text}");
    }
    assert_eq!(count(r#"{"reels":{"7":{"it"#), Err(BodyError::Truncated));
    let latin1 = b"{\"reels\":{},\"title\":\"caf\xe9\",\"status\":\"ok\"}";
    assert_eq!(parse_reels(latin1).unwrap_err(), BodyError::NotJson);
}

#[test]
fn a_gated_profile_need_not_tell_more() {
    let gated = |text: &'static str| match parse_profile(text.as_bytes()) {
        Ok(ProfileAnswer::User { gated, .. }) => Some(gated),
        _ => None,
    };
    let user =
        |more| format!(r#"{{"data":{{"user":{{"id":"1","username":"a"{more}}}}},"status":"ok"}}"#);
    for (more, expected) in [
        (r#","gating":{"gating_type":2,"title":"x"}"#, Some(true)),
        (r#","is_restricted":true"#, Some(true)),
        (r#","is_private":false,"gating":{}"#, Some(true)),
        (r#","is_private":false,"gating":null,"is_restricted":0"#, Some(false)),
        (r#","is_private":false,"restricted_by_viewer":true"#, Some(false)),
        (r#","gating":null"#, None),
        (r#","gating":"odd""#, None),
        (r#","gating":[]"#, None),
    ] {
        assert_eq!(gated(user(more).leak()), expected, "{more}");
    }
}

#[test]
fn an_account_by_its_id() {
    let parse = |text: &'static str| parse_info(text.as_bytes());
    let open = r#"{"user":{"pk":42,"username":"a","is_private":false},"status":"ok"}"#;
    assert_eq!(parse(open), Ok(InfoAnswer { username: "a".into(), gated: false }));
    let gated = r#"{"user":{"pk":42,"username":"a","gating":{"buttons":[]}},"status":"ok"}"#;
    assert_eq!(parse(gated), Ok(InfoAnswer { username: "a".into(), gated: true }));
    for text in [
        r#"{"user":null,"status":"ok"}"#,
        r#"{"user":{},"status":"ok"}"#,
        r#"{"status":"ok"}"#,
        r#"{"user":{"username":"a"}}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_search_finds_exact_names_only() {
    let find = |text: &'static str, name: &str| {
        parse_search(text.as_bytes())
            .map(|answer| answer.find(name).map(|id| id.map(str::to_owned)))
    };
    let some = r#"{"users":[{"position":0,"user":{"pk":"7","username":"tea_house2"}},{"user":{"pk":8,"username":"Tea_House"}},{"user":{"username":"no_id"}}],"places":[],"status":"ok"}"#;
    assert_eq!(find(some, "tea_house"), Ok(Some(Some("8".into()))));
    assert_eq!(find(some, "no_id"), Ok(Some(None)));
    assert_eq!(find(some, "tea"), Ok(None));
    assert_eq!(find(r#"{"users":[],"status":"ok"}"#, "a"), Ok(None));
    for text in [
        r#"{"status":"ok"}"#,
        r#"{"users":null,"status":"ok"}"#,
        r#"{"users":[{}],"status":"ok"}"#,
        r#"{"users":[{"user":{"pk":1}}],"status":"ok"}"#,
        r#"{"users":[]}"#,
        r#"{"users":[],"status":"fail"}"#,
    ] {
        assert!(find(text, "a").is_err(), "{text}");
    }
}

#[test]
fn graphql_has_its_own_container() {
    let count = |text: &'static str| parse_reels(text.as_bytes()).map(|r| r.reels.len());
    assert_eq!(count(r#"{"data":{"reels_media":[]},"status":"ok"}"#), Ok(0));
    assert_eq!(
        count(r#"{"data":{"reels_media":[{"id":"7"},{"owner":{"id":8}}]},"status":"ok"}"#),
        Ok(2)
    );
    assert_eq!(count(r#"{"data":null,"reels":{},"status":"ok"}"#), Ok(0));
    assert_eq!(count(r#"{"errors":[],"data":{"reels_media":[]},"status":"ok"}"#), Ok(0));
    assert_eq!(
        count(r#"{"errors":[{"message":"x"}],"data":{"reels_media":[]},"status":"ok"}"#),
        Err(BodyError::NotOk)
    );
    assert_eq!(count(r#"{"data":{"reels_media":[]}}"#), Err(BodyError::NotOk));
    for text in [
        r#"{"data":null,"status":"ok"}"#,
        r#"{"data":{},"status":"ok"}"#,
        r#"{"data":{"user":null},"status":"ok"}"#,
        r#"{"data":{"reels_media":null},"status":"ok"}"#,
        r#"{"data":{"reels_media":[]},"reels_media":[],"status":"ok"}"#,
        r#"{"reels":{},"data":{"reels_media":[{"id":7}]},"status":"ok"}"#,
        r#"{"data":{"reels_media":[{"items":[]}]},"status":"ok"}"#,
        r#"{"reels_media":[{"items":[]}],"status":"ok"}"#,
    ] {
        assert!(matches!(count(text), Err(BodyError::Shape(_))), "{text}");
    }
}

#[test]
fn one_account_and_the_tray_have_containers_too() {
    let story = |text: &'static str| parse_user_story(text.as_bytes()).map(|r| r.reels.len());
    assert_eq!(story(r#"{"reel":null,"broadcast":null,"status":"ok"}"#), Ok(0));
    assert_eq!(story(r#"{"reel":null,"status":"ok"}"#), Ok(0));
    assert_eq!(story(r#"{"reel":{"items":[]},"status":"ok"}"#), Ok(1));
    assert_eq!(story(r#"{"reel":null}"#), Err(BodyError::NotOk));
    for text in [
        r#"{"broadcast":null,"status":"ok"}"#,
        r#"{"reel":"odd","status":"ok"}"#,
        r#"{"reel":null,"broadcast":[],"status":"ok"}"#,
        r#"[null,null,"ok"]"#,
        r#"{"reel":null,"broadcast":7,"status":"ok"}"#,
        r#"{"reel":null,"reel":{"id":"7"},"status":"ok"}"#,
    ] {
        assert!(matches!(story(text), Err(BodyError::Shape(_))), "{text}");
    }
    let tray = |text: &'static str| parse_tray(text.as_bytes()).map(|r| r.reels.len());
    assert_eq!(tray(r#"{"tray":[],"status":"ok"}"#), Ok(0));
    assert_eq!(tray(r#"{"tray":[{"id":7},{"user":{"pk":8},"items":null}],"status":"ok"}"#), Ok(2));
    for text in [
        r#"{"tray":null,"status":"ok"}"#,
        r#"{"status":"ok"}"#,
        r#"{"tray":[{"items":[]}],"status":"ok"}"#,
    ] {
        assert!(matches!(tray(text), Err(BodyError::Shape(_))), "{text}");
    }
}

/// What is not looked at is skipped without recursion, and what is looked at is not nested.
#[test]
fn deep_nesting_is_refused_or_skipped() {
    const DEEP: usize = 100_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}null{}", open.repeat(DEEP), close.repeat(DEEP));
        for field in ["reels", "reels_media", "data", "errors", "status", "reel", "tray", "user"] {
            let body = format!(r#"{{"{field}":{deep},"status":"ok"}}"#);
            let refused = [
                parse_profile(body.as_bytes()).is_err(),
                parse_reels(body.as_bytes()).is_err(),
                parse_user_story(body.as_bytes()).is_err(),
                parse_tray(body.as_bytes()).is_err(),
            ];
            // An object of reels may hold one of the id "a", and a reel of which nothing is known.
            let reels = field == "reels" && open != "[";
            let reel = field == "reel";
            assert_eq!(refused, [true, !reels, !reel || open == "[", true], "{field}");
        }
        let body =
            format!(r#"{{"x":{deep},"reels":{{"42":{{"x":{deep},"items":[]}}}},"status":"ok"}}"#);
        assert!(parse_reels(body.as_bytes()).is_ok());
    }
}
