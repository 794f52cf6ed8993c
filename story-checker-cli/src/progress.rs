//! What is said while a run goes on, on standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::settings;
use crate::tally::Tally;

/// Bad lines are told one by one up to this many.
const TOLD: u64 = 20;

const TEMPLATE: &str = "{bar:24.cyan/dim} {pos}/{len} {percent}%  {rate}/s  {eta} left  {msg}";

/// Says how a run goes; all that writes to the terminal meanwhile goes through it, so that the bar
/// and other lines do not tear each other. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Voice(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bar: Option<ProgressBar>,
    /// Progress as lines, where there is no terminal but progress is wanted.
    lines: bool,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    shown: Instant,
    problems: u64,
}

impl Voice {
    pub(crate) fn new(progress: settings::Progress, quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let wanted = match progress {
            settings::Progress::Auto => terminal && !quiet,
            settings::Progress::Always => true,
            settings::Progress::Never => false,
        };
        let bar = (wanted && terminal).then(|| {
            let style = ProgressStyle::with_template(TEMPLATE)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
                    // A bar that cannot be drawn harms nobody.
                    _ = write!(text, "{:.0}", state.per_sec());
                })
                .progress_chars("━━─");
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        let state = Mutex::new(State { started: now, shown: now, problems: 0 });
        Self(Arc::new(Inner { bar, lines: wanted && !terminal, quiet, state }))
    }

    /// Whether anyone looks at the progress.
    pub(crate) fn shows_progress(&self) -> bool {
        self.0.bar.is_some() || self.0.lines
    }

    /// Runs something that writes to the terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says something, unless quiet.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if !self.0.quiet {
            self.print(text);
        }
    }

    /// Names a line that is no account: the first few in full, quiet or not.
    pub(crate) fn problem(&self, problem: impl std::fmt::Display) {
        let count = {
            let mut state = self.state();
            state.problems += 1;
            state.problems
        };
        if count <= TOLD {
            self.print(problem);
        }
    }

    /// How many problems there were; says so if some of them were not told.
    pub(crate) fn finish_problems(&self) -> u64 {
        let count = self.state().problems;
        if count > TOLD {
            self.print(format_args!("{} more bad lines are not listed", count - TOLD));
        }
        count
    }

    /// Shows how far the run is. Cheap: it draws only now and then.
    pub(crate) fn progress(&self, tally: &Tally, total: u64, last: bool) {
        // Before the first target is read there is nothing to show.
        if !self.shows_progress() || total.max(tally.total()) == 0 {
            return;
        }
        let every = Duration::from_millis(if self.0.lines { 2_000 } else { 50 });
        let elapsed = {
            let mut state = self.state();
            if state.shown.elapsed() < every && !last {
                return;
            }
            state.shown = Instant::now();
            state.started.elapsed()
        };
        let counts = format!(
            "{} active, {} no story, {} unknown",
            tally.active, tally.no_story, tally.unknown
        );
        let done = tally.total();
        match &self.0.bar {
            Some(bar) => {
                bar.set_length(total.max(done));
                bar.set_position(done);
                bar.set_message(counts);
            }
            None => {
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
                self.print(format_args!("{done}/{total} checked, {rate:.0}/s: {counts}"));
            }
        }
    }

    /// Shows how far something is that has no known end. Cheap: it draws only now and then.
    pub(crate) fn step(&self, text: impl fmt::Display, last: bool) {
        if !self.shows_progress() {
            return;
        }
        let every = Duration::from_millis(if self.0.lines { 2_000 } else { 50 });
        {
            let mut state = self.state();
            if state.shown.elapsed() < every && !last {
                return;
            }
            state.shown = Instant::now();
        }
        match &self.0.bar {
            Some(bar) => {
                bar.set_style(ProgressStyle::default_spinner());
                bar.set_message(text.to_string());
                bar.tick();
            }
            None => self.print(text),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }

    fn print(&self, text: impl std::fmt::Display) {
        // Nobody can be told that standard error is closed.
        self.aside(|| drop(writeln!(anstream::stderr(), "{text}")));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Log lines go to standard error beside the bar.
impl Write for Voice {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.aside(|| anstream::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
