//! Damaged files never panic, and what is accepted is still a session.

use std::collections::BTreeSet;

use super::super::pickle;
use super::pickles::SAMPLES;
use super::*;

/// One valid file of each format, and of each protocol of pickles.
pub(super) fn samples() -> Vec<(Format, Vec<u8>)> {
    let texts = [
        (
            Format::CookiesTxt,
            "# Netscape HTTP Cookie File\n#HttpOnly_.instagram.com\tTRUE\t/\tTRUE\t1826787600\tsessionid\tPLANTED\n.instagram.com\tTRUE\t/\tTRUE\t0\tcsrftoken\tPLANTED\n",
        ),
        (
            Format::CookieList,
            r#"[{"name":"sessionid","value":"PLANTED","domain":".instagram.com","path":"/","expirationDate":1826787600.2},{"name":"mid","value":"PLANTED","domain":"www.instagram.com","expires":-1}]"#,
        ),
        (Format::CookieObject, r#"{"sessionid":"PLANTED","ds_user_id":4200000001,"mid":""}"#),
        (
            Format::InstagrapiSettings,
            r#"{"uuids":{"uuid":"x"},"mid":"PLANTED","ig_u_rur":"PLANTED,1","ig_www_claim":"PLANTED","authorization_data":{"ds_user_id":"42","sessionid":"PLANTED"},"cookies":{"csrftoken":"PLANTED"},"user_agent":"App"}"#,
        ),
        (
            Format::Lines,
            "4200000001%3APLANTED%3A12%3Acookie-value\nsessionid=PLANTED; mid=PLANTED\ngraph:tea_house:42:PLANTED\nx:PLANTED\n",
        ),
        (
            Format::Tokens,
            r#"[{"access_token":"PLANTED","ig_user_id":"42","username":"a","issued_at":1795251600,"expires_in":60},{"bearer_token":"PLANTED"}]"#,
        ),
    ];
    let texts = texts.into_iter().map(|(format, text)| (format, text.as_bytes().to_vec()));
    let pickles = SAMPLES.iter().map(|sample| (Format::InstaloaderSession, sample.file.to_vec()));
    texts.chain(pickles).collect()
}

/// A small random number generator: a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    /// Cuts, changes, repeats, moves and removes bytes.
    fn damage(&mut self, file: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(file.len());
            let end = (at + self.below(12)).min(file.len());
            let byte = u8::try_from(self.below(256)).unwrap();
            match self.below(6) {
                0 => file.truncate(at),
                1 => file.insert(at, byte),
                2 => drop(file.drain(at..end)),
                3 => {
                    let part = file[at..end].to_vec();
                    let to = self.below(file.len());
                    file.splice(to..to, part);
                }
                _ => file.get_mut(at).into_iter().for_each(|old| *old = byte),
            }
        }
    }
}

fn is_a_login(record: &SessionRecord) -> bool {
    match record.kind.as_str() {
        "instagram-graph" => {
            record.account.is_some() && token(record, "access_token").is_some_and(|t| !t.is_empty())
        }
        "x-api" => token(record, "access_token").is_some_and(|token| !token.is_empty()),
        _ => {
            let login = record.credentials.cookie("sessionid");
            login.is_some_and(|cookie| !cookie.value.expose().is_empty())
        }
    }
}

/// Damages files of these formats 100,000 times each; recognised or not, they go to their reader.
fn endure(formats: &[Format]) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for format in formats {
        let samples: Vec<_> = samples().into_iter().filter(|(of, _)| of == format).collect();
        let mut accepted = 0_u32;
        for round in 0..100_000 {
            let mut file = samples[round % samples.len()].1.clone();
            random.damage(&mut file);
            let import = if round % 2 == 0 {
                read("main".into(), &file)
            } else {
                read_as(*format, "main".into(), &file)
            };
            match import {
                Ok(import) => {
                    accepted += 1;
                    let text = String::from_utf8_lossy(&file);
                    assert!(!import.sessions.is_empty(), "{text}");
                    assert!(import.sessions.iter().all(is_a_login), "{text}");
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(!text.contains("PLANTED") && !text.contains('\n'), "{text}");
                }
            }
        }
        assert!((100..99_900).contains(&accepted), "{format}: {accepted} tell nothing");
    }
}

#[test]
fn damaged_pickles() {
    endure(&[Format::InstaloaderSession]);
}

#[test]
fn damaged_lines_and_cookies_txt() {
    endure(&[Format::CookiesTxt, Format::Lines]);
}

#[test]
fn damaged_json_of_cookies() {
    endure(&[Format::CookieList, Format::CookieObject]);
}

#[test]
fn damaged_json_of_tools() {
    endure(&[Format::InstagrapiSettings, Format::Tokens]);
}

