//! Reports that are remembered for a while.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use story_checker_core::cache::CacheEntry;
use story_checker_core::checker::{Cached, CachedTtl, CheckContext, Checker, CheckerProfile};
use story_checker_core::session::SessionHandle;
use story_checker_core::{
    Class, Evidence, Fault, Item, MediaKind, Platform, Report, Scope, Target, Timings, Verdict,
};
use tokio::time::advance;

use crate::support::{Acting, Answer, SECOND, context, target, targets};

type Asked = Arc<Mutex<Vec<String>>>;

/// Remembers what `answer` says; notes who was asked about.
fn cached(
    ttl: CachedTtl,
    answer: impl Fn(&Target, &CheckContext) -> Answer + Send + Sync + 'static,
) -> (Cached, Asked, CheckContext) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let profile = CheckerProfile::new(Platform::INSTAGRAM);
    let cx = context(&profile, "main");
    let inner = Acting::each("inner/1", profile, move |target, cx| {
        seen.lock().unwrap().push(target.handle().to_owned());
        answer(target, cx)
    });
    (Cached::new(inner, ttl), asked, cx)
}

fn report(target: &Target, verdict: Verdict, cx: &CheckContext) -> Answer {
    let mut evidence = Evidence::new("inner/1");
    evidence.session = cx.session().map(|session| session.id().clone());
    Ok(Report::new(target.clone(), verdict, evidence, Timings::new(cx.now(), Duration::ZERO)))
}

#[tokio::test(start_paused = true)]
async fn each_verdict_is_believed_for_its_own_time() {
    let mut ttl = CachedTtl::default();
    ttl.active = SECOND * 10;
    ttl.no_story = SECOND * 20;
    ttl.not_found = SECOND * 30;
    ttl.private = SECOND * 40;
    ttl.gated = SECOND * 50;
    ttl.suspended = SECOND * 60;
    let verdicts = [
        Verdict::Active,
        Verdict::NoStory,
        Verdict::NotFound,
        Verdict::Private,
        Verdict::Gated,
        Verdict::Suspended,
    ];
    for (number, verdict) in (1..).zip(verdicts) {
        let expected = verdict.clone();
        let (cached, asked, cx) =
            cached(ttl, move |target, cx| report(target, verdict.clone(), cx));
        let count = || asked.lock().unwrap().len();
        cached.check(&targets(1), &cx).await.remove(0).unwrap();
        advance(SECOND * 10 * number - SECOND).await;
        let again = cached.check(&targets(1), &cx).await.remove(0).unwrap();
        assert_eq!((count(), &again.verdict), (1, &expected));
        let age = number * 10 - 1;
        assert_eq!(again.evidence.facts, [format!("remembered: checked {age} s ago")]);
        advance(SECOND).await;
        let fresh = cached.check(&targets(1), &cx).await.remove(0).unwrap();
        assert_eq!((count(), fresh.evidence.facts.len()), (2, 0), "{expected:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_story_is_not_believed_past_its_end() {
    let (cached, asked, cx) = cached(CachedTtl::default(), |target, cx| {
        let story = |id: &str, left: Duration| {
            let mut item = Item::new(id, MediaKind::Image, cx.now());
            item.expires_at = Some(cx.now() + left);
            item
        };
        let items = vec![story("1", SECOND * 20), story("2", SECOND * 60)];
        report(target, Verdict::Active, cx).map(|report| report.with_items(items))
    });
    cached.check(&targets(1), &cx).await.remove(0).unwrap();
    advance(SECOND * 30).await;
    let later = cached.check(&targets(1), &cx).await.remove(0).unwrap();
    let ids: Vec<_> = later.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!((ids, asked.lock().unwrap().len()), (vec!["2"], 1), "one has ended meanwhile");
    advance(SECOND * 30).await;
    cached.check(&targets(1), &cx).await.remove(0).unwrap();
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_missing_is_asked_for_and_faults_are_not_remembered() {
    let (cached, asked, cx) = cached(CachedTtl::default(), |target, cx| match target.handle() {
        "acct_1" => Err(Fault::new(Class::Transient, Scope::Endpoint, "502")),
        _ => report(target, Verdict::NoStory, cx),
    });
    cached.check(&targets(2), &cx).await;
    let answers = cached.check(&targets(3), &cx).await;
    assert_eq!(*asked.lock().unwrap(), ["acct_0", "acct_1", "acct_1", "acct_2"]);
    let handles = answers.iter().map(|answer| answer.as_ref().map(|report| report.target.handle()));
    let handles: Vec<_> = handles.map(Result::ok).collect();
    assert_eq!(handles, [Some("acct_0"), None, Some("acct_2")]);
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_the_session_is_remembered_for_it_only() {
    for (verdict, times_asked) in [(Verdict::Private, 2), (Verdict::NoStory, 1)] {
        let (cached, asked, cx) =
            cached(CachedTtl::default(), move |target, cx| report(target, verdict.clone(), cx));
        cached.check(&targets(1), &cx).await;
        cached.check(&targets(1), &cx).await;
        let follower = Arc::new(SessionHandle::new("follower".into(), Arc::default()));
        cached.check(&targets(1), &cx.with_session(Some(follower))).await;
        assert_eq!(asked.lock().unwrap().len(), times_asked);
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_or_foreign_entries_are_as_if_absent() {
    let (cached, asked, cx) =
        cached(CachedTtl::default(), |target, cx| report(target, Verdict::NoStory, cx));
    let foreign = report(&target("somebody_else"), Verdict::Active, &cx).unwrap();
    let unknown = format!(r#"{{"verdict":"unknown","target":"{}"}}"#, targets(1)[0]);
    for value in
        [b"{".to_vec(), b"\xff".to_vec(), unknown.into(), serde_json::to_vec(&foreign).unwrap()]
    {
        asked.lock().unwrap().clear();
        let key = "report/inner/1/instagram/account/acct_0";
        assert!(cx.cache().get(&[key.into()]).await.is_ok());
        cx.cache().put(vec![CacheEntry::new(key, value)]).await.unwrap();
        let answer = cached.check(&targets(1), &cx).await.remove(0).unwrap();
        assert_eq!((answer.verdict, asked.lock().unwrap().len()), (Verdict::NoStory, 1));
        let stored = cx.cache().get(&[key.into()]).await.unwrap().remove(0).unwrap();
        assert!(serde_json::from_slice::<Report>(&stored).is_ok(), "replaced by the new one");
    }
}
