//! The worker processes of a run: started, killed, stopped, and started again.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::dice::Dice;
use crate::ledger::{Entry, Ledger};
use crate::spot::Spot;

/// How long a worker is left alone after its start: it has to get to work.
const YOUNG: Duration = Duration::from_millis(400);
/// How long a worker may take to get to the point at which it is to die.
const OVERDUE: Duration = Duration::from_secs(3);
/// How long a worker may take to leave.
const LEAVING: Duration = Duration::from_secs(15);

/// How workers are started.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) folder: PathBuf,
    pub(crate) store: String,
    pub(crate) lease: Duration,
    pub(crate) pace: Duration,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    name: String,
    born: Instant,
    /// Stopped until then.
    frozen: Option<Instant>,
    /// To be dead by then.
    condemned: Option<Instant>,
}

impl Worker {
    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        Ok(kill_process(pid, signal)?)
    }
}

/// The workers, each with its place.
#[derive(Debug)]
pub(crate) struct Crew {
    orders: Orders,
    ledger: Arc<Ledger>,
    workers: Vec<Worker>,
    lives: usize,
    /// Workers that ended as nobody told them to.
    pub(crate) strays: Vec<String>,
}

impl Crew {
    pub(crate) fn start(orders: Orders, workers: usize, ledger: Arc<Ledger>) -> Result<Self> {
        let mut crew = Self { orders, ledger, workers: Vec::new(), lives: 0, strays: Vec::new() };
        for place in 0..workers {
            let worker = crew.hire(place)?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    fn hire(&mut self, place: usize) -> Result<Worker> {
        self.lives += 1;
        let name = format!("w{place}.{}", self.lives);
        let Orders { folder, store, lease, pace } = &self.orders;
        let log = File::create(folder.join(format!("{name}.log")))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["worker", "--name", &name, "--store", store])
            .arg("--folder")
            .arg(folder)
            .args(["--lease-ms", &lease.as_millis().to_string()])
            .args(["--pace-us", &pace.as_micros().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("could not start a worker")?;
        Ok(Worker { child, name, born: Instant::now(), frozen: None, condemned: None })
    }

    /// Starts dead workers again, wakes those that were stopped long enough, and kills those that
    /// did not die as they were told.
    pub(crate) fn tend(&mut self) -> Result<()> {
        let now = Instant::now();
        for place in 0..self.workers.len() {
            let worker = &mut self.workers[place];
            if let Some(status) = worker.child.try_wait()? {
                if !was_killed(status) {
                    self.strays.push(format!("{} ended by itself: {status}", worker.name));
                }
                self.workers[place] = self.hire(place)?;
                continue;
            }
            if worker.frozen.is_some_and(|until| until <= now) {
                worker.frozen = None;
                worker.signal(Signal::CONT)?;
                self.ledger.write(&Entry::Thawed { worker: worker.name.clone() });
            }
            if worker.condemned.is_some_and(|until| until <= now) {
                worker.child.kill()?;
            }
        }
        Ok(())
    }

    /// A worker that is at work, if there is one.
    fn any(&mut self, dice: &mut Dice) -> Option<&mut Worker> {
        let at_work = |worker: &Worker| {
            let Worker { frozen, condemned, born, .. } = worker;
            frozen.is_none() && condemned.is_none() && born.elapsed() > YOUNG
        };
        let places: Vec<_> =
            (0..self.workers.len()).filter(|place| at_work(&self.workers[*place])).collect();
        self.workers.get_mut(dice.pick(&places)?)
    }

    /// Kills a worker, at this point of its work or now. False if none is at work.
    pub(crate) fn kill(&mut self, spot: Option<Spot>, dice: &mut Dice) -> Result<bool> {
        let Some(worker) = self.any(dice) else { return Ok(false) };
        match (spot, &mut worker.child.stdin) {
            (Some(spot), Some(stdin)) => {
                // It may have died of its jobs a moment ago: then there is nobody to be told.
                if writeln!(stdin, "{spot}").is_err() {
                    return Ok(false);
                }
                worker.condemned = Some(Instant::now() + OVERDUE);
            }
            _ => {
                worker.child.kill()?;
                worker.condemned = Some(Instant::now() + OVERDUE);
            }
        }
        Ok(true)
    }

    /// Stops a worker for so long. False if none is at work.
    pub(crate) fn freeze(&mut self, time: Duration, dice: &mut Dice) -> Result<bool> {
        let Some(worker) = self.any(dice) else { return Ok(false) };
        let name = worker.name.clone();
        worker.signal(Signal::STOP)?;
        worker.frozen = Some(Instant::now() + time);
        self.ledger.write(&Entry::Frozen { worker: name });
        Ok(true)
    }

    /// Whether no worker is stopped or about to die.
    pub(crate) fn is_calm(&self) -> bool {
        self.workers.iter().all(|it| it.frozen.is_none() && it.condemned.is_none())
    }

    /// How many have been started.
    pub(crate) const fn lives(&self) -> usize {
        self.lives
    }

    /// Tells all workers to leave, and waits until they have.
    pub(crate) async fn dismiss(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            drop(worker.child.stdin.take());
        }
        let begun = Instant::now();
        for worker in &mut self.workers {
            let status = loop {
                match worker.child.try_wait()? {
                    Some(status) => break Some(status),
                    None if begun.elapsed() > LEAVING => break None,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            match status {
                Some(status) if status.success() => {}
                Some(status) => self.strays.push(format!("{} left badly: {status}", worker.name)),
                None => self.strays.push(format!("{} does not leave", worker.name)),
            }
        }
        Ok(())
    }
}

fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            _ = worker.child.kill();
            _ = worker.child.wait();
        }
    }
}
