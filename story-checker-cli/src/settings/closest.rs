//! Misspelt names.

/// How alike two names must be before one is taken for a misspelling of the other; clap asks the
/// same of arguments.
const ALIKE: f64 = 0.7;

/// A longer word is no misspelling, and comparing takes the square of its length.
const LONGEST: usize = 80;

/// `; did you mean NAME?`, or nothing if no known name is alike.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    if word.len() > LONGEST {
        return String::new();
    }
    let alike = known.map(|name| (strsim::jaro(word, name), name));
    match alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_name_is_offered_or_none() {
        let hint = |word: &str| did_you_mean(word, ["deadline", "quiet", "max_batch"].into_iter());
        assert_eq!(hint("deadlin"), "; did you mean deadline?");
        assert_eq!(hint("max-batch"), "; did you mean max_batch?");
        assert_eq!(hint("speed"), "");
        assert_eq!(hint(&"deadline".repeat(20)), "");
    }
}
