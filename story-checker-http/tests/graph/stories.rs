//! What a token shows of its own account.

use story_checker_core::{Class, MediaKind, Scope, Timestamp, Verdict};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, ResponseTemplate};

use super::{DAY, NOTHING, Office, STORIES, facts, of, page, story, token};
use crate::support::{json, now};

#[tokio::test]
async fn an_active_account_with_its_items() {
    let office = Office::new().await;
    let stories = [story(2, now() - 100), story(1, now() - 200), story(3, now() - 90_000)];
    Mock::given(method("GET"))
        .and(path(format!("/facebook{STORIES}")))
        .and(header("authorization", "Bearer PLANTED-access-token"))
        .and(header("accept", "application/json"))
        .respond_with(json(200, page(&stories, "Qg", false)))
        .mount(&office.server)
        .await;
    let report = office.check("Tea_House").await.unwrap();
    assert_eq!(report.verdict, Verdict::Active);
    let ids: Vec<_> = report.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(report.items[0].expires_at.unwrap().since(report.items[0].taken_at), DAY);
    assert_eq!(report.items[0].media.len(), 2);
    assert_eq!(report.items[0].kind, MediaKind::Video);
    let evidence = &report.evidence;
    assert_eq!(evidence.subject.as_deref(), Some("17841400000000001"));
    assert!(evidence.server_time.is_some() && !evidence.weak);
    assert_eq!((&*evidence.requests[0].route, evidence.requests[0].status), ("stories", 200));
    assert!(facts(&report).contains("lists 2 stories of this account"), "{}", facts(&report));
    assert!(facts(&report).contains("1 items had ended"), "{}", facts(&report));
    assert_eq!(
        office.seen().await,
        [format!(
            "/facebook{STORIES}?fields=id,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,username&limit=100"
        )]
    );
}

#[tokio::test]
async fn no_story_is_weak_and_says_what_the_api_never_shows() {
    let office = Office::new().await;
    office.stories(json(200, NOTHING)).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert!(report.evidence.weak && report.evidence.server_time.is_some());
    let facts = facts(&report);
    assert!(facts.contains("live and re-shared stories are never shown"), "{facts}");
    assert!(facts.contains("accepted the account's own token"), "{facts}");
}

#[tokio::test]
async fn withheld_media_is_still_a_story() {
    let office = Office::new().await;
    let withheld = story(1, now() - 100).replace("media_url", "x").replace("thumbnail_url", "y");
    office.stories(json(200, page(&[withheld], "Qg", false))).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::Active);
    assert!(report.items[0].media.is_empty());
    assert!(facts(&report).contains("item 1 comes without its file"), "{}", facts(&report));
}

#[tokio::test]
async fn the_servers_time_decides_what_has_ended() {
    let office = Office::new().await;
    let later = Timestamp::from_secs(now()) + DAY;
    let answer = json(200, page(&[story(1, now() - 100)], "Qg", false))
        .insert_header("date", httpdate::fmt_http_date(later.into()));
    office.stories(answer).await;
    let report = office.check("tea_house").await.unwrap();
    assert_eq!(report.verdict, Verdict::NoStory);
    assert!(facts(&report).contains("1 items had ended"), "{}", facts(&report));
}

#[tokio::test]
async fn what_is_incomplete_foreign_or_odd_is_no_answer() {
    let good = story(1, now() - 100);
    for (body, scope) in [
        ("{}".to_owned(), Scope::Endpoint),
        (r#"{"data":null}"#.to_owned(), Scope::Endpoint),
        (r#"{"data":{}}"#.to_owned(), Scope::Endpoint),
        ("[[]]".to_owned(), Scope::Endpoint),
        (r#"{"data":[]"#.to_owned(), Scope::Endpoint),
        (page(&["{}".to_owned()], "Qg", false), Scope::Endpoint),
        (page(&[good.replace("timestamp", "time")], "Qg", false), Scope::Endpoint),
        (page(&[good.replace("\"username\"", "\"user\"")], "Qg", false), Scope::Endpoint),
        (
            page(&[good.replace("\"tea_house\"", "\"other\""), good.clone()], "Qg", false),
            Scope::Session,
        ),
    ] {
        let office = Office::new().await;
        office.stories(json(200, body.clone())).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, scope), "{body}: {fault}");
        assert_eq!(fault.evidence.unwrap().requests.len(), 1);
    }
}

#[tokio::test]
async fn pages_are_followed_by_cursor_and_never_by_the_link_with_the_token() {
    let office = Office::with(token(), |config| config.page_size = 2).await;
    let route = format!("/facebook{STORIES}");
    let stories = |answer: ResponseTemplate, after: Option<&'static str>| {
        let mock =
            Mock::given(method("GET")).and(path(route.clone())).and(query_param("limit", "2"));
        let mock = match after {
            Some(after) => mock.and(query_param("after", after)),
            None => mock.and(query_param_is_missing("after")),
        };
        mock.respond_with(answer).mount(&office.server)
    };
    let taken = now() - 100;
    stories(json(200, page(&[story(3, taken), story(2, taken)], "Qg&x", true)), None).await;
    stories(json(200, page(&[story(2, taken), story(1, taken)], "Qh", true)), Some("Qg&x")).await;
    stories(json(200, page(&[], "Qh", false)), Some("Qh")).await;
    let report = office.check("tea_house").await.unwrap();
    let ids: Vec<_> = report.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(report.evidence.requests.len(), 3);
    assert_eq!(office.seen().await.len(), 3);
}

#[tokio::test]
async fn pages_without_end_or_place_prove_stories_but_never_their_absence() {
    let live = [story(1, now() - 100)];
    let without_place =
        r#"{"data":[DATA],"paging":{"next":"https://x.test/?access_token=PLANTED"}}"#;
    for (first, requests) in
        [(page(&["DATA".to_owned()], "Qg", true), 2), (without_place.to_owned(), 1)]
    {
        let office = Office::new().await;
        office.stories(json(200, first.replace("DATA", ""))).await;
        let fault = office.check("tea_house").await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, Scope::Endpoint), "{fault}");
        assert_eq!(office.seen().await.len(), requests);

        let office = Office::new().await;
        office.stories(json(200, first.replace("DATA", &live[0]))).await;
        let report = office.check("tea_house").await.unwrap();
        assert_eq!((report.verdict.as_str(), report.items.len()), ("active", 1));
        assert!(report.evidence.facts.iter().any(|fact| fact.contains("some items are missing")));
    }

    let office = Office::with(token(), |config| config.max_pages = 1.try_into().unwrap()).await;
    office.stories(json(200, page(&[], "Qg", true))).await;
    let fault = office.check("tea_house").await.unwrap_err();
    assert!(fault.message.contains("max_pages"), "{fault}");
    assert_eq!(office.seen().await.len(), 1);
}

#[tokio::test]
async fn the_version_is_part_of_the_address() {
    let office = Office::with(token(), |config| config.version = "v26.1".to_owned()).await;
    office.answer("/facebook/v26.1/17841400000000001/stories", json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
}
