use std::fmt;

use serde::Serialize;

/// One measured number, what it should be, and whether it is.
///
/// Its `Display` form is the JSON line that `benches/run` prints.
///
/// # Examples
///
/// ```
/// use story_checker_benches::Figure;
///
/// let figure = Figure::at_most("build", "cold_check", 14.2, "s", 20.0);
/// assert!(figure.holds());
/// assert_eq!(
///     figure.to_string(),
///     r#"{"bench":"build","figure":"cold_check","value":14.2,"unit":"s","aim":"<= 20","holds":true}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    bench: String,
    figure: String,
    value: f64,
    unit: String,
    aim: String,
    holds: bool,
}

impl Figure {
    /// Returns a figure that should not be above `aim`.
    pub fn at_most(bench: &str, figure: &str, value: f64, unit: &str, aim: f64) -> Self {
        Self::new(bench, figure, value, unit, format!("<= {aim}"), value <= aim)
    }

    /// Returns a figure that should not be below `aim`.
    pub fn at_least(bench: &str, figure: &str, value: f64, unit: &str, aim: f64) -> Self {
        Self::new(bench, figure, value, unit, format!(">= {aim}"), value >= aim)
    }

    /// Returns a figure that only informs: its aim is empty and it always holds.
    pub fn info(bench: &str, figure: &str, value: f64, unit: &str) -> Self {
        Self::new(bench, figure, value, unit, String::new(), true)
    }

    fn new(bench: &str, figure: &str, value: f64, unit: &str, aim: String, holds: bool) -> Self {
        Self {
            bench: bench.to_owned(),
            figure: figure.to_owned(),
            value,
            unit: unit.to_owned(),
            aim,
            holds,
        }
    }

    /// Whether the value meets its aim. A value that is not a number never does.
    pub fn holds(&self) -> bool {
        self.holds
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_met_at_its_limit_and_missed_beyond_it() {
        assert!(Figure::at_most("b", "f", 20.0, "s", 20.0).holds());
        assert!(!Figure::at_most("b", "f", 20.1, "s", 20.0).holds());
        assert!(Figure::at_least("b", "f", 0.8, "", 0.8).holds());
        assert!(!Figure::at_least("b", "f", 0.79, "", 0.8).holds());
    }

    #[test]
    fn not_a_number_never_holds_and_is_still_json() {
        let figure = Figure::at_least("b", "f", f64::NAN, "%", 95.0);
        assert!(!figure.holds());
        assert_eq!(
            figure.to_string(),
            r#"{"bench":"b","figure":"f","value":null,"unit":"%","aim":">= 95","holds":false}"#
        );
    }

    #[test]
    fn the_line_escapes_what_json_must_escape() {
        let line = Figure::info("a\"b", "two\nlines", 1.0, "µs").to_string();
        assert!(!line.contains('\n'));
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["bench"], "a\"b");
        assert_eq!(back["figure"], "two\nlines");
        assert_eq!(back["holds"], true);
    }
}
