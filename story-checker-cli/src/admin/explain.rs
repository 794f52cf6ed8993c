//! `story-checker explain`: where the time of one job went.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use story_checker_core::queue::JobView;
use story_checker_core::{Report, Timestamp};

use super::{Admin, counted, table, view};
use crate::args::ExplainArgs;
use crate::output::words::short_span;

/// How wide the bars are.
const WIDTH: u32 = 40;

/// Draws the waterfall of a job; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<u8> {
    let look = &args.look;
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let id = args.id.job(&*queue).await?;
        let found = queue.get(&[id]).await?.into_iter().next().flatten();
        let job = found.with_context(|| format!("the job {id} is gone"))?;
        let report = job.result.as_ref().and_then(|result| serde_json::from_slice(result).ok());
        let parts = report.as_ref().map_or_else(Vec::new, |report| parts(&job, report));
        let json = || {
            json!({
                "id": job.id, "state": job.state, "payload": view::text(&job.payload),
                "enqueued_at": job.enqueued_at, "deferrals": job.deferrals,
                "attempt": job.attempt, "note": job.note,
                "parts": parts.iter().map(Part::json).collect::<Vec<_>>(),
            })
        };
        admin.answer(json, || drawn(&admin, &job, report.as_ref(), &parts))?;
        Ok(0)
    })
}

/// One bar: what, for which request, from when after enqueueing, how long.
#[derive(Debug)]
struct Part {
    what: &'static str,
    route: Option<String>,
    from: Duration,
    time: Duration,
}

impl Part {
    fn json(&self) -> Value {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        json!({
            "part": self.what, "route": self.route, "from_ms": millis(self.from),
            "took_ms": millis(self.time),
        })
    }
}

/// Parts one after the other; what took no time is left out.
struct Line {
    parts: Vec<Part>,
    at: Duration,
}

impl Line {
    fn add(&mut self, what: &'static str, route: Option<&str>, time: Duration) {
        if !time.is_zero() {
            let route = route.map(str::to_owned);
            self.parts.push(Part { what, route, from: self.at, time });
            self.at += time;
        }
    }
}

fn parts(job: &JobView, report: &Report) -> Vec<Part> {
    let timings = &report.timings;
    let since = |at: Timestamp| at.since(job.enqueued_at);
    let mut line = Line { parts: Vec::new(), at: Duration::ZERO };
    let waits = timings.pair_wait + timings.limiter_wait;
    line.add("queued", None, timings.queued.saturating_sub(waits));
    line.add("pair wait", None, timings.pair_wait);
    line.add("limiter wait", None, timings.limiter_wait);
    line.add("pass wait", None, timings.pass_wait);
    for request in &report.evidence.requests {
        let route = Some(&*request.route);
        line.at = since(request.at).max(line.at);
        // What was never answered has no first byte.
        let head = if request.first_byte.is_zero() { request.took } else { request.first_byte };
        line.add("connect", route, request.connect);
        line.add("first byte", route, head.saturating_sub(request.connect));
        line.add("body", route, request.took.saturating_sub(head));
        line.add("parse", route, request.parse);
    }
    if job.state.is_final() {
        line.at = since(timings.ended).max(line.at);
        // Shown even if it took less than the millisecond that stores keep.
        let (from, time) = (line.at, since(job.at).saturating_sub(line.at));
        line.parts.push(Part { what: "settle", route: None, from, time });
    }
    line.parts
}

fn drawn(admin: &Admin, job: &JobView, report: Option<&Report>, parts: &[Part]) -> String {
    let put_off = match (job.deferrals, job.attempt) {
        (0, 0) => String::new(),
        (deferrals, attempt) => {
            let mut text = Vec::new();
            if deferrals > 0 {
                text.push(format!("put off {}", counted(deferrals.into(), "time")));
            }
            if attempt > 0 {
                text.push(counted(attempt.into(), "failed try").replace("trys", "tries"));
            }
            text.join(", ")
        }
    };
    let verdict = report.map(|report| report.verdict.as_str().replace('_', " "));
    let mut text = table::pairs(&[
        ("job", job.id.to_string()),
        ("what", view::text(&job.payload)),
        ("state", view::word(job.state).to_owned()),
        ("verdict", verdict.unwrap_or_default()),
        ("before", put_off),
        ("last note", job.note.clone()),
        ("enqueued", admin.ago(job.enqueued_at)),
    ]);
    if parts.is_empty() {
        text.push_str("\nNo report tells yet where its time went.\n");
        return text;
    }
    let end = parts.iter().map(|part| part.from + part.time).max().unwrap_or_default();
    let routes = parts.iter().filter_map(|part| part.route.as_ref());
    let wide = routes.map(String::len).max().unwrap_or_default();
    text.push('\n');
    for part in parts {
        let (before, long) = bar(part, end);
        let route = part.route.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "{:12}  {route:wide$}  {:>8}  {}{}\n",
            part.what,
            if part.time.is_zero() { "< 1 ms".to_owned() } else { short_span(part.time) },
            " ".repeat(before),
            "█".repeat(long)
        ));
    }
    let gap = " ".repeat(wide);
    text.push_str(&format!("{:12}  {gap}  {:>8}\n", "all", short_span(end)));
    text
}

/// Where a bar begins, and how long it is: at least one column.
fn bar(part: &Part, end: Duration) -> (usize, usize) {
    let column = |time: Duration| {
        let columns = f64::from(WIDTH) * time.as_secs_f64() / end.as_secs_f64().max(1e-9);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the width of all bars"
        )]
        let columns = columns.round() as usize;
        columns
    };
    let from = column(part.from).min(WIDTH as usize - 1);
    (from, column(part.from + part.time).saturating_sub(from).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_follow_each_other_and_none_is_invisible() {
        let second = Duration::from_secs(1);
        let part =
            |from: u32, time: Duration| Part { what: "x", route: None, from: second * from, time };
        let end = second * 10;
        assert_eq!(bar(&part(0, second * 5), end), (0, 20));
        assert_eq!(bar(&part(5, second * 5), end), (20, 20));
        assert_eq!(bar(&part(10, Duration::from_micros(1)), end), (39, 1));
        assert_eq!(bar(&part(0, Duration::ZERO), Duration::ZERO), (0, 1));
    }
}
