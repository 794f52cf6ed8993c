//! `story-checker jobs` and `story-checker dead`.

use anyhow::{Context, bail};
use serde_json::json;
use story_checker_core::queue::{
    Alter, Altered, JobFilter, JobQueue, JobState, JobView, MAX_ITEMS, QueueName, Select,
};
use story_checker_core::{JobId, Report, WorkerId};

use super::{Admin, counted, table, view};
use crate::args::{
    DeadArgs, DeadCommand, FilterArgs, JobsCommand, LookArgs, PageArgs, State, StateArgs,
};
use crate::ids::Prefix;
use crate::output::words::{span, time};
use crate::settings::Format;
use crate::targets::Order;

const LIVE: &[JobState] = &[JobState::Scheduled, JobState::Ready, JobState::Leased];
const REPLAYED: &[JobState] = &[JobState::Dead, JobState::Cancelled];

/// Runs one of the commands; returns the exit code.
///
/// # Errors
/// If the arguments or settings make no sense, or the store fails.
pub(crate) fn jobs(command: &JobsCommand) -> anyhow::Result<u8> {
    match command {
        JobsCommand::List { state, page, look } => {
            let admin = Admin::new(&look.store, look.json)?;
            admin.run(list(&admin, &Which::of(&state.filter).in_state(state), page))
        }
        JobsCommand::Show { id, look } => show(id, look),
        JobsCommand::Cancel { ids, state, change } => {
            let admin = Admin::new(&change.look.store, change.look.json)?;
            let which = Which::of(&state.filter).in_state(state).of_ids(ids);
            which.need_some("name jobs, or say which: --batch, --queue, --state, --worker")?;
            let act = Act { alter: Alter::Cancel, states: LIVE, verb: "cancel", done: "cancelled" };
            admin.run(change_jobs(&admin, &which, act, Some(change.yes)))
        }
        JobsCommand::Retry { ids, state, look } => {
            let admin = Admin::new(&look.store, look.json)?;
            let which = Which::of(&state.filter).in_state(state).of_ids(ids);
            which.need_some("name jobs, or say which: --batch, --queue, --state")?;
            admin.run(change_jobs(&admin, &which, REPLAY, None))
        }
    }
}

/// As [`jobs`], for dead ones.
///
/// # Errors
/// As [`jobs`].
pub(crate) fn dead(command: &DeadCommand) -> anyhow::Result<u8> {
    let dead = |which: &DeadArgs| Which {
        state: Some(JobState::Dead),
        ..Which::of(&which.filter).of_ids(&which.ids)
    };
    match command {
        DeadCommand::List { filter, page, look } => {
            let admin = Admin::new(&look.store, look.json)?;
            let which = Which { state: Some(JobState::Dead), ..Which::of(filter) };
            admin.run(list(&admin, &which, page))
        }
        DeadCommand::Show { id, look } => show(id, look),
        DeadCommand::Replay { which, look } => {
            let admin = Admin::new(&look.store, look.json)?;
            admin.run(change_jobs(&admin, &dead(which), REPLAY, None))
        }
        DeadCommand::Purge { which, change } => {
            let admin = Admin::new(&change.look.store, change.look.json)?;
            let states = &[JobState::Dead];
            let act = Act { alter: Alter::Delete, states, verb: "drop for good", done: "dropped" };
            admin.run(change_jobs(&admin, &dead(which), act, Some(change.yes)))
        }
    }
}

/// Which jobs were named.
#[derive(Default)]
struct Which {
    ids: Vec<Prefix>,
    batch: Option<Prefix>,
    queue: Option<String>,
    state: Option<JobState>,
    worker: Option<String>,
}

impl Which {
    fn of(filter: &FilterArgs) -> Self {
        let (batch, queue) = (filter.batch.clone(), filter.queue.clone());
        Self { batch, queue, ..Self::default() }
    }

    fn in_state(mut self, args: &StateArgs) -> Self {
        self.state = args.state.map(|state| match state {
            State::Cancelled => JobState::Cancelled,
            State::Dead => JobState::Dead,
            State::Done => JobState::Done,
            State::Leased => JobState::Leased,
            State::Ready => JobState::Ready,
            State::Scheduled => JobState::Scheduled,
        });
        self.worker.clone_from(&args.worker);
        self
    }

