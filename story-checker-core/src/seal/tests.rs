use std::error::Error as _;
use std::fs;

use proptest::prelude::proptest;

use super::*;
use crate::clock::Timestamp;
use crate::session::{Cookie, Credentials};

const ONE: &str = "one:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const TWO: &str = "two:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn ring(lines: &[&str]) -> Keyring {
    Keyring::parse(&lines.join("\n")).unwrap()
}

/// An error with all its causes, as text.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}

fn credentials() -> Credentials {
    let mut cookie = Cookie::new("sessionid", "PLANTED \"quoted\" \u{1f36a} cookie");
    cookie.domain = Some("instagram.com".to_owned());
    cookie.expires_at = Some(Timestamp::from_millis(1_800_000_000_123));
    let mut credentials = Credentials::from_cookies(vec![cookie, Cookie::new("csrftoken", "")]);
    credentials.tokens.insert("access_token".to_owned(), "PLANTED-token".into());
    credentials.user_agent = Some("Mozilla/5.0".to_owned());
    credentials.expires_at = Some(Timestamp::from_secs(1_800_000_000));
    credentials
}

#[test]
fn credentials_come_back_as_they_were_and_cannot_be_read_without_the_key() {
    let keys = ring(&[ONE]);
    for value in [credentials(), Credentials::default()] {
        let sealed = keys.seal_credentials(&"main".into(), &value).unwrap();
        assert_eq!(keys.open_credentials(&"main".into(), &sealed).unwrap(), value);
        for plain in ["PLANTED", "sessionid", "Mozilla"] {
            assert!(!sealed.windows(plain.len()).any(|part| part == plain.as_bytes()));
        }
    }
}

