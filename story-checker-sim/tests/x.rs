//! The X API, without sockets.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use story_checker_sim::{
    Api, Effect, Limit, Plan, Platform, RequestFilter, Route, Rule, SimConfig, Timestamp,
    XAccountKind, XAccountScript, XLimits, XLink, XMedia, XProblemHost, XScriptedPost, XSettings,
    XSpelling, XTruthKind, numbered_name, row,
};

use crate::support::{NOON, ask, json as body, peer, platform};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const MEDIA: &str = "tweet.fields=created_at,author_id,attachments&expansions=attachments.media_keys&media.fields=media_key,type,url,preview_image_url,variants,width,height,duration_ms";

fn settings() -> XSettings {
    XSettings::new(2).with_mix(10, 10, 10).with_posting(80, 4.0, 50)
}

fn world(settings: XSettings) -> Platform {
    platform(SimConfig::new(9).with_x(settings))
}

fn get(platform: &Platform, token: usize, path: &str, now: Timestamp) -> Plan {
    let mut headers = HeaderMap::new();
    let token = format!("Bearer {}", platform.x_token(token).unwrap());
    headers.insert("authorization", HeaderValue::try_from(token).unwrap());
    ask(platform, &Method::GET, path, &headers, now, &peer())
}

fn ok(platform: &Platform, path: &str, now: Timestamp) -> Value {
    let plan = get(platform, 0, path, now);
    assert_eq!(plan.status, StatusCode::OK, "{path}: {:?}", plan.body);
    body(&plan)
}

fn is_row(plan: &Plan, id: &str) -> bool {
    let row = row(id).unwrap();
    plan.status == row.status && plan.body == row.body
}

/// All posts of all pages, and how many pages there were.
fn pages(platform: &Platform, path: &str, now: Timestamp) -> (Vec<Value>, usize) {
    let (mut posts, mut pages, mut next) = (Vec::new(), 0, String::new());
    loop {
        let answered = ok(platform, &format!("{path}{next}"), now);
        let data = answered["data"].as_array().cloned().unwrap_or_default();
        assert_eq!(answered["meta"]["result_count"], data.len());
        if let (Some(first), Some(last)) = (data.first(), data.last()) {
            assert_eq!(answered["meta"]["newest_id"], first["id"]);
            assert_eq!(answered["meta"]["oldest_id"], last["id"]);
        } else {
            // No posts: the key is absent, not empty.
            assert!(answered.get("data").is_none());
        }
        posts.extend(data);
        pages += 1;
        match answered["meta"]["next_token"].as_str() {
            Some(token) => next = format!("&pagination_token={token}"),
            None => return (posts, pages),
        }
    }
}

fn ids(posts: &[Value]) -> Vec<u64> {
    posts.iter().map(|post| post["id"].as_str().unwrap().parse().unwrap()).collect()
}

fn zulu(time: Timestamp) -> String {
    let hour = time.unix_secs() / 3600 % 24;
    let day = 21 + time.unix_secs() / 86_400 - NOON.unix_secs() / 86_400;
    format!("2026-11-{day:02}T{hour:02}:00:00Z")
}

