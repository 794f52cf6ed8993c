//! Nothing planted comes out anywhere.

use crate::support::*;

#[tokio::test]
async fn no_planted_secret_in_logs_errors_and_debug_texts() {
    let world = World::new().await;
    let set = json(200, profile(42, "a"))
        .insert_header("x-ig-set-www-claim", "PLANTED-claim")
        .insert_header("set-cookie", "rur=PLANTED-rur; Path=/");
    world.profile_of("a", set).await;
    let echo = r#"{"message":"PLANTED-session","PLANTED-key":"PLANTED-value","status":"fail"}"#;
    world.profile_of("b", json(400, echo)).await;
    let page = wiremock::ResponseTemplate::new(200).set_body_raw("PLANTED-page", "text/html");
    world.profile_of("c", page).await;
    world.answer(REELS, json(200, reels(&[(42, vec![story(1, 42, now() - 60)])]))).await;

    let mut texts = Vec::new();
    for names in [&["a"][..], &["a", "b"], &["c"]] {
        let cx = world.context();
        for answer in world.check_in(names, &cx).await {
            match answer {
                Ok(mut report) => {
                    // The address of a file is signed: it is the answer, and nothing else may tell.
                    report.items.clear();
                    texts.push(format!("{report:?}"));
                }
                Err(fault) => {
                    let evidence = serde_json::to_string(&fault.evidence).unwrap();
                    texts.push(format!("{fault} {fault:?} {evidence}"));
                }
            }
        }
        texts.push(format!("{cx:?} {:?} {}", world.checker, world.checker));
    }
    let dead = proxy(format!("http://PLANTED-user:PLANTED-password@{}", nobody().await));
    let cx = world.context().with_proxy(dead);
    texts.extend(world.check_in(&["d"], &cx).await.into_iter().map(|answer| format!("{answer:?}")));

    let log = log().text();
    for needed in
        ["request starts", "request ended", "request headers", "answer", "a new kind of error"]
    {
        assert!(log.contains(needed), "the log does not show: {needed}");
    }
    assert!(log.contains("cookie: [redacted]"));
    let planted = |line: &&str| line.contains("PLANTED") || line.contains("UExBTlRFR");
    // wiremock and the server half of hyper are not ours.
    let ours = |line: &&str| !line.contains(" wiremock");
    let leaks: Vec<_> = log.lines().filter(ours).filter(planted).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    for text in &texts {
        assert!(!text.contains("PLANTED"), "{text}");
    }
}
