use std::{error::Error, io::Write};

use crate::figure::Figure;

/// A bench: a name to call it by, what it measures, and the function that does.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    name: &'static str,
    about: &'static str,
    run: Measure,
}

/// Hands each figure to its argument as soon as it is known.
type Measure = fn(&mut dyn FnMut(Figure)) -> Result<(), Box<dyn Error + Send + Sync>>;

impl Bench {
    /// Returns a bench for the table of the binary.
    pub const fn new(name: &'static str, about: &'static str, run: Measure) -> Self {
        Self { name, about, run }
    }
}

/// Runs the benches named in `arguments`, all of them if none is named, and returns the exit code.
///
/// Each figure becomes one JSON line on `out`; everything else goes to `err`. `--list` prints one
/// name per line with what it measures. The code is 0 if every bench ran (whether its figures hold
/// or not: the lines tell), 1 if one could not run, 2 if a name is unknown.
pub fn run(
    benches: &[Bench],
    arguments: &[String],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    if arguments.iter().any(|argument| argument == "--list") {
        return print_list(benches, out);
    }
    let mut chosen = Vec::new();
    for name in arguments {
        let Some(bench) = benches.iter().find(|bench| bench.name == name) else {
            let _ = writeln!(err, "bench: no bench is named {name:?}; there are:");
            print_list(benches, err);
            return 2;
        };
        chosen.push(bench);
    }
    if chosen.is_empty() {
        chosen.extend(benches);
    }
    let mut code = 0;
    for bench in chosen {
        let mut broken = None;
        let measured = (bench.run)(&mut |figure| {
            if let Err(error) = writeln!(out, "{figure}").and_then(|()| out.flush()) {
                broken.get_or_insert(error);
            }
        });
        if let Err(error) = measured {
            let _ = writeln!(err, "bench {}: {error}", bench.name);
            code = 1;
        }
        if let Some(error) = broken {
            let _ = writeln!(err, "bench {}: cannot print its figures: {error}", bench.name);
            code = 1;
        }
    }
    code
}

fn print_list(benches: &[Bench], out: &mut dyn Write) -> u8 {
    let printed = benches.iter().try_for_each(|b| writeln!(out, "{:<16} {}", b.name, b.about));
    u8::from(printed.is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCHES: &[Bench] = &[
        Bench::new("quick", "does next to nothing", |print| {
            print(Figure::at_most("quick", "steps", 1.0, "", 2.0));
            print(Figure::at_most("quick", "waits", 3.0, "", 2.0));
            Ok(())
        }),
        Bench::new("broken", "cannot start", |_| Err("no server".into())),
    ];

    fn call(arguments: &[&str]) -> (u8, String, String) {
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(BENCHES, &arguments, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_named_bench_prints_one_json_line_per_figure() {
        let (code, out, err) = call(&["quick"]);
        assert_eq!((code, err.as_str()), (0, ""));
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["holds"], &lines[1]["holds"]), (&true.into(), &false.into()));
    }

    #[test]
    fn no_name_runs_all_and_a_bench_that_cannot_run_fails_the_call() {
        let (code, out, err) = call(&[]);
        assert_eq!(code, 1);
        assert_eq!(out.lines().count(), 2);
        assert_eq!(err, "bench broken: no server\n");
    }

    #[test]
    fn the_list_names_every_bench() {
        let (code, out, _) = call(&["--list"]);
        assert_eq!(code, 0);
        assert!(out.contains("quick  ") && out.contains("cannot start"), "{out}");
    }

    #[test]
    fn an_unknown_name_runs_nothing_and_shows_the_list() {
        let (code, out, err) = call(&["quick", "nothing"]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("\"nothing\"") && err.contains("quick"), "{err}");
    }
}