#[test]
fn names_are_looked_up_one_by_one_and_together() {
    let platform = world(settings());
    let names: Vec<_> = (0..90).map(numbered_name).chain(["tea_house".into()]).collect();
    let path =
        format!("/2/users/by?usernames={}&user.fields=protected,created_at", names.join(","));
    let bulk = ok(&platform, &path, NOON);
    let mut statuses = BTreeSet::new();
    for name in &names {
        let kind = platform.x_truth(name, NOON, NOON).kind;
        let single =
            get(&platform, 0, &format!("/2/users/by/username/{name}?user.fields=protected"), NOON);
        let answered = body(&single);
        let mut found = bulk["data"].as_array().unwrap().iter();
        let found = found.find(|user| user["username"] == **name);
        let mut failed = bulk["errors"].as_array().unwrap().iter();
        let failed = failed.find(|error| error["value"] == **name);
        let error = if single.status == 404 { &answered } else { &answered["errors"][0] };
        match kind {
            XTruthKind::NotFound => {
                statuses.insert(single.status.as_u16());
                assert_eq!(error["title"], "Not Found Error");
                assert!(error["type"].as_str().unwrap().ends_with("/resource-not-found"));
                assert_eq!(failed.unwrap()["title"], "Not Found Error");
            }
            XTruthKind::Suspended => {
                assert!(error["detail"].as_str().unwrap().starts_with("User has been suspended"));
                assert!(failed.unwrap()["detail"].as_str().unwrap().contains("suspended"));
            }
            kind => {
                assert_eq!(answered["data"]["username"], **name);
                assert_eq!(answered["data"]["protected"], kind == XTruthKind::Protected);
                assert_eq!(found.unwrap()["id"], answered["data"]["id"]);
                assert!(found.unwrap()["created_at"].as_str().unwrap().ends_with(".000Z"));
            }
        }
        assert_ne!(found.is_some(), failed.is_some(), "{name}");
    }
    // Both ways of saying that nobody has a name.
    assert_eq!(statuses, BTreeSet::from([200, 404]));
    let many: Vec<_> = (0..101).map(numbered_name).collect();
    let many = get(&platform, 0, &format!("/2/users/by?usernames={}", many.join(",")), NOON);
    let no_name = get(&platform, 0, "/2/users/by?usernames=acct_000001,no-name", NOON);
    let long = get(&platform, 0, "/2/users/by/username/a234567890123456", NOON);
    for plan in [many, no_name, long] {
        assert_eq!(plan.status, StatusCode::BAD_REQUEST);
        assert_eq!(body(&plan)["title"], "Invalid Request");
        assert_eq!(plan.headers["content-type"], "application/problem+json");
    }
}

