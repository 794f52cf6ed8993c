//! Accounts that gave no token.

use story_checker_core::{Class, Scope, Verdict};
use wiremock::Mock;
use wiremock::matchers::{header, path, query_param};

use super::{ME, NOTHING, Office, error, facts, of, token};
use crate::support::json;

#[tokio::test]
async fn an_account_without_a_token_is_left_to_others() {
    let office = Office::new().await;
    let fault = office.check("other").await.unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");
    assert!(fault.message.starts_with("no token of this account: "), "{fault}");
    assert!(fault.message.contains("import a token of other"), "{fault}");
    assert!(office.seen().await.is_empty());
}

#[tokio::test]
async fn a_look_up_tells_whether_the_account_exists() {
    let office = Office::with(token(), |config| config.discover = true).await;
    let found = |name: &str| {
        json(
            200,
            format!(
                r#"{{"business_discovery":{{"id":"178","username":"{name}","media_count":3}},"id":"1"}}"#
            ),
        )
    };
    for (name, answer) in [
        ("there", found("There")),
        ("gone", error(110, Some(2_207_013))),
        ("odd", found("somebody")),
        ("bare", json(200, "{}")),
        ("unknown", error(110, None)),
    ] {
        let fields = format!("business_discovery.username({name}){{id,username,media_count}}");
        Mock::given(path(format!("/facebook{ME}")))
            .and(query_param("fields", fields))
            .and(header("authorization", "Bearer PLANTED-access-token"))
            .respond_with(answer)
            .mount(&office.server)
            .await;
    }
    let fault = office.check("there").await.unwrap_err();
    assert_eq!(of(&fault), (Class::Permanent, Scope::Target), "{fault}");
    assert!(fault.message.contains("it exists and is a professional one"), "{fault}");
    assert_eq!(fault.evidence.unwrap().subject.as_deref(), Some("178"));

    let report = office.check("gone").await.unwrap();
    assert_eq!(report.verdict, Verdict::NotFound);
    assert!(report.evidence.weak);
    let facts = facts(&report);
    assert!(
        facts.contains("not found or not a professional account: the two look the same"),
        "{facts}"
    );

    for name in ["odd", "bare", "unknown"] {
        let fault = office.check(name).await.unwrap_err();
        assert_eq!(of(&fault), (Class::Malformed, Scope::Endpoint), "{name}: {fault}");
    }
    assert_eq!(office.seen().await.len(), 5);
    // Its own token is not asked to look itself up.
    office.stories(json(200, NOTHING)).await;
    office.check("tea_house").await.unwrap();
}
