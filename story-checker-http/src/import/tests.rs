mod damage;
mod pickles;

use story_checker_core::Timestamp;

use super::*;

const LOGIN: &str =
    "#HttpOnly_.instagram.com\tTRUE\t/\tTRUE\t1826787600\tsessionid\t4200000001%3Ax%3A1";
const BARE: &str = "4200000001%3APLANTED%3A12%3Acookie-value";

fn one(file: impl AsRef<[u8]>) -> SessionRecord {
    let mut sessions =
        sessions("main".into(), file.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

fn refusal(file: impl AsRef<[u8]>) -> ImportError {
    let error = read("main".into(), file.as_ref()).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("PLANTED") && !text.contains("%3A"), "{text}");
    error
}

/// Names and values, in their order.
fn cookies(record: &SessionRecord) -> Vec<(&str, &str)> {
    let cookies = record.credentials.cookies.iter();
    cookies.map(|cookie| (cookie.name.as_str(), cookie.value.expose())).collect()
}

fn token<'a>(record: &'a SessionRecord, name: &str) -> Option<&'a str> {
    record.credentials.tokens.get(name).map(|token| token.expose())
}

#[test]
fn every_format_is_recognised_and_tells_no_secret() {
    for (format, file) in damage::samples() {
        let import = read("main".into(), &file).unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!(import.format, format);
        assert!(!format!("{import:?}").contains("PLANTED"), "{format}");
        let with_mark = [b"\xef\xbb\xbf", &file[..]].concat();
        if format != Format::InstaloaderSession {
            let import = read("main".into(), &with_mark).unwrap();
            assert_eq!(import.format, format, "a byte order mark changes nothing");
            let text = String::from_utf8(file).unwrap().replace('\n', "\r\n");
            assert_eq!(sessions("main".into(), text.as_bytes()).unwrap(), import.sessions);
        }
    }
    assert!(Format::ALL.iter().all(|format| damage::samples().iter().any(|(of, _)| of == format)));
}