#[test]
fn timelines_say_what_is_true_over_days() {
    let platform = world(settings());
    let mut seen = std::collections::BTreeMap::new();
    for number in 0..80 {
        let name = numbered_name(number);
        for step in 0..3 {
            let now = NOON.saturating_add(HOUR * 9 * step);
            let since = now.saturating_sub(DAY);
            let truth = platform.x_truth(&name, since, now);
            *seen.entry(format!("{:?}", truth.kind)).or_insert(0) += 1;
            let id = 700_000_000 + number;
            let path = format!(
                "/2/users/{id}/tweets?max_results=5&exclude=replies,retweets&start_time={}&{MEDIA}",
                zulu(since)
            );
            if matches!(truth.kind, XTruthKind::Active | XTruthKind::NoPosts) {
                let (posts, _) = pages(&platform, &path, now);
                let shown: Vec<_> =
                    posts.into_iter().filter(|post| post["attachments"].is_object()).collect();
                let author = json!(id.to_string());
                assert!(shown.iter().all(|post| post["author_id"] == author));
                assert_eq!(ids(&shown), truth.posts.iter().map(|post| post.id).collect::<Vec<_>>());
                assert_eq!(truth.posts.is_empty(), truth.kind == XTruthKind::NoPosts);
                continue;
            }
            let answered = ok(&platform, &path, now);
            assert!(answered.get("data").is_none());
            let (title, kind) = match truth.kind {
                XTruthKind::Protected => ("Authorization Error", "not-authorized-for-resource"),
                XTruthKind::Suspended => ("Forbidden", "resource-not-found"),
                _ => ("Not Found Error", "resource-not-found"),
            };
            assert_eq!(answered["errors"][0]["title"], title);
            assert!(answered["errors"][0]["type"].as_str().unwrap().ends_with(kind));
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[test]
fn ids_are_as_old_as_their_posts() {
    let platform = world(settings());
    let mut count = 0;
    for number in 0..20 {
        let path = format!(
            "/2/users/{}/tweets?max_results=100&tweet.fields=created_at",
            700_000_000 + number
        );
        for post in ok(&platform, &path, NOON)["data"].as_array().into_iter().flatten() {
            let id: u64 = post["id"].as_str().unwrap().parse().unwrap();
            let secs = ((id >> 22) + 1_288_834_974_657) / 1000;
            assert!(secs <= NOON.unix_secs());
            let day =
                format!("{:02}:{:02}:{:02}.000Z", secs / 3600 % 24, secs / 60 % 60, secs % 60);
            assert!(post["created_at"].as_str().unwrap().ends_with(&day), "{post}");
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

/// A minute before noon, and so on.
fn minutes(before: u64) -> Timestamp {
    NOON.saturating_sub(Duration::from_secs(60 * before))
}

fn timeline(platform: &Platform, name: &str, rest: &str) -> Value {
    let id = platform.x_register([name])[0].unwrap();
    ok(platform, &format!("/2/users/{id}/tweets?{rest}"), NOON)
}

#[test]
fn media_comes_in_the_shape_of_its_kind() {
    let platform = world(settings().with_partial(0));
    let post = XScriptedPost::new(minutes(1), "steam")
        .with_media(XMedia::Photo)
        .with_media(XMedia::Video)
        .with_media(XMedia::AnimatedGif);
    let plain = XScriptedPost::new(minutes(2), "no steam");
    assert!(platform.set_x_account("tea_house", XAccountScript::posting([post, plain])));
    let answered = timeline(&platform, "Tea_House", MEDIA);
    let keys = answered["data"][0]["attachments"]["media_keys"].as_array().unwrap();
    let media = answered["includes"]["media"].as_array().unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().zip(media).all(|(key, media)| *key == media["media_key"]));
    let [photo, video, gif] = [&media[0], &media[1], &media[2]];
    assert_eq!([photo, video, gif].map(|m| m["type"].clone()), ["photo", "video", "animated_gif"]);
    assert_eq!([photo, video, gif].map(|m| m["url"].is_string()), [true, false, false]);
    assert_eq!(
        [photo, video, gif].map(|m| m["preview_image_url"].is_string()),
        [false, true, true]
    );
    let rates = |media: &Value| {
        let variants = media["variants"].as_array().unwrap().iter();
        variants.map(|variant| variant["bit_rate"].as_u64()).collect::<Vec<_>>()
    };
    // The best stands in the middle, and a playlist has no rate.
    assert_eq!(rates(video), [Some(632_000), None, Some(2_176_000), Some(950_000)]);
    assert_eq!(rates(gif), [Some(0)]);
    assert!(answered["data"][1].get("attachments").is_none());
    // Nobody asked: neither media nor times.
    let bare = timeline(&platform, "tea_house", "");
    let mut keys: Vec<_> =
        bare["data"][0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.retain(|key| !key.starts_with("edit_history"));
    assert_eq!((keys, bare.get("includes")), (vec!["id", "text"], None));
}

#[test]
fn what_is_excluded_leaves_short_pages() {
    let platform = world(settings());
    let mut posts: Vec<_> = (1..=12)
        .map(|minute| XScriptedPost::new(minutes(minute), "@a yes").with_link(XLink::Reply))
        .collect();
    posts.push(XScriptedPost::new(minutes(20), "steam").with_media(XMedia::Photo));
    posts.push(XScriptedPost::new(minutes(21), "RT @a: steam").with_link(XLink::Retweet));
    assert!(platform.set_x_account("tea_house", XAccountScript::posting(posts)));
    let id = platform.x_register(["tea_house"])[0].unwrap();
    let path = format!("/2/users/{id}/tweets?max_results=5&exclude=replies,retweets");
    let first = ok(&platform, &path, NOON);
    // Nothing to show, and yet it goes on.
    assert_eq!(first["meta"]["result_count"], 0);
    assert!(first["meta"]["next_token"].is_string() && first.get("data").is_none());
    let (posts, count) = pages(&platform, &path, NOON);
    assert_eq!((posts.len(), count), (1, 3));
    let (posts, _) = pages(&platform, &path.replace("replies,", ""), NOON);
    assert_eq!(posts.len(), 13);
    let (posts, _) = pages(&platform, &path.replace("&exclude=replies,retweets", ""), NOON);
    assert_eq!(posts.len(), 14);
    assert_eq!(platform.x_truth("tea_house", minutes(60), NOON).posts.len(), 1);
}

#[test]
fn ids_and_times_bound_what_is_shown() {
    let platform = world(settings());
    let post = |minute| XScriptedPost::new(minutes(minute), format!("number {minute}"));
    assert!(platform.set_x_account("tea_house", XAccountScript::posting((1..=5).map(post))));
    let all = ids(timeline(&platform, "tea_house", "")["data"].as_array().unwrap());
    assert!(all.is_sorted_by(|newer, older| newer > older));
    let count = |rest: &str| timeline(&platform, "tea_house", rest)["meta"]["result_count"].clone();
    assert_eq!(count(&format!("since_id={}", all[2])), 2);
    assert_eq!(count(&format!("until_id={}", all[2])), 2);
    assert_eq!(count(&format!("since_id={}&until_id={}", all[4], all[0])), 3);
    // From its start on, and before its end.
    assert_eq!(count("start_time=2026-11-21T11:57:00Z"), 3);
    assert_eq!(count("start_time=2026-11-21T11:57:00.500Z"), 2);
    assert_eq!(count("end_time=2026-11-21T11:57:00Z"), 2);
    assert_eq!(count(&format!("since_id={}", all[0])), 0);
    let id = platform.x_register(["tea_house"])[0].unwrap();
    for wrong in [
        "max_results=4",
        "max_results=101",
        "since_id=x",
        "start_time=today",
        "exclude=all",
        "tweet.fields=soul",
        "expansions=soul",
        "pagination_token=b26v",
    ] {
        let plan = get(&platform, 0, &format!("/2/users/{id}/tweets?{wrong}"), NOON);
        let name = wrong.split_once('=').unwrap().0;
        assert_eq!(plan.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(body(&plan)["errors"][0]["parameters"][name].is_array(), "{wrong}");
    }
    let never_seen = (1u64 << 46) + 5;
    let missing = ok(&platform, &format!("/2/users/{never_seen}/tweets"), NOON);
    assert_eq!(missing["errors"][0]["title"], "Not Found Error");
}

#[test]
fn the_search_finds_what_is_true() {
    let platform = world(settings());
    for query in [
        "#tea has:media -is:retweet",
        "from:acct_000003 OR from:acct_000004 OR from:acct_000777",
        "(#tea OR #rain) has:media -is:reply",
        "\"before breakfast\"",
    ] {
        let encoded = query.replace('#', "%23").replace(' ', "+").replace('"', "%22");
        let path = format!("/2/tweets/search/recent?query={encoded}&max_results=10&{MEDIA}");
        let (posts, count) = pages(&platform, &path, NOON);
        let truth = platform.x_search_truth(query, Timestamp::default(), NOON).unwrap();
        let media: Vec<_> =
            posts.iter().filter(|post| post["attachments"].is_object()).cloned().collect();
        assert_eq!(
            ids(&media),
            truth.posts.iter().map(|post| post.id).collect::<Vec<_>>(),
            "{query}"
        );
        assert!(count > 1, "{query}: {count} pages");
        assert!(posts.iter().all(|post| !post["text"].as_str().unwrap().starts_with("RT ")));
    }
    let nobody = platform.x_search_truth("#nobody_says_this", Timestamp::default(), NOON).unwrap();
    assert_eq!(nobody.kind, XTruthKind::NoPosts);
    let empty = ok(&platform, "/2/tweets/search/recent?query=%23nobody_says_this", NOON);
    assert_eq!(empty, json!({ "meta": { "result_count": 0 } }));
}

#[test]
fn the_search_stays_behind_and_forgets() {
    let platform = world(settings());
    let at = |secs| NOON.saturating_sub(Duration::from_secs(secs));
    let post = |secs| XScriptedPost::new(at(secs), "#onlyhere").with_media(XMedia::Photo);
    let week = 7 * 86_400;
    let posts = [post(29), post(30), post(week), post(week + 1)];
    assert!(platform.set_x_account("tea_house", XAccountScript::posting(posts)));
    let found = ok(&platform, "/2/tweets/search/recent?query=%23onlyhere", NOON);
    assert_eq!(found["meta"]["result_count"], 2);
    let truth = platform.x_search_truth("#onlyhere", Timestamp::default(), NOON).unwrap();
    assert_eq!(truth.posts.len(), 2);
    // The timeline is up to date.
    assert_eq!(timeline(&platform, "tea_house", "")["meta"]["result_count"], 4);
    let mut hidden = XAccountScript::posting([post(40)]);
    hidden.kind = XAccountKind::Protected;
    assert!(platform.set_x_account("tea_house", hidden));
    assert_eq!(
        ok(&platform, "/2/tweets/search/recent?query=from:tea_house", NOON)["meta"]["result_count"],
        0
    );
    for wrong in [
        "query=has:media",
        "query=",
        "query=%23tea&max_results=9",
        "query=%23tea&start_time=2026-11-14T11:59:59Z",
        "query=%23tea&sort_order=fame",
    ] {
        let plan = get(&platform, 0, &format!("/2/tweets/search/recent?{wrong}"), NOON);
        assert_eq!(plan.status, StatusCode::BAD_REQUEST, "{wrong}");
        let kind = body(&plan)["type"].as_str().unwrap().to_owned();
        assert!(kind.ends_with("/invalid-request"), "{wrong}");
    }
    assert!(platform.x_search_truth("has:media", NOON, NOON).is_none());
}

#[test]
fn it_speaks_two_dialects() {
    let spoken = |settings: XSettings| {
        let platform = world(settings);
        let reply = XScriptedPost::new(minutes(1), "@a yes").with_link(XLink::Reply);
        assert!(platform.set_x_account("tea_house", XAccountScript::posting([reply])));
        let mut words = BTreeSet::new();
        for _ in 0..20 {
            let answered = timeline(&platform, "tea_house", "post.fields=referenced_posts");
            let post = answered["data"][0].as_object().unwrap();
            words.extend(
                post.keys().filter(|key| key.contains("post") || key.contains("tweet")).cloned(),
            );
            let missing = ok(&platform, "/2/users/70368744177669/tweets", NOON);
            let kind = missing["errors"][0]["type"].as_str().unwrap();
            words.insert(kind.split('/').nth(2).unwrap().to_owned());
        }
        words.into_iter().collect::<Vec<_>>()
    };
    let old = settings().with_dialect(XSpelling::Tweet, XProblemHost::Twitter);
    assert_eq!(spoken(old), ["api.twitter.com", "edit_history_tweet_ids", "referenced_tweets"]);
    let new = settings().with_dialect(XSpelling::Post, XProblemHost::X);
    assert_eq!(spoken(new), ["api.x.com", "edit_history_post_ids", "referenced_posts"]);
    assert_eq!(spoken(settings()).len(), 6);
}

#[test]
fn media_can_be_missing_from_what_is_included() {
    let platform = world(settings().with_partial(100));
    let post = XScriptedPost::new(minutes(1), "steam").with_media(XMedia::Photo);
    assert!(platform.set_x_account("tea_house", XAccountScript::posting([post])));
    let answered = timeline(&platform, "tea_house", MEDIA);
    let key = &answered["data"][0]["attachments"]["media_keys"][0];
    assert_eq!(answered["errors"][0]["resource_id"], *key);
    assert_eq!(answered["errors"][0]["resource_type"], "media");
    assert!(answered.get("includes").is_none());
    assert_eq!(platform.x_truth("tea_house", minutes(2), NOON).kind, XTruthKind::Active);
}

fn limits(requests: u32) -> XLimits {
    XLimits::all(Limit::new(NonZeroU32::new(requests).unwrap(), Duration::from_secs(900)))
}

#[test]
fn windows_count_down_per_token_and_endpoint() {
    let platform = world(settings().with_limits(limits(3)));
    let path = "/2/users/by?usernames=acct_000001";
    let left = |plan: &Plan| {
        let number = |name: &str| plan.headers[name].to_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(number("x-rate-limit-limit"), 3);
        (number("x-rate-limit-remaining"), number("x-rate-limit-reset") - NOON.unix_secs())
    };
    let first = NOON.saturating_add(Duration::from_millis(10_400));
    for remaining in [2, 1, 0] {
        let plan = get(&platform, 0, path, first);
        // A window is never over before it says so.
        assert_eq!((plan.status, left(&plan)), (StatusCode::OK, (remaining, 911)));
    }
    let mut bodies = BTreeSet::new();
    for _ in 0..12 {
        let plan = get(&platform, 0, path, NOON.saturating_add(Duration::from_secs(100)));
        assert_eq!((plan.status, left(&plan)), (StatusCode::TOO_MANY_REQUESTS, (0, 911)));
        bodies.insert(String::from_utf8(plan.body.to_vec()).unwrap());
    }
    let forms = ["X429-window", "X429-window-88", "X429-window-plain"];
    assert_eq!(bodies, forms.map(|id| row(id).unwrap().body.to_owned()).into());
    assert_eq!(platform.audit().limits_broken, 12);
    // Another token, another endpoint, another window.
    assert_eq!(left(&get(&platform, 1, path, first)).0, 2);
    assert_eq!(left(&get(&platform, 0, "/2/users/by/username/acct_000001", first)).0, 2);
    let next = NOON.saturating_add(Duration::from_secs(911));
    assert_eq!(left(&get(&platform, 0, path, next)), (2, 911 + 900));
}

#[test]
fn the_cap_on_posts_is_not_a_window() {
    let platform = world(settings().with_usage_cap(7));
    let post = |minute| XScriptedPost::new(minutes(minute), "steam");
    assert!(platform.set_x_account("tea_house", XAccountScript::posting((1..=5).map(post))));
    for _ in 0..2 {
        assert_eq!(timeline(&platform, "tea_house", "")["meta"]["result_count"], 5);
    }
    let id = platform.x_register(["tea_house"])[0].unwrap();
    let plan = get(&platform, 1, &format!("/2/users/{id}/tweets"), NOON);
    assert!(is_row(&plan, "X429-cap"));
    assert!(plan.headers["x-rate-limit-remaining"].to_str().unwrap().parse::<u32>().unwrap() > 100);
    // Nothing announced it, but once told nobody should ask again.
    assert_eq!(platform.audit().limits_broken, 0);
    assert!(is_row(&get(&platform, 0, &format!("/2/users/{id}/tweets"), NOON), "X429-cap"));
    assert_eq!(platform.audit().limits_broken, 1);
}

#[test]
fn a_token_must_be_known_and_can_be_refused() {
    let platform = world(settings());
    let path = "/2/users/by?usernames=acct_000001";
    for headers in [None, Some("Bearer AAAA"), Some("Basic abc")] {
        let mut map = HeaderMap::new();
        map.extend(
            headers.map(|text| (http::header::AUTHORIZATION, HeaderValue::from_static(text))),
        );
        assert!(is_row(&ask(&platform, &Method::GET, path, &map, NOON, &peer()), "X401"));
    }
    assert!(platform.set_x_token(0, Some("X402"), Some(NOON.saturating_add(HOUR))));
    assert_eq!(get(&platform, 0, path, NOON).status, StatusCode::OK);
    assert!(is_row(&get(&platform, 0, path, NOON.saturating_add(HOUR)), "X402"));
    assert_eq!(get(&platform, 1, path, NOON.saturating_add(HOUR)).status, StatusCode::OK);
    assert!(platform.set_x_token(1, Some("X403-326"), None));
    for after_challenge in [0, 1, 2] {
        assert!(is_row(&get(&platform, 1, path, NOON), "X403-326"));
        assert_eq!(platform.audit().requests_after_challenge, after_challenge);
    }
    assert_eq!(platform.x_token_row(1, NOON), Some("X403-326"));
    assert!(!platform.set_x_token(2, None, None));
    assert_eq!(platform.x_token(2), None);
    let records = platform.requests(&RequestFilter::new().with_session(1), 1);
    assert_eq!(records[0].route, Route::XUsersBy);
    assert_eq!(get(&platform, 1, "/2/users/7/likes", NOON).status, StatusCode::FORBIDDEN);
    assert!(platform.set_x_token(1, None, None));
    assert_eq!(get(&platform, 1, "/2/users/7/likes", NOON).status, StatusCode::NOT_FOUND);
}

#[test]
fn a_seed_says_it_all() {
    let [first, second] = [world(settings()), world(settings())];
    let other = platform(SimConfig::new(10).with_x(settings()));
    assert_eq!(first.x_token(0), second.x_token(0));
    assert_ne!(first.x_token(0), other.x_token(0));
    let mut differences = 0;
    for number in 0..50 {
        let path = format!("/2/users/{}/tweets?{MEDIA}", 700_000_000 + number);
        assert_eq!(get(&first, 0, &path, NOON).body, get(&second, 0, &path, NOON).body);
        let truth =
            |platform: &Platform| platform.x_truth(&numbered_name(number), minutes(9999), NOON);
        assert_eq!(truth(&first), truth(&second));
        differences += usize::from(truth(&first) != truth(&other));
    }
    assert!(differences > 25, "{differences}");
}

#[test]
fn a_script_is_taken_back() {
    let platform = world(settings());
    let seeded = platform.x_truth("acct_000001", minutes(9999), NOON);
    for (kind, expected) in [
        (XAccountKind::Public, XTruthKind::NoPosts),
        (XAccountKind::Protected, XTruthKind::Protected),
        (XAccountKind::Suspended, XTruthKind::Suspended),
        (XAccountKind::NotFound, XTruthKind::NotFound),
    ] {
        assert!(platform.set_x_account("acct_000001", XAccountScript::new(kind)));
        assert_eq!(platform.x_truth("acct_000001", minutes(9999), NOON).kind, expected);
    }
    assert!(platform.reset_x_account("acct_000001"));
    assert_eq!(platform.x_truth("acct_000001", minutes(9999), NOON), seeded);
    assert!(!platform.set_x_account("no-name", XAccountScript::new(XAccountKind::Public)));
}

#[test]
fn the_catalogue_of_the_x_api_is_complete() {
    let ids = "X429-window X429-cap X402 X401 X401-32 X403-unsupported-auth X403-not-enrolled \
               X403-user-suspended X403-326 X400 X404 X-unavailable X-not-authorized X-hydration \
               X-field X500 X502 X503 X504 X130 X131 Xplain";
    for id in ids.split_whitespace() {
        let row = row(id).unwrap_or_else(|| panic!("{id} is missing"));
        let status = id[1..].split('-').next().unwrap().parse::<u16>();
        let is_status = |status: u16| status == 130 || status == 131 || status == row.status;
        assert!(status.is_ok_and(is_status) || matches!(row.status, 200 | 503), "{id}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = |settings: XSettings| Platform::new(SimConfig::new(1).with_x(settings)).is_ok();
    assert!(new(XSettings::new(1).with_mix(50, 25, 25)));
    assert!(!new(XSettings::new(1).with_mix(50, 25, 26)));
    assert!(!new(XSettings::new(1).with_posting(50, 49.0, 50)));
    assert!(!new(XSettings::new(1).with_posting(50, f64::NAN, 50)));
    assert!(!new(XSettings::new(1).with_posting(101, 1.0, 50)));
    assert!(!new(XSettings::new(1).with_partial(101)));
    assert!(!new(XSettings::new(2_000_000)));
}

#[test]
fn a_rule_can_give_any_row_and_what_it_says_stays_true() {
    let platform = world(settings());
    let once = |id: &str| Rule::new(Effect::Row(id.into())).with_api(Api::X).with_times(1);
    let path = "/2/users/by?usernames=acct_000001";
    let at = |secs| NOON.saturating_add(Duration::from_secs(secs));
    for id in ["X503", "X429-window-88"] {
        platform.add_rule(once(id).with_session(0)).unwrap();
    }
    assert_eq!(get(&platform, 1, path, NOON).status, StatusCode::OK);
    assert!(is_row(&get(&platform, 0, path, NOON), "X503"));
    let told = get(&platform, 0, path, NOON);
    assert!(is_row(&told, "X429-window-88"));
    let reset = (NOON.unix_secs() + 30).to_string();
    assert_eq!(told.headers["x-rate-limit-reset"], *reset);
    assert_eq!(platform.audit().limits_broken, 0);
    assert_eq!(get(&platform, 0, path, at(29)).status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(platform.audit().limits_broken, 1);
    assert_eq!(get(&platform, 0, path, at(30)).status, StatusCode::OK);
    platform.add_rule(once("X403-user-suspended")).unwrap();
    for after_challenge in [0, 1] {
        assert!(is_row(&get(&platform, 0, path, at(30)), "X403-user-suspended"));
        assert_eq!(platform.audit().requests_after_challenge, after_challenge);
    }
    assert_eq!(get(&platform, 1, path, at(30)).status, StatusCode::OK);
}
