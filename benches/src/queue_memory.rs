//! What a queued job takes: of the memory of this process, of the file, of the server's memory. Each
//! store in a process of its own, because freed memory does not go back at once.

use std::process::Command;

use story_checker_benches::Figure;
use story_checker_core::queue::Retention;

use crate::jobs;
use crate::process::{BoxError, resident_memory};
use crate::store::Store;

/// The first argument of the process that measures one store.
pub(crate) const ROLE: &str = "--queue-memory";

const NAME: &str = "queue_memory";
const JOBS: usize = 200_000;

const fn aim(store: Store) -> f64 {
    match store {
        Store::Memory | Store::Sqlite => 450.0,
        Store::Redis => 520.0,
    }
}

pub(crate) fn run(print: &mut dyn FnMut(Figure)) -> Result<(), BoxError> {
    for store in Store::ALL {
        for payload in [200, 100] {
            let out = Command::new(std::env::current_exe()?)
                .args([ROLE, store.name(), &payload.to_string()])
                .output()?;
            if !out.status.success() {
                return Err(String::from_utf8_lossy(&out.stderr).into());
            }
            let bytes = serde_json::from_slice(&out.stdout)?;
            let figure = format!("{}_job_of_{payload}", store.name());
            print(if payload == 200 {
                Figure::at_most(NAME, &figure, bytes, "B/job", aim(store))
            } else {
                Figure::info(NAME, &figure, bytes, "B/job")
            });
        }
    }
    Ok(())
}

/// Measures one store with payloads of one size.
pub(crate) fn one(arguments: &[String]) -> Result<(), BoxError> {
    let [store, payload] = arguments else { return Err("say which store and payload".into()) };
    let (store, payload) = (Store::named(store)?, payload.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bytes = runtime.block_on(async {
        let opened = store.open(Retention::default()).await?;
        // What the first jobs bring about is not theirs: buffers, tables, scripts.
        jobs::fill(&opened.queue, jobs::new_batch(), 2_000, payload, |_| {}).await?;
        let taken = || match store {
            Store::Memory => resident_memory(),
            Store::Sqlite | Store::Redis => Ok(opened.place.bytes()? as f64),
        };
        let before = taken()?;
        jobs::fill(&opened.queue, jobs::new_batch(), JOBS, payload, |_| {}).await?;
        Ok::<_, BoxError>((taken()? - before) / JOBS as f64)
    })?;
    std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{bytes:.1}"))?;
    Ok(())
}