#[test]
fn sessions_of_instaloader_are_read_whatever_the_protocol() {
    let all: BTreeSet<_> =
        SAMPLES.iter().map(|sample| pickle::read(sample.file).unwrap()).collect();
    assert_eq!(all.len(), 1, "the protocols say the same");
    let record = one(SAMPLES[3].file);
    assert_eq!(
        cookies(&record),
        [
            ("csrftoken", "PLANTED-csrf"),
            ("sessionid", "4200000001%3APLANTED%3A12%3Acookie-value"),
            ("ds_user_id", "4200000001"),
            ("mid", "PLANTED-mid"),
            ("ig_pr", "1"),
            ("ig_vw", "1"),
            ("s_network", ""),
            ("rur", "\"RVA\\0544200000001\\0541826787600:PLANTED\""),
        ]
    );
    // A dictionary of one entry is set alone.
    assert_eq!(pickle::read(b"\x80\x02}X\x01\0\0\0aX\x01\0\0\0bs.").unwrap(), [("a", "b")]);
}

#[test]
fn every_other_operation_is_refused_at_every_place() {
    let known = b"}(suXqrhj.\x8c\x8d\x94\x95";
    for sample in &SAMPLES {
        for (index, &at) in sample.operations.iter().enumerate().skip(1) {
            for byte in (0..=u8::MAX).filter(|byte| !known.contains(byte)) {
                let mut replaced = sample.file.to_vec();
                replaced[at] = byte;
                let mut inserted = sample.file.to_vec();
                inserted.insert(at, byte);
                for file in [replaced, inserted] {
                    let error = refusal(file);
                    assert_eq!(
                        error.offset(),
                        Some(at),
                        "operation {index} as 0x{byte:02x}: {error}"
                    );
                    assert!(error.to_string().contains("the operation "), "{error}");
                }
            }
        }
        // Whatever stands anywhere: no panic, and nothing but texts.
        for at in 0..sample.file.len() {
            for byte in 0..=u8::MAX {
                let mut file = sample.file.to_vec();
                file[at] = byte;
                if let Ok(entries) = pickle::read(&file) {
                    assert!(entries.len() <= 8);
                }
            }
        }
    }
}

#[test]
fn code_is_refused_by_name() {
    for (file, at, name) in [
        (&b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R."[..], 2, "GLOBAL"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", 14, "STACK_GLOBAL"),
        (b"\x80\x02}R.", 3, "REDUCE"),
        (b"\x80\x02}b.", 3, "BUILD"),
        (b"\x80\x02}\x81.", 3, "NEWOBJ"),
        (b"\x80\x02(ios\nsystem\n.", 3, "INST"),
        (b"\x80\x02\x82\x01.", 2, "EXT1"),
    ] {
        let error = refusal(file);
        let text = error.to_string();
        assert_eq!(error.offset(), Some(at), "{text}");
        assert!(text.contains(&format!("operation {name}: this file wants to run code")), "{text}");
    }
}

#[test]
fn pickles_of_other_shapes_are_refused() {
    let entry = b"X\x01\0\0\0aX\x01\0\0\0b";
    let huge: &[u8] = &[b"\x80\x04\x8d".as_slice(), &(1_u64 << 60).to_le_bytes()].concat();
    let marks = [b"\x80\x02".as_slice(), &[b'('; 500_000]].concat();
    let puts = [b"\x80\x04}".as_slice(), &[0x94; 500_000]].concat();
    let many = [b"\x80\x02}".as_slice(), &[&entry[..], b"s"].concat().repeat(2_000)].concat();
    for (file, want) in [
        (huge, "larger than any session"),
        (b"\x80\x02X\xff\xff\xff\xff", "larger than any session"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}.", "ends too early"),
        (&marks, "larger than any session"),
        (&puts, "larger than any session"),
        (&many, "larger than any session"),
        (b"\x80", "ends too early"),
        (b"\x80\x01}.", "protocol is none of 2 to 5"),
        (b"\x80\x06}.", "protocol is none of 2 to 5"),
        (b"\x80\x02.", "not one flat dictionary"),
        (b"\x80\x02}}.", "not one flat dictionary"),
        (b"\x80\x02}(.", "not one flat dictionary"),
        (b"\x80\x02}q\0X\x01\0\0\0ah\0s.", "not one flat dictionary"),
        (b"\x80\x02}(X\x01\0\0\0au.", "not one flat dictionary"),
        (b"\x80\x02}s.", "not one flat dictionary"),
        (b"\x80\x02}u.", "not one flat dictionary"),
        (b"\x80\x02(q\0.", "not one flat dictionary"),
        (b"\x80\x02}K\x01.", "the operation BININT1: it is not one flat dictionary"),
        (b"\x80\x02}\x80\x02.", "the operation PROTO: it is not one flat dictionary"),
        (b"\x80\x02}\xff.", "the operation 0xff is unknown"),
        (b"\x80\x02h\x07.", "refers to something it does not hold"),
        (b"\x80\x02X\x01\0\0\0\xff.", "a text is not UTF-8"),
        (b"\x80\x02}.PLANTED", "more after the end"),
        (b"\x80\x02}.", "there is no sessionid cookie"),
    ] {
        let text = refusal(file).to_string();
        assert!(text.contains("of the instaloader session: ") || text.starts_with("the insta"));
        assert!(text.contains(want), "{text}");
    }
}
