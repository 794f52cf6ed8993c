//! What it costs to understand an answer of about 3 kB: parsers alone, and whole checks over canned
//! answers, which classify, judge and report too.

use std::hint::black_box;
use std::time::Instant;

use story_checker_benches::Figure;
use story_checker_core::Verdict;
use story_checker_http::instagram::{self, ProfileAnswer, Sighting};

use crate::canned::{Canned, NAME, NOW, WEB_ID};
use crate::process::{self, BoxError};

const BENCH: &str = "parse";
/// The most that understanding one answer may take.
const AIM_US: f64 = 15.0;
const ROUNDS: usize = 21;
const CALLS: u32 = 4_000;

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    process::pin(std::process::id(), 0);
    let [web, graph, x] = [Canned::web()?, Canned::graph()?, Canned::x()?];
    let (reels, profile) = (web.body("reels_media")?, web.body("web_profile_info")?);
    let stories = graph.body("/stories")?;
    let bodies = [
        ("web_reels", reels.len()),
        ("web_profile", profile.len()),
        ("graph_stories", stories.len()),
        ("x_timeline", x.body("/tweets")?.len()),
    ];
    for (what, bytes) in bodies {
        let bytes = u32::try_from(bytes)?.into();
        print(Figure::info(BENCH, &format!("{what}_body"), bytes, "B"));
    }

    let sighting = || match instagram::parse_reels(black_box(&reels))?.sighting(WEB_ID, NOW) {
        Sighting::Live { items, .. } => Ok(items.len()),
        other => Err(format!("no story: {other:?}").into()),
    };
    let user = || match instagram::parse_profile(black_box(&profile))? {
        ProfileAnswer::User { id, .. } => Ok(id.len()),
        other => Err(format!("no account: {other:?}").into()),
    };
    let shown = || Ok(instagram::parse_stories(black_box(&stories))?.shows(NAME, NOW).items.len());
    let aimed = |figure: &str, us: f64| Figure::at_most(BENCH, figure, us, "µs", AIM_US);
    print(aimed("web_reels_parse_and_sighting", timed(sighting)?));
    print(aimed("web_profile_parse", timed(user)?));
    print(aimed("graph_stories_parse_and_shows", timed(shown)?));

    for (what, canned) in [("web_reels", web), ("graph_stories", graph), ("x_timeline", x)] {
        // The first one looks the account up; the others remember it and ask for one answer each.
        canned.check()?;
        let check = || {
            let report = canned.check()?;
            match report.verdict {
                Verdict::Active => Ok(report.items.len()),
                other => Err(format!("{what} is {}", other.as_str()).into()),
            }
        };
        let figure = format!("{what}_whole_check_without_network");
        print(Figure::info(BENCH, &figure, timed(check)?, "µs"));
    }
    Ok(())
}

/// The median over rounds of the mean time of a call, in microseconds.
fn timed(call: impl Fn() -> Result<usize, BoxError>) -> Result<f64, BoxError> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            if black_box(call()?) == 0 {
                return Err("nothing was found in the answer".into());
            }
        }
        // The first round only warms up.
        if round > 0 {
            rounds.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
        }
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}
