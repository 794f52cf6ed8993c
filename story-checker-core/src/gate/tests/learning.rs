//! A limit that has to be found out, against a server that counts in an exact sliding window.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{gate, per};
use crate::fault::{Class, Fault, Scope};
use crate::gate::ceiling::Ceiling;
use crate::gate::{Gate, Key, KeyClass, Limit, Need};

const WINDOW: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
struct Server {
    limit: usize,
    seen: VecDeque<Instant>,
    good: u64,
    refused: u64,
}

impl Server {
    fn ask(&mut self, now: Instant) -> bool {
        while self.seen.front().is_some_and(|at| *at + WINDOW <= now) {
            self.seen.pop_front();
        }
        let good = self.seen.len() < self.limit;
        if good {
            self.seen.push_back(now);
            self.good += 1;
        } else {
            self.refused += 1;
        }
        good
    }
}

/// Sends whatever the gate lets through for so long; returns the use of the limit and the share of
/// refusals.
async fn run(
    gate: &Arc<Gate>,
    server: &Arc<Mutex<Server>>,
    limit: &Limit,
    time: Duration,
) -> (f64, f64) {
    let before = {
        let server = server.lock().unwrap();
        (server.good, server.refused, server.limit)
    };
    let end = Instant::now() + time;
    let clients = (0..8).map(|client: u64| {
        let (gate, server, limit) = (Arc::clone(gate), Arc::clone(server), limit.clone());
        tokio::spawn(async move {
            let mut number = client;
            while Instant::now() < end {
                let need = Need::new(Key::new(KeyClass::Endpoint, "x/search"), Some(limit.clone()));
                let Ok(mut pass) = gate.pass([need].into(), HOUR).await else { break };
                pass.mark_sent();
                // It travels for 20 to 60 ms either way.
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(client + 1);
                tokio::time::sleep(Duration::from_millis(20 + (number >> 33) % 41)).await;
                let good = server.lock().unwrap().ask(Instant::now());
                tokio::time::sleep(Duration::from_millis(20 + (number >> 43) % 41)).await;
                let fault = Fault::new(Class::RateLimited, Scope::Endpoint, "429");
                pass.settle((!good).then_some(&fault), HOUR);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let server = server.lock().unwrap();
    let (good, refused) = ((server.good - before.0) as f64, (server.refused - before.1) as f64);
    let could = before.2 as f64 * time.as_secs_f64() / WINDOW.as_secs_f64();
    (good / could, refused / (good + refused))
}

#[tokio::test(start_paused = true)]
async fn i2_an_unknown_limit_is_found_kept_and_found_again() {
    let gate = gate();
    let new = Server { limit: 100, seen: VecDeque::new(), good: 0, refused: 0 };
    let server = Arc::new(Mutex::new(new));
    let limit = Limit::learned(20, 5, per(1_000, 10, 1)).unwrap();
    let mut hours = Vec::new();
    for (name, most) in [
        ("looking for 100 per 10 s", 100),
        ("100 stays", 100),
        ("100 stays", 100),
        ("raised to 200", 200),
        ("lowered to 50", 50),
        ("50 stays", 50),
    ] {
        server.lock().unwrap().limit = most;
        let (used, refused) = run(&gate, &server, &limit, HOUR).await;
        println!("{name:>24}: {:.2} % used, {:.3} % refused", used * 100.0, refused * 100.0);
        hours.push((used, refused));
    }
    for steady in [1, 2, 5] {
        assert!(hours[steady].0 >= 0.95 && hours[steady].1 <= 0.001, "{:?}", hours[steady]);
    }
    assert!(hours[3].0 >= 0.90, "{:?}", hours[3]);
}

#[test]
fn one_throttle_is_one_cut_and_neither_floor_nor_top_is_passed() {
    const SECOND: u64 = 1_000_000;
    let mut ceiling = Ceiling::new(10 * SECOND, 100, 60, 120, 0);
    let mut sent = Vec::new();
    let mut now = SECOND * 100;
    while now < SECOND * 200 {
        ceiling.take(now);
        sent.push((now, ceiling.epoch()));
        now += ceiling.interval(now);
        assert!(ceiling.interval(now) >= 10 * SECOND / 120);
    }
    assert!(ceiling.rate() > 110.0, "nobody refused: {}", ceiling.rate());
    let late: Vec<_> = sent.iter().rev().take(5).copied().collect();
    for (index, &(at, epoch)) in late.iter().enumerate() {
        assert_eq!(ceiling.throttle(at, epoch, now), index == 0);
    }
    assert!((110.0..=120.0).contains(&ceiling.rate()), "{}", ceiling.rate());
    for _ in 0..20 {
        let epoch = ceiling.epoch();
        now += SECOND;
        assert!(ceiling.throttle(now, epoch, now));
    }
    assert!((ceiling.rate() - 60.0).abs() < 1e-9, "the floor");
    assert_eq!(ceiling.interval(now), (10 * SECOND).div_ceil(60));
}