    fn of_ids(mut self, ids: &[Prefix]) -> Self {
        self.ids = ids.to_vec();
        self
    }

    /// Whoever names nothing must not change everything.
    fn need_some(&self, what: &str) -> anyhow::Result<()> {
        let Self { ids, batch, queue, state, worker } = self;
        let filtered = batch.is_some() || queue.is_some() || state.is_some() || worker.is_some();
        if ids.is_empty() && !filtered {
            bail!("{what}");
        }
        if !ids.is_empty() && filtered {
            bail!(
                "jobs are named, or described by --batch, --queue, --state and --worker, not both"
            );
        }
        Ok(())
    }

    async fn filter(&self, queue: &dyn JobQueue) -> anyhow::Result<JobFilter> {
        let mut filter = JobFilter::default();
        if let Some(batch) = &self.batch {
            filter.batch = Some(batch.batch(queue).await?);
        }
        filter.queue = self.queue.as_deref().map(QueueName::new);
        filter.state = self.state;
        filter.worker = self.worker.as_deref().map(WorkerId::new);
        Ok(filter)
    }

    fn describe(&self) -> String {
        let parts = [
            self.batch.as_ref().map(|batch| format!("of batch {batch}")),
            self.queue.as_ref().map(|queue| format!("of queue {queue}")),
            self.state.map(|state| format!("in state {}", view::word(state))),
            self.worker.as_ref().map(|worker| format!("held by {worker}")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "all jobs".to_owned()
        } else {
            format!("all jobs {}", parts.join(", "))
        }
    }
}

async fn list(admin: &Admin, which: &Which, page: &PageArgs) -> anyhow::Result<u8> {
    let queue = admin.queue().await?;
    let filter = which.filter(&*queue).await?;
    let after = page.after.as_ref().map(|id| JobId::from_bytes(id.low()));
    let limit = page.limit.into();
    let mut page = queue.list(&filter, after, limit).await?;
    // A store that looks at so many jobs at a time may have found none yet.
    while let Some(next) = page.next.filter(|_| page.jobs.is_empty()) {
        page = queue.list(&filter, Some(next), limit).await?;
    }
    let json =
        || json!({"jobs": page.jobs.iter().map(view::job).collect::<Vec<_>>(), "next": page.next});
    let rows = || page.jobs.iter().map(|job| row(admin, job)).collect();
    admin.rows(json, &["JOB", "STATE", "WHEN", "WHAT", "TRIES", "NOTE"], rows)?;
    if page.jobs.is_empty() {
        admin.voice.say(format_args!("no such jobs in {}", admin.address));
    }
    if let Some(next) = page.next.filter(|_| !admin.json) {
        admin.voice.say(format_args!("next: --after {next}"));
    }
    Ok(0)
}

pub(super) fn row(admin: &Admin, job: &JobView) -> Vec<String> {
    vec![
        job.id.to_string(),
        view::word(job.state).to_owned(),
        when(admin, job),
        view::text(&job.payload),
        job.attempt.to_string(),
        note(job),
    ]
}

fn when(admin: &Admin, job: &JobView) -> String {
    match job.state {
        JobState::Ready => "now".to_owned(),
        JobState::Leased => format!("{} left", span(job.at.since(admin.now))),
        _ => admin.when(job.at),
    }
}

fn note(job: &JobView) -> String {
    match (job.dead_reason, &job.worker) {
        (Some(reason), _) if job.note.is_empty() => reason.as_str().to_owned(),
        (Some(reason), _) => format!("{}: {}", reason.as_str(), job.note),
        (None, Some(worker)) => format!("held by {worker}"),
        (None, None) => job.note.clone(),
    }
}

fn show(id: &Prefix, look: &LookArgs) -> anyhow::Result<u8> {
    let admin = Admin::new(&look.store, look.json)?;
    admin.run(async {
        let queue = admin.queue().await?;
        let id = id.job(&*queue).await?;
        let found = queue.get(&[id]).await?.into_iter().next().flatten();
        let job = found.with_context(|| format!("the job {id} is gone"))?;
        admin.answer(|| view::job(&job), || described(&admin, &job))?;
        let result = job.result.as_ref().filter(|result| !result.is_empty() && !admin.json);
        if let Some(Ok(report)) = result.map(|result| serde_json::from_slice::<Report>(result)) {
            let mut writer = crate::output::standard(Format::Explain, Order::default());
            writer
                .report(&report)
                .and_then(|()| writer.finish())
                .context("cannot write the report")?;
        }
        Ok(0)
    })
}

fn described(admin: &Admin, job: &JobView) -> String {
    let at = |at| format!("{} ({})", time(at), admin.when(at));
    let many = |count: u32| if count == 0 { String::new() } else { count.to_string() };
    let when = match job.state {
        JobState::Leased => "lease ends",
        state if state.is_final() => "ended",
        _ => "due",
    };
    table::pairs(&[
        ("job", job.id.to_string()),
        ("state", view::word(job.state).to_owned()),
        ("why", job.dead_reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default()),
        ("note", job.note.clone()),
        ("what", view::text(&job.payload)),
        ("queue", job.queue.to_string()),
        ("batch", job.batch.map(|batch| batch.to_string()).unwrap_or_default()),
        ("priority", job.priority.to_string()),
        ("worker", job.worker.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("enqueued", at(job.enqueued_at)),
        (when, at(job.at)),
        ("deadline", job.deadline.map(at).unwrap_or_default()),
        ("failed tries", many(job.attempt)),
        ("put off", many(job.deferrals)),
        ("crashes", many(job.crashes)),
    ])
}

/// A change to many jobs.
struct Act {
    alter: Alter,
    /// Those that it can change.
    states: &'static [JobState],
    verb: &'static str,
    done: &'static str,
}

const REPLAY: Act =
    Act { alter: Alter::Replay, states: REPLAYED, verb: "replay", done: "begun anew" };

/// Changes jobs; asks before if `yes` is there and false.
async fn change_jobs(
    admin: &Admin,
    which: &Which,
    act: Act,
    yes: Option<bool>,
) -> anyhow::Result<u8> {
    let queue = admin.queue().await?;
    let mut ids = Vec::new();
    for id in &which.ids {
        ids.push(id.job(&*queue).await?);
    }
    let filter = which.filter(&*queue).await?;
    if let Some(yes) = yes {
        let what = match ids.len() as u64 {
            0 => which.describe(),
            many => counted(many, "job"),
        };
        admin.confirm(yes, &format!("{} {what} in {}", act.verb, admin.address))?;
    }
    let mut altered = Altered::default();
    for ids in ids.chunks(MAX_ITEMS) {
        add(&mut altered, queue.alter(&Select::Jobs(ids.to_vec()), act.alter).await?);
    }
    if ids.is_empty() {
        let states = act.states.iter().filter(|state| filter.state.is_none_or(|it| it == **state));
        for state in states {
            let filter = filter.clone().with_state(*state);
            add(&mut altered, change_all(admin, &*queue, &filter, &act).await?);
        }
    }
    let json = || json!({"changed": altered.changed, "refused": altered.refused});
    let text = || {
        let mut text = format!("{} {}", counted(altered.changed, "job"), act.done);
        if altered.refused > 0 {
            text.push_str(&format!("; {} in no fitting state", altered.refused));
        }
        text + "\n"
    };
    admin.answer(json, text)?;
    Ok(u8::from(altered.changed == 0))
}

async fn change_all(
    admin: &Admin,
    queue: &dyn JobQueue,
    filter: &JobFilter,
    act: &Act,
) -> anyhow::Result<Altered> {
    let (mut altered, mut after) = (Altered::default(), None);
    loop {
        let page = queue.list(filter, after, MAX_ITEMS).await?;
        let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
        if !ids.is_empty() {
            add(&mut altered, queue.alter(&Select::Jobs(ids), act.alter).await?);
            admin.voice.step(format_args!("{} {}", altered.changed, act.done), false);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(altered),
        }
    }
}

fn add(sum: &mut Altered, other: Altered) {
    sum.changed += other.changed;
    sum.refused += other.refused;
}
