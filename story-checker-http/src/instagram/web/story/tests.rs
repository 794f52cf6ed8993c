use super::super::{parse_reels, parse_tray, parse_user_story};
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_300_000);
const EMPTY: Sighting = Sighting::Empty { expired: 0, broadcast: false };

fn sighting(reel: &str) -> Sighting {
    let body = format!(r#"{{"reels":{{"42":{reel}}},"status":"ok"}}"#);
    parse_reels(body.as_bytes()).unwrap().sighting("42", NOW)
}

fn items(reel: &str) -> Vec<Item> {
    match sighting(reel) {
        Sighting::Live { items, .. } => items,
        other => panic!("{reel}: {other:?}"),
    }
}

#[test]
fn live_items_are_sorted_and_counted_once() {
    let items = items(
        r#"{"id":42,"user":{"pk":"42"},"items":[
            {"pk":"3","id":"3_42","taken_at":1795299000,"expiring_at":1795385400,"media_type":1},
            {"pk":2,"id":"2_42","taken_at":1795251600},
            {"id":"3_42","taken_at":1795299000},
            {"pk":"1","taken_at":1795200000,"expiring_at":1795286400},
            {"pk":"4","taken_at":1795299500,"expiring_at":1795300000}]}"#,
    );
    let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["2", "3"]);
    assert_eq!(items[0].expires_at, Some(Timestamp::from_secs(1_795_338_000)));
}

#[test]
fn media_is_sorted_by_size_and_files_are_listed_once() {
    let items = items(
        r#"{"items":[{"pk":"1","taken_at":1795299000,"media_type":2,"original_media_type":1,
            "video_duration":9.5,
            "image_versions2":{"candidates":[{"width":10,"height":10,"url":"i1"},
                {"width":"1080","height":1920,"url":"i2\u0026x"},{"width":1,"height":1}]},
            "video_versions":[{"type":101,"width":10,"height":10,"url":"v1"},
                {"type":102,"width":20,"height":20,"url":"v2"},{"type":103,"url":"v1"}]}]}"#,
    );
    let media: Vec<_> = items[0].media.iter().map(|file| (file.kind, &*file.url)).collect();
    let (image, video) = (MediaKind::Image, MediaKind::Video);
    assert_eq!(media, [(video, "v2"), (video, "v1"), (image, "i2&x"), (image, "i1")]);
    assert_eq!(items[0].kind, MediaKind::Video);
    assert_eq!(items[0].duration, Some(Duration::from_millis(9_500)));
}

#[test]
fn a_picture_as_video_is_noted_and_missing_media_is_still_a_story() {
    let reel =
        r#"{"items":[{"pk":"1","taken_at":1795299000,"media_type":2,"original_media_type":1}]}"#;
    let Sighting::Live { items, notes } = sighting(reel) else { panic!() };
    assert_eq!(notes, ["item 1 is a picture that comes as a video"]);
    assert!(items[0].media.is_empty());
}

