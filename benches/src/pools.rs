//! What the pool of proxies and the gate cost: time to select and give back among 100,000 proxies,
//! memory per proxy and per key, and what keys leave behind that are used once. Memory is measured
//! in a process for each, because freed memory does not go back at once.

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use story_checker_benches::Figure;
use story_checker_core::gate::{Gate, Key, KeyClass, Need, Quota};
use story_checker_core::proxy::{Proxy, ProxyPolicy, ProxyPool, Rest, Rotation};
use story_checker_core::{Class, SystemClock, Timestamp};

use crate::process::{BoxError, median, p99, resident_memory};

/// The first argument of the process that measures memory.
pub(crate) const ROLE: &str = "--pools-memory";

const NAME: &str = "pools";
const PROXIES: usize = 100_000;
const KEYS: usize = 100_000;
const ONCE: usize = 1_000_000;
/// Uses that are timed one by one.
const SAMPLES: usize = 300_000;
/// Proxies in use at any time.
const UNDER_WAY: usize = 500;
const NOW: Timestamp = Timestamp::from_secs(1_795_251_600);

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    for (rotation, name) in [
        (Rotation::LeastUsed, "least_used"),
        (Rotation::RoundRobin, "round_robin"),
        (Rotation::Weighted, "weighted"),
        (Rotation::Sticky, "sticky"),
    ] {
        proxies(rotation, name, print)?;
    }
    print(Figure::at_most(NAME, "memory_of_100000_proxies", memory("proxies")? / 1e6, "MB", 40.0));
    print(Figure::at_most(NAME, "memory_per_key", memory("keys")? / KEYS as f64, "B", 200.0));
    let left = memory("once")? / 1e6;
    print(Figure::at_most(NAME, "left_by_a_million_keys_used_once", left, "MB", 1.0));
    Ok(())
}

fn memory(what: &str) -> Result<f64, BoxError> {
    let out = Command::new(std::env::current_exe()?).args([ROLE, what]).output()?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into());
    }
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// Measures the memory of one thing.
pub(crate) fn one(arguments: &[String]) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bytes = runtime.block_on(async {
        match arguments {
            [what] if what == "proxies" => {
                // What the first ones bring about is not theirs.
                black_box(filled(ProxyPolicy::default(), 2_000)?);
                let before = resident_memory()?;
                let pool = filled(ProxyPolicy::default(), PROXIES)?;
                let bytes = resident_memory()? - before;
                black_box(pool);
                Ok(bytes)
            }
            [what] if what == "keys" => keys(KEYS, Quota::new(200, Duration::from_secs(3_600))?),
            // Idle again within a moment.
            [what] if what == "once" => keys(ONCE, Quota::new(1_000_000, Duration::from_secs(1))?),
            _ => Err(BoxError::from("say what to measure")),
        }
    })?;
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{bytes:.1}"))?;
    Ok(())
}

fn filled(policy: ProxyPolicy, count: usize) -> Result<ProxyPool, BoxError> {
    let address = |number: usize| format!("http://gate-{number}.example:8080").parse();
    let listed = (0..count).map(|number| address(number).map(Proxy::new));
    let mut pool = ProxyPool::new(policy, false);
    pool.replace(listed.collect::<Result<_, _>>()?, vec![], NOW);
    Ok(pool)
}

/// Selects and gives back while every twentieth proxy rests and some are always in use.
fn proxies(rotation: Rotation, name: &str, print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    let mut policy = ProxyPolicy::default();
    policy.rotation = rotation;
    let mut pool = filled(policy, PROXIES)?;
    let ids: Vec<_> = pool.views().into_iter().map(|view| view.id).collect();
    for id in ids.iter().step_by(20) {
        pool.rest(id, Rest::new(Class::Blocked, NOW + Duration::from_secs(600), "407"), NOW);
    }
    let mut under_way: Vec<Arc<Proxy>> = Vec::with_capacity(UNDER_WAY);
    let mut times = Vec::with_capacity(SAMPLES);
    for number in 0..SAMPLES + UNDER_WAY {
        let begun = Instant::now();
        let selected = pool.select(NOW, |_| Ok(())).ok_or("no proxy is usable")?;
        let given_back = (under_way.len() == UNDER_WAY).then(|| {
            let place = number.wrapping_mul(7_919) % UNDER_WAY;
            std::mem::replace(&mut under_way[place], Arc::clone(&selected))
        });
        match given_back {
            Some(proxy) => {
                pool.give_back(proxy.id());
                times.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            None => under_way.push(selected),
        }
    }
    let middle = median(times.clone());
    print(Figure::at_most(NAME, &format!("{name}_select_and_release_p99"), p99(times), "us", 5.0));
    print(Figure::info(NAME, &format!("{name}_select_and_release_median"), middle, "us"));
    Ok(())
}

/// What so many keys take after one pass each.
fn keys(count: usize, quota: Quota) -> Result<f64, BoxError> {
    let gate = Arc::new(Gate::new(Arc::new(SystemClock::new())));
    let pass = |number: usize| {
        let key = Key::new(KeyClass::Session, format!("session-{number}"));
        gate.try_pass(Box::new([Need::new(key, Some(quota.into()))]))
            .map(|mut pass| pass.mark_sent())
    };
    (0..2_000).try_for_each(pass)?;
    let before = resident_memory()?;
    (2_000..2_000 + count).try_for_each(pass)?;
    Ok(resident_memory()? - before)
}
