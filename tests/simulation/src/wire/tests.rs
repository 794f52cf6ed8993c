use std::time::Duration;

use http::HeaderValue;
use story_checker_core::proxy::Proxy;
use story_checker_sim::{Delivery, Effect, Rule};

use super::*;
use crate::case::Case;
use crate::plan::Plan;
use crate::world::World;

const VIEWER: &str =
    "https://www.instagram.com/graphql/query/?query_hash=d6f4427fbe92d846298cf93df0b937d3";

async fn world() -> World {
    World::new(1, Case::Small, &Plan::quiet(), false).await.unwrap()
}

fn request(world: &World, proxy: Option<Proxy>) -> Request {
    let cookies = world.platform.session_credentials(0).unwrap();
    let cookies = cookies.map(|(name, value)| format!("{name}={value}")).join("; ");
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
    headers.insert("x-ig-app-id", HeaderValue::from_static("1"));
    let url = VIEWER.parse().unwrap();
    let request = Request::get(url, Duration::from_secs(15)).with_headers(headers);
    request.with_proxy(proxy.map(Arc::new))
}

async fn ask(world: &World, proxy: Option<Proxy>) {
    if let Ok(answer) = world.wire.send(request(world, proxy)).await {
        _ = answer.collect(1 << 20).await;
    }
}

fn found(world: &World) -> Vec<(Kind, u64)> {
    world.diary.close().1.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn one_request_after_the_other_through_one_proxy_is_fine() {
    let world = world().await;
    let home = world.proxies.proxy(3);
    for _ in 0..75 {
        ask(&world, Some(home.clone())).await;
    }
    assert_eq!(found(&world), []);
    ask(&world, Some(home)).await;
    assert_eq!(found(&world), [(Kind::Limit, 1)]);
    assert_eq!(world.platform.audit().limits_broken, 1);
}

#[tokio::test(start_paused = true)]
async fn two_at_once_are_found_also_where_the_platform_does_not_see_them() {
    let world = world().await;
    let home = world.proxies.proxy(3);
    tokio::join!(ask(&world, Some(home.clone())), ask(&world, Some(home.clone())));
    assert_eq!(found(&world), [(Kind::Double, 1)]);
    let hang = Effect::Proxy(story_checker_sim::ProxyFault::Hang);
    world.platform.add_rule(Rule::new(hang)).unwrap();
    tokio::join!(ask(&world, Some(home.clone())), ask(&world, Some(home.clone())));
    assert_eq!(found(&world), [(Kind::Double, 1)]);
    ask(&world, Some(home)).await;
    assert_eq!(found(&world), []);
}

#[tokio::test(start_paused = true)]
async fn another_way_out_is_found_unless_the_home_is_gone() {
    let world = world().await;
    let (home, other) = (world.proxies.proxy(3), world.proxies.proxy(4));
    ask(&world, Some(home.clone())).await;
    ask(&world, Some(other.clone())).await;
    assert_eq!(found(&world), [(Kind::Foreign, 1)]);
    world.proxies.set(4, false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    ask(&world, Some(home)).await;
    assert_eq!(found(&world), []);
    tokio::time::sleep(Duration::from_secs(120)).await;
    world.proxies.set(3, false);
    ask(&world, Some(other)).await;
    assert_eq!(found(&world), [(Kind::Foreign, 1)], "a proxy that is off the list for long");
    ask(&world, None).await;
    assert_eq!(found(&world), [(Kind::Foreign, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_challenge_holds_from_its_last_byte_until_the_owner_has_dealt_with_it() {
    let world = world().await;
    let home = world.proxies.proxy(3);
    let cut = Effect::Delivery(Delivery::CutAt { bytes: 9, announced: true });
    world.platform.add_rule(Rule::row("W8").with_times(1)).unwrap();
    world.platform.add_rule(Rule::new(cut).with_times(1)).unwrap();
    ask(&world, Some(home.clone())).await;
    ask(&world, Some(home.clone())).await;
    assert_eq!(found(&world), [], "the first answer did not come whole");
    ask(&world, Some(home.clone())).await;
    assert_eq!(found(&world), [(Kind::Challenged, 1)]);
    world.reinstate(0).await.unwrap();
    ask(&world, Some(home)).await;
    assert_eq!(found(&world), []);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_before_the_time_that_was_named_is_found() {
    let world = world().await;
    let home = world.proxies.proxy(3);
    for (pause, finds) in [(0, true), (3_600, false)] {
        world.platform.add_rule(Rule::row("W1-retry-after").with_times(1)).unwrap();
        ask(&world, Some(home.clone())).await;
        tokio::time::sleep(Duration::from_secs(pause)).await;
        ask(&world, Some(home.clone())).await;
        assert_eq!(!found(&world).is_empty(), finds, "after {pause} s");
    }
}
