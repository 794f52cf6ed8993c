//! Session files of instaloader: pickles, of which only texts are read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use story_checker_fuzz::seeds;
use story_checker_http::import::{self, Format};

/// Python's operations that import or run something: none of them stands where one is read.
const CODE: &[u8] = b"cio\x81\x82\x83\x84\x92\x93RbPQ";

fuzz_target!(
    init: seeds::plant(seeds::pickles),
    |file: &[u8]| match import::read_as(Format::InstaloaderSession, "main".into(), file) {
        Ok(import) => {
            assert_eq!(import.sessions.len(), 1);
            let cookies = &import.sessions[0].credentials.cookies;
            assert!(cookies.iter().any(|cookie| cookie.name == "sessionid"));
            // Texts are taken from the file, never made.
            let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
            let told = |text: &str| text.is_empty() || holds(text);
            assert!(cookies.iter().all(|it| told(&it.name) && told(it.value.expose())));
            assert!(!CODE.contains(file.get(2).unwrap_or(&b'}')), "code was read");
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
);
