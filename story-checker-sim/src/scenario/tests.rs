use http::{HeaderMap, Method, Uri};

use super::*;

fn apply(rules: &mut Rules, path: &str, draw: u64) -> Outcome {
    let (uri, headers): (Uri, _) = (path.parse().unwrap(), HeaderMap::new());
    let request = Request::new(&Method::GET, &uri, &headers);
    let facts = Facts {
        request: &request,
        api: Api::of(&request),
        route: Route::of(&request),
        session: Some(0),
        proxy: None,
        now: Timestamp::from_unix_secs(100),
        draw,
    };
    rules.apply(&facts)
}

#[test]
fn the_mix_knows_its_answers() {
    assert_eq!(mix::missing(), [""; 0]);
}

#[test]
fn the_mix_draws_everything_and_lasting_faults_as_rarely_as_asked() {
    let mut rules = Rules::new(1);
    rules.add(Rule::mix(100.0), Vec::new()).unwrap();
    let mut labels = std::collections::BTreeMap::new();
    for draw in 0..40_000 {
        for label in apply(&mut rules, "/api/v1/feed/reels_media/?reel_ids=1", draw).labels {
            *labels.entry(label.to_string()).or_insert(0u32) += 1;
        }
    }
    assert_eq!(labels.values().sum::<u32>(), 40_000);
    for label in [
        "mix: row W1",
        "mix: row W14-sentry",
        "mix: form foreign_reel",
        "mix: delivery cut_at",
        "mix: delivery hang",
        "mix: oversized",
        "mix: content_type",
        "mix: delay_ms",
        "mix: row T-captive",
    ] {
        assert!(labels[label] > 300, "{label}: {labels:?}");
    }
    let lasting: u32 =
        ["W3", "W3-400", "W4", "W5", "W6", "W6-redirect", "W8", "W9", "W9-suspended"]
            .iter()
            .chain(&["W10", "W11", "W12", "W19"])
            .map(|id| labels.get(&format!("mix: row {id}")).copied().unwrap_or(0))
            .sum();
    assert!((300..500).contains(&lasting), "{lasting}");
}

#[test]
fn the_same_seed_draws_the_same() {
    let draws = |seed| -> Vec<usize> {
        let mut rules = Rules::new(seed);
        rules.add(Rule::row("W1").with_percent(30.0), Vec::new()).unwrap();
        (0..1000).map(|draw| apply(&mut rules, "/", draw).labels.len()).collect()
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
    let hits: usize = draws(1).into_iter().sum();
    assert!((250..350).contains(&hits), "{hits}");
}

#[test]
fn the_first_rule_has_its_way_and_others_fill_in() {
    let mut rules = Rules::new(1);
    for rule in [
        Rule::row("W1"),
        Rule::row("W2"),
        Rule::new(Effect::DelayMs(5)),
        Rule::new(Effect::DelayMs(7)).with_name("slow"),
        Rule::new(Effect::Delivery(Delivery::Chunked)),
    ] {
        rules.add(rule, Vec::new()).unwrap();
    }
    let outcome = apply(&mut rules, "/", 0);
    assert_eq!(outcome.row.unwrap().id, "W1");
    assert_eq!(outcome.delay_ms, 12);
    assert_eq!(outcome.delivery, Some(Delivery::Chunked));
    let labels: Vec<_> = outcome.labels.iter().map(AsRef::as_ref).collect();
    assert_eq!(labels, ["row W1", "delay_ms", "slow", "delivery chunked"]);
    let hits: Vec<_> = rules.status().iter().map(|status| status.hits).collect();
    assert_eq!(hits, [1, 0, 1, 1, 1]);
}

#[test]
fn a_fault_of_connections_hits_open_ones_only_if_it_is_certain() {
    let proxy = ProxyId::new(3);
    let now = Timestamp::from_unix_secs(100);
    let mut rules = Rules::new(1);
    let mut count = |rule: Rule, connecting| {
        rules.clear();
        rules.add(rule, Vec::new()).unwrap();
        (0..1000).filter(|_| rules.apply_to_proxy(proxy, now, connecting).is_some()).count()
    };
    let refuse = Rule::new(Effect::Proxy(ProxyFault::Refuse));
    assert_eq!(count(refuse.clone(), true), 1000);
    assert_eq!(count(refuse.clone(), false), 1000);
    assert!((400..600).contains(&count(refuse.clone().with_percent(50.0), true)));
    assert_eq!(count(refuse.clone().with_percent(50.0), false), 0);
    assert_eq!(count(refuse.with_proxy(ProxyId::new(4)), true), 0);
    let wall = Rule::new(Effect::Proxy(ProxyFault::Wall));
    assert_eq!(count(wall.clone(), true), 0);
    assert_eq!(count(wall.with_times(7), false), 7);
    // One fault in eight is left to the proxies, four of nine hit their connections.
    assert!((20..100).contains(&count(Rule::mix(100.0), true)));
    assert_eq!(count(Rule::mix(100.0).with_route(Route::Reels), true), 0);
}

#[test]
fn rules_are_json_and_back() {
    for (json, label) in [
        (r#"{"effect":{"row":"W1"}}"#, "row W1"),
        (
            r#"{"route":"reels","target":"tea_house","percent":20,"effect":{"form":"reel_null"}}"#,
            "form reel_null",
        ),
        (r#"{"effect":{"delivery":"hang"}}"#, "delivery hang"),
        (r#"{"effect":{"delivery":{"cut_at":{"bytes":9,"announced":false}}}}"#, "delivery cut_at"),
        (r#"{"effect":{"content_type":"text/plain"}}"#, "content_type"),
        (r#"{"effect":{"oversized":1000}}"#, "oversized"),
        (r#"{"effect":{"delay_ms":20}}"#, "delay_ms"),
        (r#"{"session":1,"times":1,"effect":{"session":"challenged"}}"#, "session challenged"),
        (r#"{"proxy":2,"from":1,"until":9,"effect":{"proxy":"refuse"}}"#, "proxy refuse"),
        (r#"{"effect":{"proxy":{"slow":{"ms":5}}}}"#, "proxy slow"),
        (r#"{"percent":5,"effect":{"mix":{}}}"#, "mix"),
    ] {
        let rule = parse_rules(json.as_bytes()).unwrap().remove(0);
        assert_eq!(rule.effect.label(), label);
        let again = serde_json::to_vec(&[&rule]).unwrap();
        assert_eq!(parse_rules(&again).unwrap(), [rule]);
    }
    let error = parse_rules(br#"{"efect":{"row":"W1"}}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field `efect`"), "{error}");
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let mut rules = Rules::new(1);
    let mut add = |rule| rules.add(rule, Vec::new()).unwrap_err().to_string();
    assert!(add(Rule::row("W99")).contains("\"W99\""));
    assert!(add(Rule::row("W1").with_percent(101.0)).contains("0 to 100"));
    assert!(add(Rule::mix(f64::NAN)).contains("0 to 100"));
    assert!(add(Rule::new(Effect::Mix { lasting: -1.0 })).contains("0 to 100"));
    assert!(add(Rule::new(Effect::ContentType("a\nb".into()))).contains("content type"));
    assert!(add(Rule::new(Effect::Oversized(1 << 40))).contains("at most 67108864"));
    let proxy = Rule::new(Effect::Proxy(ProxyFault::Wall));
    assert!(add(proxy.with_route(Route::Reels)).contains("does not know"));
    assert!(rules.status().is_empty());
}