#[test]
fn what_is_no_session_is_told_how_one_looks() {
    for file in ["<html>PLANTED</html>", "PLANTED", "{\"PLANTED\": 1}", "42", "# only a comment"] {
        let text = refusal(file).to_string();
        for word in ["cookies.txt", "instagrapi", "instaloader", "sessionid", "access_token"] {
            assert!(text.contains(word), "{text}");
        }
    }
    let utf_16: Vec<u8> = LOGIN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (file, want) in [
        (&b""[..], "the file: it is empty"),
        (b"\xef\xbb\xbf \r\n", "the file: it is empty"),
        (&utf_16, "it is UTF-16 text: save it as UTF-8"),
        (b"\xff\xfea\0", "it is UTF-16 text"),
        (b"sessionid\n\xff", "line 2 of the file: it is not UTF-8"),
        (b"sessionid\n\nPLANTED\0", "line 3 of the file: it holds a zero byte"),
        (&vec![b'x'; MAX_FILE + 1], "it is longer than 1 MiB"),
        (b"{\n\"sessionid\": \"PLANTED", "line 2 of the file: column 21: the JSON ends too early"),
        (b"{\"sessionid\": PLANTED}", "line 1 of the file: column 15: it is not valid JSON"),
        ("[".repeat(100_000).as_bytes(), "it is not valid JSON"),
    ] {
        let text = refusal(file).to_string();
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn a_cookies_txt_as_tools_write_it_is_read() {
    let text = format!(
        "\u{feff}# Netscape HTTP Cookie File\r\n\r\n$ comment\r\n{LOGIN}\r\n\
         .instagram.com\tTRUE\t/\tTRUE\t0\tcsrftoken\tc\r\n\
         www.instagram.com\tfalse\t/\ttrue\t-1\tmid\t\r\n\
         .instagram.com\tTRUE\t/\tTRUE\t1826787600.25\trur\t\"A\\054B\"\r\n\
         .notinstagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tx\r\n\
         .example.com\tmaybe\tnowhere\tTRUE\tnever\tforeign\t\u{e4}"
    );
    let record = one(text);
    assert_eq!(record.kind.as_str(), "instagram-web");
    assert_eq!(record.credentials.expires_at, Some(Timestamp::from_secs(1_826_787_600)));
    let domains: Vec<_> =
        record.credentials.cookies.iter().map(|cookie| cookie.domain.as_deref().unwrap()).collect();
    assert_eq!(domains, ["instagram.com", "instagram.com", "www.instagram.com", "instagram.com"]);
    assert_eq!(
        cookies(&record),
        [
            ("sessionid", "4200000001%3Ax%3A1"),
            ("csrftoken", "c"),
            ("mid", ""),
            ("rur", "\"A\\054B\""),
        ]
    );
    assert_eq!(record.credentials.cookies[1].expires_at, None);
}

#[test]
fn a_later_cookie_replaces_an_earlier_one() {
    let record = one(format!("{LOGIN}\n.instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tnew"));
    assert_eq!(cookies(&record), [("sessionid", "new")]);
}

#[test]
fn every_mistake_in_a_cookies_txt_names_its_place() {
    for (line, place) in [
        ("PLANTED", "line 2 of the cookies.txt: it has 1 of the 7 fields"),
        (".instagram.com TRUE / TRUE 0 sessionid PLANTED", "it has 1 of the 7 fields"),
        (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED\tx", "it has 8 of the 7"),
        (".instagram.com\tPLANTED\t/\tTRUE\t0\tsessionid\tx", "field 2 (include subdomains)"),
        (".instagram.com\tTRUE\tPLANTED\tTRUE\t0\tsessionid\tx", "field 3 (path)"),
        (".instagram.com\tTRUE\t/\tPLANTED\t0\tsessionid\tx", "field 4 (secure)"),
        (".instagram.com\tTRUE\t/\tTRUE\tPLANTED\tsessionid\tx", "field 5 (expires)"),
        (".instagram.com\tTRUE\t/\tTRUE\t0\tPLANTED=\tx", "field 6 (name)"),
        (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED\u{1}", "field 7 (value)"),
        (".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\tPLANTED; x", "field 7 (value)"),
    ] {
        let error = refusal(format!("# Netscape HTTP Cookie File\n{line}"));
        assert!(error.to_string().contains(place), "{error}");
        assert_eq!(error.line_number(), Some(2));
        assert_eq!(error.format(), Some(Format::CookiesTxt));
    }
    for text in [
        "# Netscape HTTP Cookie File",
        ".example.com\tTRUE\t/\tTRUE\t0\tsessionid\tx",
        ".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\t",
        ".instagram.com\tTRUE\t/\tTRUE\t0\tsessionid\t\"\"",
    ] {
        let error = refusal(text);
        assert!(error.to_string().contains("log in") && error.line_number().is_none(), "{error}");
    }
    let lost_tabs = refusal(".instagram.com TRUE / TRUE 0 sessionid PLANTED").to_string();
    assert!(lost_tabs.contains("separated by tabs"), "{lost_tabs}");
}

#[test]
fn lists_of_browser_extensions_are_read() {
    let list = r#"[
        {"name": "other", "value": {}, "domain": ".example.com"},
        {"name": "sessionid", "value": "s", "domain": ".instagram.com", "path": "/",
         "expirationDate": 1826787600.25, "session": false, "hostOnly": false, "storeId": null},
        {"name": "csrftoken", "value": "c", "domain": "www.instagram.com", "path": "/api",
         "expires": -1, "sameSite": "Lax"}
    ]"#;
    for file in [list.to_owned(), format!("{{\"cookies\": {list}, \"origins\": []}}")] {
        let record = one(file);
        assert_eq!(cookies(&record), [("sessionid", "s"), ("csrftoken", "c")]);
        assert_eq!(record.credentials.expires_at, Some(Timestamp::from_secs(1_826_787_600)));
        assert_eq!(record.credentials.cookies[1].expires_at, None);
        assert_eq!(record.credentials.cookies[1].path, "/api");
    }
    for (entry, want) in [
        ("[]", "it must be a JSON object"),
        (r#"{"name": "PLANTED"}"#, "value is missing"),
        (r#"{"value": "PLANTED"}"#, "name is missing"),
        (r#"{"name": "a", "value": 1, "note": "PLANTED"}"#, "value must be text"),
        (r#"{"name": "PLANTED=", "value": ""}"#, "name must be a cookie name"),
        (r#"{"name": "a", "value": "PLANTED\n"}"#, "value holds characters"),
        (r#"{"name": "a", "value": "", "path": "PLANTED"}"#, "path must start with /"),
        (r#"{"name": "a", "value": "", "expiry": "PLANTED"}"#, "expiry must be seconds"),
        (r#"{"name": "a", "value": "", "expiry": []}"#, "expiry must be seconds"),
    ] {
        let text = refusal(format!("[{{\"domain\": \"x\"}}, {entry}]")).to_string();
        assert!(text.starts_with("entry 2 of the JSON list of cookies: "), "{text}");
        assert!(text.contains(want), "{text}");
    }
    assert!(refusal("[]").to_string().contains("there is no sessionid cookie"));
}

#[test]
fn cookies_by_name_are_read() {
    let record = one(r#"{"sessionid": "s", "ds_user_id": 4200000001, "mid": "m"}"#);
    let all = [("ds_user_id", "4200000001"), ("mid", "m"), ("sessionid", "s")];
    assert_eq!(cookies(&record), all);
    assert_eq!(record.credentials.cookies[0].domain.as_deref(), Some("instagram.com"));
    for (file, want) in [
        (r#"{"sessionid": ""}"#, "the JSON cookies: the sessionid is empty"),
        (r#"{"sessionid": null, "a": "PLANTED"}"#, "must be text or a whole number"),
        (r#"{"sessionid": "PLANTED;"}"#, "the value of the cookie sessionid holds characters"),
        (r#"{"sessionid": "s", "PLANTED ": "x"}"#, "the name of a cookie must be a cookie name"),
    ] {
        let text = refusal(file).to_string();
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn settings_of_instagrapi_give_the_login_and_leave_the_device_alone() {
    let settings = r#"{
        "uuids": {"phone_id": "DEVICE", "uuid": "DEVICE", "android_device_id": "DEVICE"},
        "mid": "m", "ig_u_rur": "RVA,42,18:01f7", "ig_www_claim": "hmac.claim",
        "authorization_data": {"ds_user_id": "42", "sessionid": "42%3As",
            "should_use_header_over_cookies": true},
        "cookies": {"csrftoken": "c", "mid": "newer"},
        "last_login": 1795251600.5, "device_settings": {"model": "DEVICE", "app_version": "DEVICE"},
        "user_agent": "App 1.0 (phone)", "country": "US", "locale": "DEVICE"}"#;
    let import = read("main".into(), settings.as_bytes()).unwrap();
    assert_eq!(import.format, Format::InstagrapiSettings);
    let [record] = &import.sessions[..] else { panic!("one session") };
    assert_eq!(
        cookies(record),
        [
            ("sessionid", "42%3As"),
            ("ds_user_id", "42"),
            ("mid", "newer"),
            ("rur", "\"RVA\\05442\\05418:01f7\""),
            ("csrftoken", "c"),
        ]
    );
    assert_eq!(token(record, "www_claim"), Some("hmac.claim"));
    assert_eq!(record.credentials.tokens.len(), 1);
    assert_eq!(record.credentials.user_agent.as_deref(), Some("App 1.0 (phone)"));
    assert!(!format!("{record:?}").contains("DEVICE"));
    assert!(import.warnings[0].contains("session of the app"), "{:?}", import.warnings);

    // Older ones have cookies only, and a fresh one has nothing yet.
    assert_eq!(cookies(&one(r#"{"cookies": {"sessionid": "s"}, "mid": null}"#)).len(), 1);
    for (file, want) in [
        (r#"{"uuids": {}, "cookies": {}}"#, "there is no sessionid cookie"),
        (r#"{"uuids": {}, "authorization_data": "PLANTED"}"#, "authorization_data must be an obj"),
        (r#"{"uuids": {}, "authorization_data": {"sessionid": ["PLANTED"]}}"#, "sessionid must be"),
        (
            r#"{"uuids": {}, "cookies": {"sessionid": "s"}, "user_agent": "PLANTED\n"}"#,
            "user_agent",
        ),
        (r#"{"uuids": {}, "cookies": {"sessionid": "s"}, "mid": "PLANTED\n"}"#, "the cookie mid"),
    ] {
        let text = refusal(file).to_string();
        assert!(text.starts_with("the instagrapi settings: ") && text.contains(want), "{text}");
    }
}

#[test]
fn a_sessionid_per_line() {
    let decoded = BARE.replace("%3A", ":").replace("0001", "0002");
    let header = "Cookie: csrftoken=c; sessionid=4200000003%3Ax; mid=";
    let text = format!("# mine\n\n{BARE}\r\n\"{decoded}\"\n{header}\n{BARE}\n");
    let import = read("main".into(), text.as_bytes()).unwrap();
    let values: Vec<_> = import
        .sessions
        .iter()
        .map(|record| {
            let cookie = record.credentials.cookie("sessionid").unwrap();
            (record.id.as_str(), cookie.value.expose())
        })
        .collect();
    assert_eq!(
        values,
        [
            ("main", BARE),
            ("main-2", &BARE.replace("0001", "0002")[..]),
            ("main-3", "4200000003%3Ax"),
        ]
    );
    assert_eq!(import.sessions[2].credentials.cookie("csrftoken").unwrap().value.expose(), "c");
    assert_eq!(import.warnings, ["line 6 repeats an earlier one and was left out"]);

    for (line, want) in [
        ("4200000002%3APLANTED", "copy it whole"),
        ("PLANTED%3Acookie-value-that-is-long-enough", "it is no sessionid"),
        ("4200000002%3APLANTED;cookie-value-long-enough", "the value of the cookie sessionid"),
        ("sessionid=", "the sessionid is empty"),
        ("cookie: csrftoken=PLANTED", "there is no sessionid cookie"),
        ("graph:PLANTED", "graph:username:ig_user_id:access_token"),
        ("graph:PLANTED name:1:x", "the Graph token: username must be"),
        ("graph:tea_house:PLANTED:x", "ig_user_id must be 1 to 20 digits"),
        ("graph:tea_house:1:", "access_token must be printable ASCII"),
        ("x:PLANTED token", "the bearer token holds blanks"),
    ] {
        let text = refusal(format!("{BARE}\n{line}")).to_string();
        assert!(text.contains(want), "{text}");
    }
    let error = refusal(format!("{BARE}\n\nPLANTED"));
    assert_eq!((error.line_number(), error.format()), (Some(3), Some(Format::Lines)));
}

#[test]
fn tokens_of_official_apis() {
    let text = r#"[
        {"access_token": "EAAx", "ig_user_id": "17841400000000001", "username": "@Tea_House",
         "expires_at": "2027-01-01T00:00:00Z"},
        {"access_token": "IGAAx", "user_id": 17841400000000002, "username": "cafe",
         "issued_at": 1795251600, "expires_in": 5184000, "token_type": "bearer"},
        {"access_token": "EAAy", "ig_user_id": "3", "username": "bakery", "expires_in": 60,
         "login": "instagram"},
        {"x_bearer_token": "AAAA%2Fx%3D"},
        {"bearer_token": "AAAA%2Fx%3D"}
    ]"#;
    let import = read("main".into(), text.as_bytes()).unwrap();
    let [facebook, instagram, endless, x] = &import.sessions[..] else { panic!("four sessions") };
    assert_eq!(facebook.kind.as_str(), "instagram-graph");
    assert_eq!(facebook.account.as_deref(), Some("tea_house"));
    assert_eq!(token(facebook, "access_token"), Some("EAAx"));
    assert_eq!(token(facebook, "ig_user_id"), Some("17841400000000001"));
    assert_eq!(token(facebook, "login"), Some("facebook"));
    assert_eq!(token(facebook, "issued_at"), None);
    assert_eq!(facebook.credentials.expires_at, Some(Timestamp::from_secs(1_798_761_600)));

    assert_eq!(token(instagram, "login"), Some("instagram"));
    assert_eq!(token(instagram, "issued_at"), Some("1795251600"));
    assert_eq!(token(instagram, "ig_user_id"), Some("17841400000000002"));
    let end = Timestamp::from_secs(1_795_251_600 + 5_184_000);
    assert_eq!(instagram.credentials.expires_at, Some(end));

    assert_eq!(endless.credentials.expires_at, None);
    assert_eq!(token(endless, "login"), Some("instagram"));

    assert_eq!((x.kind.as_str(), x.id.as_str()), ("x-api", "main-4"));
    assert_eq!(token(x, "access_token"), Some("AAAA%2Fx%3D"));
    assert!(import.warnings[0].contains("expires_in counts from"), "{:?}", import.warnings);
    assert!(import.warnings[1].contains("entry 5 repeats"), "{:?}", import.warnings);

    let lines = "graph:tea_house:17841400000000001:EAAx\nx:AAAA%2Fx%3D\n";
    let lines = sessions("main".into(), lines.as_bytes()).unwrap();
    assert_eq!(lines[0].account.as_deref(), Some("tea_house"));
    assert_eq!(lines[1].credentials, x.credentials);

    for (file, want) in [
        (r#"{"access_token": "PLANTED", "ig_user_id": "1"}"#, "username is missing"),
        (r#"{"access_token": "PLANTED", "username": "a"}"#, "ig_user_id is missing"),
        (
            r#"{"access_token": "PLANTED x", "username": "a", "user_id": 1}"#,
            "access_token must be printable",
        ),
        (r#"{"access_token": ["PLANTED"]}"#, "access_token must be text"),
        (r#"{"access_token": "PLANTED", "username": "a", "user_id": 1.5}"#, "user_id must be"),
        (
            r#"{"access_token": "x", "username": "a", "user_id": 1, "expires_at": "PLANTED"}"#,
            "expires_at must be seconds since 1970, or a date",
        ),
        (
            r#"{"access_token": "x", "username": "a", "user_id": 1, "expires_in": "PLANTED"}"#,
            "expires_in must be a number",
        ),
        (
            r#"{"access_token": "x", "username": "a", "user_id": 1, "login": "PLANTED"}"#,
            "login must be facebook or instagram",
        ),
        (r#"{"bearer_token": ""}"#, "the bearer token is empty"),
        (
            r#"[{"bearer_token": "x"}, {"PLANTED": "x"}]"#,
            "entry 2 of the JSON tokens: there is nei",
        ),
    ] {
        let text = refusal(file).to_string();
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn a_format_can_be_asked_for() {
    let error = read_as(Format::Tokens, "main".into(), LOGIN.as_bytes()).unwrap_err();
    assert_eq!(error.format(), Some(Format::Tokens));
    let empty = read_as(Format::Lines, "main".into(), b"# none").unwrap_err();
    assert_eq!(empty.to_string(), "the list of sessions: there is no session in it");
    assert_eq!(
        read_as(Format::CookiesTxt, "a".into(), LOGIN.as_bytes()).unwrap().sessions.len(),
        1
    );
}

#[test]
fn the_examples_of_the_manual_are_read() {
    let manual = include_str!("../../../docs/SESSIONS.md");
    let examples = manual.split("```session\n").skip(1);
    let read = examples.map(|rest| {
        let example = rest.split("```").next().unwrap_or_default();
        let import = read("main".into(), example.as_bytes());
        import.unwrap_or_else(|error| panic!("{error}\n{example}")).format
    });
    let read: Vec<_> = read.collect();
    let missing: Vec<_> = Format::ALL.iter().filter(|format| !read.contains(format)).collect();
    assert_eq!(missing, [&Format::InstaloaderSession], "it is no text");
}

#[test]
fn labels_come_from_file_names() {
    for (name, want) in [
        ("main.json", "main"),
        ("tea.house", "tea.house"),
        ("session-", "session-"),
        ("session-a", "a"),
        (".txt", ".txt"),
        ("a\nb.txt", "a-b"),
    ] {
        assert_eq!(label(name).as_str(), want);
    }
}