#[test]
fn sealing_the_same_twice_gives_different_bytes() {
    let keys = ring(&[ONE]);
    assert_ne!(keys.seal("here", b"same").unwrap(), keys.seal("here", b"same").unwrap());
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let keys = ring(&[ONE, TWO]);
    let sealed = keys.seal_credentials(&"main".into(), &credentials()).unwrap();
    for place in 0..sealed.len() {
        for bit in [1, 0x80] {
            let mut changed = sealed.clone();
            changed[place] ^= bit;
            let error = keys.open_credentials(&"main".into(), &changed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {place}");
            assert!(!chain(&error).contains("PLANTED"));
        }
        let error = keys.open_credentials(&"main".into(), &sealed[..place]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {place}");
    }
    let longer = [sealed.as_slice(), b"x"].concat();
    assert!(keys.open_credentials(&"main".into(), &longer).is_err());
}

#[test]
fn credentials_of_one_session_do_not_open_for_another() {
    let keys = ring(&[ONE]);
    let sealed = keys.seal_credentials(&"main".into(), &credentials()).unwrap();
    let error = keys.open_credentials(&"other".into(), &sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains("session/other") && text.contains("belongs elsewhere"), "{text}");
}

#[test]
fn a_missing_key_is_named() {
    let sealed = ring(&[ONE]).seal("here", b"x").unwrap();
    let text = ring(&[TWO]).open("here", &sealed).unwrap_err().to_string();
    assert!(text.contains("the key `one`") && text.contains("(there: two)"), "{text}");
}

#[test]
fn another_key_of_the_same_id_does_not_open() {
    let sealed = ring(&[ONE]).seal("here", b"x").unwrap();
    let other = TWO.replace("two", "one");
    assert!(ring(&[&other]).open("here", &sealed).is_err());
}

#[test]
fn a_new_key_in_front_seals_and_the_old_one_opens() {
    let old = ring(&[ONE]);
    let both = ring(&[TWO, ONE]);
    let sealed = old.seal("here", b"x").unwrap();
    assert!(old.is_current(&sealed) && !both.is_current(&sealed));
    let again = both.seal("here", &both.open("here", &sealed).unwrap()).unwrap();
    assert!(both.is_current(&again));
    assert_eq!(ring(&[TWO]).open("here", &again).unwrap().as_slice(), b"x");
    assert!(old.open("here", &again).is_err());
    assert!(!both.is_current(b"") && !both.is_current(b"{}"));
}

#[test]
fn what_is_not_sealed_is_told_from_what_is() {
    let text = ring(&[ONE]).open("here", br#"{"cookies":[]}"#).unwrap_err().to_string();
    assert!(text.contains("its format is 123"), "{text}");
}

#[test]
fn what_was_sealed_but_is_no_credentials_is_corrupt_and_not_quoted() {
    let keys = ring(&[ONE]);
    for text in ["", "{", r#"{"cookies":"PLANTED","tokens":{}}"#, r#"{"tokens":{"a":["PLANTED"]}}"#]
    {
        let sealed = keys.seal("session/main", text.as_bytes()).unwrap();
        let error = keys.open_credentials(&"main".into(), &sealed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!chain(&error).contains("PLANTED"), "{}", chain(&error));
    }
}

#[test]
fn keys_are_read_with_comments_and_divided_by_lines_or_commas() {
    let lines = ring(&["# new", TWO, "", &format!("  {ONE}  # old")]);
    let line = ring(&[&format!("{TWO}, {ONE}")]);
    assert_eq!(lines.ids().collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(line.ids().collect::<Vec<_>>(), ["two", "one"]);
    let sealed = lines.seal("here", b"x").unwrap();
    assert!(line.open("here", &sealed).is_ok());
    // The same key in the other notation.
    let hex: String = (0x20..0x40).map(|byte| format!("{byte:02X}")).collect();
    assert!(ring(&[&format!("two:{hex}")]).open("here", &sealed).is_ok());
}

#[test]
fn bad_keys_are_refused_by_line_and_not_quoted() {
    let (_, planted) = ONE.split_once(':').unwrap();
    let cases = [
        ("# only a comment\n", "there is no key"),
        (planted, "line 1: `id:key` is expected"),
        (&format!("{ONE}\n{planted}:two"), "line 2: the id before `:`"),
        (&format!("two:{}", &planted[2..]), "line 1: the key after `:` must be 32 bytes"),
        (&format!("two:{planted}00"), "line 1: the key after `:` must be 32 bytes"),
        (&format!("two:{}", planted.replace("1f", "1g")), "line 1: the key after `:`"),
        (&format!("{ONE}\n\n{ONE}"), "line 3: the id `one` is there twice"),
        (&format!("{ONE}\ntwo:{planted}"), "line 2: `two` is the same key"),
        ("a b:x", "line 1: the id before `:`"),
        (":x", "line 1: the id before `:`"),
    ];
    for (text, expected) in cases {
        let error = Keyring::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!chain(&error).contains(&planted[8..16]), "{}", chain(&error));
    }
}

#[test]
fn debug_shows_ids_only() {
    let keys = ring(&[ONE, TWO]);
    assert_eq!(format!("{keys:?}"), r#"["one", "two"]"#);
    let line = Keyring::generate().unwrap();
    assert_eq!(format!("{line:?}"), "[redacted]");
}

#[test]
fn made_keys_are_new_each_time() {
    let (one, two) = (Keyring::generate().unwrap(), Keyring::generate().unwrap());
    let keys = ring(&[one.expose(), two.expose()]);
    assert_eq!(keys.ids().count(), 2);
}

#[test]
fn a_key_file_is_made_once_read_by_its_owner_and_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let made = Keyring::create_file(&path).unwrap();
    let sealed = made.seal("here", b"x").unwrap();
    assert!(Keyring::from_file(&path).unwrap().open("here", &sealed).is_ok());

    let before = fs::read(&path).unwrap();
    let error = Keyring::create_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("exists"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let renewed = Keyring::renew_file(&path).unwrap();
    assert!(!renewed.is_current(&sealed));
    let read = Keyring::from_file(&path).unwrap();
    assert_eq!(read.ids().collect::<Vec<_>>(), renewed.ids().collect::<Vec<_>>());
    assert!(read.open("here", &sealed).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap().matches('#').count(), 2);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    Keyring::create_file(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o644, 0o640, 0o602, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Keyring::from_file(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains(&format!("mode {mode:o}")) && text.contains("chmod 600"), "{text}");
        assert!(Keyring::renew_file(&path).is_err());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Keyring::from_file(&path).is_ok());
}

#[test]
fn a_key_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Keyring::from_file(folder.path().join("missing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("missing"), "{error}");

    let path = folder.path().join("keys");
    Keyring::create_file(&path).unwrap();
    fs::write(&path, "PLANTED").unwrap();
    let error = Keyring::from_file(&path).unwrap_err();
    let text = chain(&error);
    assert!(text.contains("keys") && text.contains("line 1"), "{text}");
    assert!(!text.contains("PLANTED"), "{text}");
    assert!(Keyring::create_file(folder.path().join("no/folder")).is_err());
}

#[test]
fn a_variable_that_is_not_set_is_no_key_ring() {
    assert!(Keyring::from_env("STORY_CHECKER_TEST_NOT_SET").unwrap().is_none());
    // Always set by cargo, and no key.
    let error = Keyring::from_env("CARGO_MANIFEST_DIR").unwrap_err();
    assert!(error.to_string().contains("$CARGO_MANIFEST_DIR"), "{error}");
}

/// Appendix A.3.1 of draft-irtf-cfrg-xchacha-03: the cipher is the one that it says it is.
#[test]
fn the_vector_of_the_draft() {
    let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for \
                  the future, sunscreen would be it.";
    let key: [u8; 32] = std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap());
    let nonce: [u8; NONCE] = std::array::from_fn(|index| 0x40 + u8::try_from(index).unwrap());
    let aad = &[0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let key = Key { id: "draft".to_owned(), bytes: Zeroizing::new(key) };
    let sealed = key.cipher().encrypt(&nonce.into(), Payload { msg: plain, aad }).unwrap();
    assert_eq!(sealed[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
    assert_eq!(
        sealed[sealed.len() - TAG..],
        [
            0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a,
            0xcf, 0x49
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_come_back(context: String, bytes: Vec<u8>) {
        let keys = ring(&[ONE]);
        let sealed = keys.seal(&context, &bytes).unwrap();
        assert_eq!(*keys.open(&context, &sealed).unwrap(), bytes);
    }

    #[test]
    fn foreign_bytes_never_open_and_never_panic(sealed: Vec<u8>) {
        assert!(ring(&[ONE]).open("here", &sealed).is_err());
        assert!(!ring(&[ONE]).is_current(&sealed) || sealed.starts_with(b"\x01one:"));
    }
}
