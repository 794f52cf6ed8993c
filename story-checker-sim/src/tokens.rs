//! Access tokens by number: their text, and from when on they are refused.

use crate::catalogue::{Row, row};
use crate::hash;
use crate::time::Timestamp;

/// The tokens of one API. Their texts follow from the seed.
#[derive(Debug)]
pub(crate) struct Tokens {
    prefix: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Default)]
struct Token {
    refused: Option<&'static Row>,
    /// Changes from a moment on, in the order of time.
    changes: Vec<(Timestamp, Option<&'static Row>)>,
    /// The last refusal that said that the owner must act.
    told: Option<&'static str>,
    requests: u64,
}

/// What a token is refused with.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) row: &'static Row,
    /// It was told the same before, and that its owner must act.
    pub(crate) again: bool,
}

impl Tokens {
    /// `prefix` is what the real ones begin with.
    pub(crate) fn new(prefix: &str, seed: u64, count: usize) -> Self {
        let secret = hash::bytes(hash::pair(seed, 70), prefix.as_bytes());
        let tokens = std::iter::repeat_with(Token::default).take(count).collect();
        Self { prefix: format!("{prefix}{secret:016x}"), tokens }
    }

    /// The text of a token. Every renewal makes a new text for the same token.
    pub(crate) fn text(&self, index: usize, renewal: usize) -> Option<String> {
        (index < self.tokens.len()).then(|| format!("{}n{index}r{renewal}", self.prefix))
    }

    /// The number of the token with this text, and which renewal it is.
    pub(crate) fn find(&self, text: &str) -> Option<(usize, usize)> {
        let (index, renewal) =
            text.strip_prefix(&self.prefix)?.strip_prefix('n')?.split_once('r')?;
        let (index, renewal) = (index.parse().ok()?, renewal.parse().ok()?);
        (self.text(index, renewal)? == text).then_some((index, renewal))
    }

    /// Counts a request and returns how many came before.
    pub(crate) fn arrive(&mut self, index: usize) -> u64 {
        self.tokens.get_mut(index).map_or(0, |token| {
            token.requests += 1;
            token.requests - 1
        })
    }

    /// Refuses a token with a catalogue row, or accepts it (`None`): for good, or from a moment on.
    /// Says whether there are such a token and such a row.
    pub(crate) fn set(&mut self, index: usize, id: Option<&str>, from: Option<Timestamp>) -> bool {
        let refused = id.and_then(row);
        let Some(token) = self.tokens.get_mut(index) else { return false };
        if id.is_some() && refused.is_none() {
            return false;
        }
        match from {
            Some(from) => {
                token.changes.retain(|(other, _)| *other < from);
                token.changes.push((from, refused));
            }
            None => {
                token.refused = refused;
                token.changes.clear();
            }
        }
        true
    }

    /// Refuses a token from now on with the row that it is just told.
    pub(crate) fn fall(
        &mut self,
        index: usize,
        row: &'static Row,
        now: Timestamp,
        owner_acts: &[&str],
    ) {
        self.set(index, Some(row.id), Some(now));
        self.refuse(index, now, owner_acts);
    }

    /// The row that a token is refused with at a moment.
    pub(crate) fn refused(&self, index: usize, at: Timestamp) -> Option<&'static Row> {
        let token = self.tokens.get(index)?;
        let changes = token.changes.iter().rev();
        changes.copied().find(|(from, _)| *from <= at).map_or(token.refused, |(_, row)| row)
    }

    /// Refuses a request if its token is refused now. `owner_acts` says after which rows only the
    /// owner of the token can help.
    pub(crate) fn refuse(
        &mut self,
        index: usize,
        now: Timestamp,
        owner_acts: &[&str],
    ) -> Option<Refusal> {
        let row = self.refused(index, now);
        let token = self.tokens.get_mut(index)?;
        let told = row.map(|row| row.id).filter(|id| owner_acts.contains(id));
        let again = told.is_some() && token.told == told;
        token.told = told;
        row.map(|row| Refusal { row, again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_secs(1_795_262_400);

    #[test]
    fn only_the_exact_text_is_a_token() {
        let tokens = Tokens::new("EAA", 7, 12);
        let text = tokens.text(11, 2).unwrap();
        assert_eq!(tokens.find(&text), Some((11, 2)));
        for wrong in [
            text.replace("n11", "n12"),
            text.replace("n11", "n011"),
            text.replace("n11", "n+11"),
            text.replace("EAA", "EAB"),
            text.clone() + " ",
            String::new(),
        ] {
            assert_eq!(tokens.find(&wrong), None, "{wrong}");
        }
        assert_eq!(tokens.text(12, 0), None);
        assert_eq!(Tokens::new("EAA", 8, 12).find(&text), None);
    }

    #[test]
    fn a_refusal_can_lie_ahead_and_end() {
        let mut tokens = Tokens::new("EAA", 7, 1);
        let at = |secs| Timestamp::from_unix_secs(NOON.unix_secs() + secs);
        assert!(tokens.set(0, Some("G190-459"), Some(at(10))));
        assert!(tokens.set(0, None, Some(at(20))));
        let refused = |tokens: &Tokens, secs| tokens.refused(0, at(secs)).map(|row| row.id);
        assert_eq!(refused(&tokens, 9), None);
        assert_eq!(refused(&tokens, 10), Some("G190-459"));
        assert_eq!(refused(&tokens, 20), None);
        assert!(!tokens.set(1, None, None));
        assert!(!tokens.set(0, Some("no such row"), None));
        assert!(tokens.set(0, Some("G190"), None));
        assert_eq!(refused(&tokens, 20), Some("G190"));
    }

    #[test]
    fn who_goes_on_after_the_owner_was_called_is_noticed() {
        let mut tokens = Tokens::new("EAA", 7, 1);
        let mut again = |row: &str| {
            assert!(tokens.set(0, Some(row), None));
            tokens.refuse(0, NOON, &["G190-459"]).unwrap().again
        };
        assert!(!again("G190-459"));
        assert!(again("G190-459"));
        assert!(!again("G190"));
        assert!(!again("G190-459"));
    }
}
