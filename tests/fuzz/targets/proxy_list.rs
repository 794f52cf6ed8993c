//! Lists of proxies.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use story_checker_core::proxy::{InvalidProxyList, ProxyUrl, read_list};
use story_checker_fuzz::seeds;

fuzz_target!(
    init: seeds::plant(seeds::proxy_lists),
    |list: &[u8]| {
        let Ok(text) = std::str::from_utf8(list) else { return };
        match read_list(text) {
            Ok(proxies) => {
                assert!(!proxies.is_empty());
                let ids: HashSet<_> = proxies.iter().map(|proxy| proxy.id()).collect();
                assert_eq!(ids.len(), proxies.len(), "two proxies of one name");
                for proxy in &proxies {
                    let url = proxy.url();
                    assert!(!url.host().is_empty() && url.port() > 0);
                    // What is shown has no password, and leads to the same door.
                    let shown: ProxyUrl = url.to_string().parse().expect("it reads what it writes");
                    assert!(shown.credentials().is_none());
                    let door = |url: &ProxyUrl| (url.scheme(), url.host().to_owned(), url.port());
                    assert_eq!(door(&shown), door(url));
                }
            }
            Err(InvalidProxyList::Line { line, .. }) => assert!(line <= text.lines().count()),
            Err(_) => {}
        }
    }
);
