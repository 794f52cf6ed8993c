//! What a bench needs to know about processes: on which core they run, and what they have used.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Any error that stops a bench.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Pins a process with all its threads to one core, if there is more than one and `taskset` exists.
pub(crate) fn pin(process: u32, core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > core {
        let mut taskset = Command::new("taskset");
        taskset.args(["-a", "-c", "-p", &core.to_string(), &process.to_string()]);
        // Not pinned is still a measurement, only a noisier one.
        let _ = taskset.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The processor time that this process has used, user and system together.
pub(crate) fn cpu_time() -> Result<Duration, BoxError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold spaces; the fields after it are fixed.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| {
        fields.get(field).ok_or("short /proc/self/stat")?.parse::<u64>().map_err(BoxError::from)
    };
    // Fields 14 and 15 of proc(5), in ticks of 10 ms on every Linux we know.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// The largest resident set that this process ever had, in MB.
pub(crate) fn peak_memory() -> Result<f64, BoxError> {
    Ok(status("VmHWM:")? / 1e6)
}

/// The resident set of this process, in bytes.
pub(crate) fn resident_memory() -> Result<f64, BoxError> {
    status("VmRSS:")
}

fn status(field: &str) -> Result<f64, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let line = line.ok_or_else(|| format!("no {field} in /proc/self/status"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What 99 of 100 do not exceed.
pub(crate) fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99).div_ceil(100) - 1]
}