#[test]
fn without_live_items_it_is_empty_or_unclear() {
    assert_eq!(sighting(r#"{"id":"42","items":[]}"#), EMPTY);
    assert_eq!(
        sighting(r#"{"items":[{"pk":"1","taken_at":1795200000}],"media_count":1}"#),
        Sighting::Empty { expired: 1, broadcast: false }
    );
    for reel in [
        "null",
        "{}",
        r#"{"items":null}"#,
        r#"{"items":null,"media_count":0}"#,
        r#"{"items":null,"media_count":1,"user":{"pk":43}}"#,
        r#"{"items":[],"broadcast":{"broadcast_owner":{"pk":43}}}"#,
        r#"{"__typename":["GraphHighlightReel"],"items":[{"pk":"1","taken_at":1795299000}]}"#,
        r#"{"__typename":"GraphHighlightReel","items":[{"pk":"1","taken_at":1795299000}]}"#,
        r#"{"id":"43","items":[]}"#,
        r#"{"id":"42","reel_type":"highlight_reel","items":[{"pk":"1","taken_at":1795299000}]}"#,
        r#"{"reel_type":"archive_day_reel","items":[]}"#,
        r#"{"items":[{"pk":"1","id":"1_43","taken_at":1795299000}]}"#,
        r#"{"items":[{"pk":"1","user":{"pk":43},"taken_at":1795299000}]}"#,
        r#"{"user":{"id":"43"},"items":[{"pk":"1","taken_at":1795299000}]}"#,
        r#"{"items":[{"pk":"1"}]}"#,
        r#"{"items":[{"taken_at":1795299000}]}"#,
    ] {
        assert!(matches!(sighting(reel), Sighting::Unclear(_)), "{reel}");
    }
}

#[test]
fn an_account_that_is_not_in_the_answer_is_empty() {
    let answer = parse_reels(
        br#"{"reels":{"highlight:42":{"items":[{"pk":"1","taken_at":1795299000}]}},"status":"ok"}"#,
    )
    .unwrap();
    assert_eq!(answer.sighting("42", NOW), EMPTY);
    assert!(answer.proves_session());
    assert!(
        !parse_reels(br#"{"reels":{"1":{"items":[]},"2":null},"status":"ok"}"#)
            .unwrap()
            .proves_session()
    );
}

#[test]
fn a_reel_without_its_items_is_a_stub() {
    let recent = 1_795_299_000;
    for (reel, claims_story, latest) in [
        (r#"{"items":null,"media_count":2}"#, true, 0),
        (r#"{"media_count":2,"latest_reel_media":1795100000}"#, true, 0),
        (r#"{"latest_reel_media":1795299000}"#, true, recent),
        // There was one more than a day ago.
        (r#"{"latest_reel_media":1795100000,"media_count":0}"#, false, 0),
        (r#"{"items":[],"media_count":2}"#, true, 0),
        (r#"{"items":[],"latest_reel_media":1795299000}"#, true, recent),
        (r#"{"items":[{"pk":"1","taken_at":1795200000}],"media_count":2}"#, true, 0),
        // What has ended is older than the one that there should be.
        (
            r#"{"items":[{"pk":"1","taken_at":1795200000}],"latest_reel_media":1795299000}"#,
            true,
            recent,
        ),
    ] {
        let latest = Timestamp::from_secs(latest);
        assert_eq!(sighting(reel), Sighting::Stub { claims_story, latest }, "{reel}");
    }
    // The newest is there, and ended before its day was over.
    assert_eq!(
        sighting(
            r#"{"items":[{"pk":"1","taken_at":1795299000,"expiring_at":1795300000}],
                "latest_reel_media":1795299000}"#
        ),
        Sighting::Empty { expired: 1, broadcast: false }
    );
    assert_eq!(sighting(r#"{"items":[],"latest_reel_media":1795100000}"#), EMPTY);
    // What is there is there, whatever is missing.
    assert_eq!(items(r#"{"items":[{"pk":"1","taken_at":1795299000}],"media_count":2}"#).len(), 1);
}

#[test]
fn a_broadcast_is_no_story_and_is_told() {
    let broadcast = Sighting::Empty { expired: 0, broadcast: true };
    assert_eq!(sighting(r#"{"items":[],"broadcast":{"id":"9"}}"#), broadcast);
    assert_eq!(
        sighting(r#"{"broadcast":{"broadcast_owner":{"pk":42}},"media_count":0}"#),
        broadcast
    );
    let both = r#"{"items":[{"pk":"1","taken_at":1795299000}],"broadcast":{}}"#;
    let Sighting::Live { notes, .. } = sighting(both) else { panic!() };
    assert_eq!(notes, [BROADCASTS]);
}

#[test]
fn items_for_close_friends_are_noted() {
    let reel = r#"{"items":[{"pk":"1","taken_at":1795299000,"audience":"besties"},{"pk":"2","taken_at":1795299000,"audience":null}]}"#;
    let Sighting::Live { notes, .. } = sighting(reel) else { panic!() };
    assert_eq!(notes, ["item 1 is shown to close friends only"]);
}

#[test]
fn graphql_items_have_other_fields() {
    let body = r#"{"data":{"reels_media":[{"__typename":"GraphReel","id":"42","latest_reel_media":1795299000,
        "user":{"id":"42","username":"a"},"owner":{"__typename":"GraphUser","id":"42"},"items":[
        {"__typename":"GraphStoryVideo","id":"7","is_video":true,"taken_at_timestamp":1795299100,
         "expiring_at_timestamp":1795385500,"video_duration":3.5,"owner":{"id":"42"},
         "display_resources":[{"src":"i1","config_width":640,"config_height":1136},{"src":"i2","config_width":1080,"config_height":1920}],
         "video_resources":[{"src":"v","config_width":720,"config_height":1280,"mime_type":"video/mp4"}]},
        {"__typename":"GraphStoryImage","id":"6","is_video":false,"taken_at_timestamp":1795299000,
         "display_resources":[{"src":"j","config_width":1080,"config_height":1920}],"owner":{"id":"42"}},
        {"id":"5","taken_at_timestamp":1795200000,"expiring_at_timestamp":1795286400}]}]},"status":"ok"}"#;
    let answer = parse_reels(body.as_bytes()).unwrap();
    let Sighting::Live { items, notes } = answer.sighting("42", NOW) else { panic!() };
    assert!(notes.is_empty());
    let seen: Vec<_> = items.iter().map(|item| (&*item.id, item.kind, item.media.len())).collect();
    assert_eq!(seen, [("6", MediaKind::Image, 1), ("7", MediaKind::Video, 3)]);
    assert_eq!(items[1].media[1].url, "i2");
    assert_eq!((items[1].media[0].width, items[1].media[0].height), (720, 1280));
    assert_eq!(items[1].expires_at, Some(Timestamp::from_secs(1_795_385_500)));
    assert_eq!(items[1].duration, Some(Duration::from_millis(3_500)));
    assert_eq!(answer.sighting("43", NOW), EMPTY);
}

#[test]
fn an_answer_about_one_account_is_about_that_one() {
    let sighting =
        |text: &'static str| parse_user_story(text.as_bytes()).unwrap().sighting("42", NOW);
    assert_eq!(sighting(r#"{"reel":null,"broadcast":null,"status":"ok"}"#), EMPTY);
    assert_eq!(
        sighting(
            r#"{"reel":null,"broadcast":{"id":"9","broadcast_owner":{"pk":42}},"status":"ok"}"#
        ),
        Sighting::Empty { expired: 0, broadcast: true }
    );
    let live = r#"{"reel":{"id":42,"items":[{"pk":1,"taken_at":1795299000}]},"status":"ok"}"#;
    assert!(matches!(sighting(live), Sighting::Live { .. }));
    for foreign in [
        r#"{"reel":{"id":"43","items":[]},"status":"ok"}"#,
        r#"{"reel":{"user":{"pk":"43"},"items":[]},"status":"ok"}"#,
        r#"{"reel":null,"broadcast":{"broadcast_owner":{"id":"43"}},"status":"ok"}"#,
    ] {
        assert!(matches!(sighting(foreign), Sighting::Unclear(_)), "{foreign}");
    }
}

#[test]
fn the_tray_says_nothing_about_who_is_not_in_it() {
    let body = r#"{"tray":[{"id":42,"items":null,"media_count":1,"latest_reel_media":1795299000},
        {"id":"43","items":[{"pk":1,"taken_at":1795299000}]}],"status":"ok"}"#;
    let tray = parse_tray(body.as_bytes()).unwrap();
    assert_eq!(
        tray.sighting("42", NOW),
        Sighting::Stub { claims_story: true, latest: Timestamp::from_secs(1_795_299_000) }
    );
    assert!(matches!(tray.sighting("43", NOW), Sighting::Live { .. }));
    assert!(matches!(tray.sighting("44", NOW), Sighting::Unclear(_)));
}
