//! The part of the search language that checkers use.

use std::collections::BTreeSet;

use super::people::{XLink, XMedia, parse_name};
use super::posts::Post;

/// The most characters of a query. domain: recent search for self-serve access, X docs.
const LONGEST: usize = 512;
/// How deep groups may be nested.
const DEEPEST: usize = 16;

/// A query that can be asked of posts.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Query {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Term(Term),
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Term {
    From(String),
    HasMedia,
    Has(XMedia),
    Is(XLink),
    Tag(String),
    Mention(String),
    Phrase(Vec<String>),
}

/// Why a text is no query.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("Rule length exceeds the maximum of {LONGEST} characters")]
    Length,
    #[error("Rule must contain at least one positive, non-stopword clause")]
    OnlyConditions,
    #[error("Reference to invalid operator '{0}'")]
    Operator(String),
    #[error("no viable alternative at '{0}'")]
    Shape(String),
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, QueryError> {
        if text.chars().count() > LONGEST {
            return Err(QueryError::Length);
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let query = parser.any(0)?;
        match parser.peek() {
            Some(token) => Err(QueryError::Shape(token.text())),
            None if query.stands_alone() => Ok(query),
            None => Err(QueryError::OnlyConditions),
        }
    }

    pub(super) fn matches(&self, post: &Post) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(post)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(post)),
            Self::Not(part) => !part.matches(post),
            Self::Term(term) => term.matches(post),
        }
    }

    /// The only authors that can match; `None` for anybody.
    pub(super) fn authors(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::All(parts) => parts.iter().find_map(Self::authors),
            Self::Any(parts) => {
                let sets: Option<Vec<_>> = parts.iter().map(Self::authors).collect();
                sets.map(|sets| sets.into_iter().flatten().collect())
            }
            Self::Term(Term::From(name)) => Some(BTreeSet::from([name.as_str()])),
            Self::Not(_) | Self::Term(_) => None,
        }
    }

    /// Everybody that the query names: the search looks at them too.
    pub(super) fn named(&self) -> BTreeSet<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::named).collect(),
            Self::Term(Term::From(name)) => BTreeSet::from([name.as_str()]),
            Self::Not(_) | Self::Term(_) => BTreeSet::new(),
        }
    }

    /// Conditions alone (`has:media -is:retweet`) are no query.
    fn stands_alone(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::stands_alone),
            Self::Not(_) => false,
            Self::Term(term) => !matches!(term, Term::HasMedia | Term::Has(_) | Term::Is(_)),
        }
    }
}

impl Term {
    fn parse(word: &str) -> Result<Self, QueryError> {
        let lower = word.to_lowercase();
        let operator = || QueryError::Operator(word.into());
        Ok(match lower.split_once(':') {
            Some(("from", name)) => {
                let name = name.strip_prefix('@').unwrap_or(name);
                Self::From(parse_name(name).ok_or_else(operator)?)
            }
            Some(("has", "media")) => Self::HasMedia,
            Some(("has", "images")) => Self::Has(XMedia::Photo),
            Some(("has", "videos")) => Self::Has(XMedia::Video),
            Some(("is", "retweet")) => Self::Is(XLink::Retweet),
            Some(("is", "reply")) => Self::Is(XLink::Reply),
            Some(_) => return Err(operator()),
            None => match (lower.strip_prefix('#'), lower.strip_prefix('@')) {
                (Some(""), _) | (_, Some("")) => return Err(QueryError::Shape(word.into())),
                (Some(tag), _) => Self::Tag(tag.into()),
                (_, Some(name)) => Self::Mention(name.into()),
                (None, None) => Self::Phrase(words(&lower).collect()),
            },
        })
    }

    fn matches(&self, post: &Post) -> bool {
        let has_word = |mark: char, wanted: &str| {
            post.text.split_whitespace().any(|word| {
                word.strip_prefix(mark)
                    .map(|word| word.trim_end_matches(|letter: char| !letter.is_alphanumeric()))
                    .is_some_and(|word| word.to_lowercase() == wanted)
            })
        };
        match self {
            Self::From(name) => post.author_name == *name,
            Self::HasMedia => !post.media.is_empty(),
            Self::Has(kind) => post.media.iter().any(|media| media.kind == *kind),
            Self::Is(link) => post.is(*link),
            Self::Tag(tag) => has_word('#', tag),
            Self::Mention(name) => has_word('@', name),
            Self::Phrase(phrase) => {
                let text = post.text.to_lowercase();
                let text: Vec<_> = words(&text).collect();
                !phrase.is_empty() && text.windows(phrase.len()).any(|part| part == phrase)
            }
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    parts.filter(|part| !part.is_empty()).map(str::to_owned)
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Minus,
    Or,
    Word(String),
    Quoted(String),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Minus => "-".into(),
            Self::Or => "OR".into(),
            Self::Word(text) | Self::Quoted(text) => text.clone(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '-' => (Token::Minus, 1),
            '"' => {
                let length = rest[1..].find('"').ok_or_else(|| QueryError::Shape(rest.into()))?;
                (Token::Quoted(rest[1..=length].into()), length + 2)
            }
            _ => {
                let end =
                    |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | '"');
                let length = rest.find(end).unwrap_or(rest.len());
                match &rest[..length] {
                    "OR" => (Token::Or, length),
                    word => (Token::Word(word.into()), length),
                }
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// `OR` binds less than standing side by side.
    fn any(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Query::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut parts = vec![self.part(depth)?];
        while !matches!(self.peek(), None | Some(Token::Or | Token::Close)) {
            parts.push(self.part(depth)?);
        }
        Ok(one_or(parts, Query::All))
    }

    fn part(&mut self, depth: usize) -> Result<Query, QueryError> {
        if depth > DEEPEST {
            return Err(QueryError::Shape("(".into()));
        }
        let token = self.peek().ok_or_else(|| QueryError::Shape("<EOF>".into()))?;
        let query = match token {
            Token::Word(word) => Query::Term(Term::parse(word)?),
            Token::Quoted(text) => Query::Term(Term::Phrase(words(&text.to_lowercase()).collect())),
            Token::Minus => {
                self.at += 1;
                return Ok(Query::Not(Box::new(self.part(depth + 1)?)));
            }
            Token::Open => {
                self.at += 1;
                let query = self.any(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(QueryError::Shape("<EOF>".into()));
                }
                query
            }
            Token::Close | Token::Or => return Err(QueryError::Shape(token.text())),
        };
        self.at += 1;
        Ok(query)
    }
}

fn one_or(mut parts: Vec<Query>, many: impl FnOnce(Vec<Query>) -> Query) -> Query {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::x::posts::Media;

    fn post(author: &str, text: &str, media: &[XMedia], link: Option<XLink>) -> Post {
        let at = Timestamp::from_unix_secs(1_795_262_400);
        let media = media.iter().map(|&kind| Media { kind, id: 1 }).collect();
        let link = link.map(|link| (link, 1));
        let (author_name, text) = (author.into(), text.into());
        Post { id: 2, at, author: 7, author_name, text, media, link }
    }

    #[test]
    fn queries_find_what_they_describe() {
        let tea = post("tea_house", "Steam over the harbour #Tea", &[XMedia::Photo], None);
        let plain = post("other", "no tea today", &[], None);
        let repeat =
            post("other", "RT @tea_house: steam #tea", &[XMedia::Video], Some(XLink::Retweet));
        for (query, expected) in [
            ("#tea", [true, false, true]),
            ("#tea has:media -is:retweet", [true, false, false]),
            ("from:tea_house OR from:other", [true, true, true]),
            ("from:@Tea_House has:media", [true, false, false]),
            ("tea", [true, true, true]),
            ("\"over the harbour\"", [true, false, false]),
            ("\"the over\"", [false, false, false]),
            ("(#tea OR today) -has:media", [false, true, false]),
            ("-(#tea has:videos) steam", [true, false, false]),
            ("@tea_house", [false, false, true]),
            // AND binds tighter than OR.
            ("today OR #tea has:images", [true, true, false]),
            ("steam is:retweet", [false, false, true]),
        ] {
            let parsed = Query::parse(query).unwrap();
            assert_eq!(
                [&tea, &plain, &repeat].map(|post| parsed.matches(post)),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for text in ["", "(#tea", "#tea)", "OR #tea", "#tea OR", "\"open", "#", "-", "()"] {
            assert!(matches!(Query::parse(text), Err(QueryError::Shape(_))), "{text}");
        }
        for text in ["has:media", "has:media -is:retweet", "-#tea", "has:media OR is:reply"] {
            assert_eq!(Query::parse(text), Err(QueryError::OnlyConditions), "{text}");
        }
        for text in ["mood:good #tea", "has:soul #tea", "from:no-name"] {
            assert!(matches!(Query::parse(text), Err(QueryError::Operator(_))), "{text}");
        }
        assert!(Query::parse(&"a".repeat(512)).is_ok());
        assert_eq!(Query::parse(&"a".repeat(513)), Err(QueryError::Length));
        let deep = "(".repeat(200) + "a" + &")".repeat(200);
        assert!(Query::parse(&deep).is_err());
    }

    #[test]
    fn authors_are_known_where_all_branches_name_one() {
        let authors = |text: &str| {
            let query = Query::parse(text).unwrap();
            query.authors().map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(authors("from:a has:media OR from:b").unwrap(), ["a", "b"]);
        assert_eq!(authors("(from:a OR from:b) has:media").unwrap(), ["a", "b"]);
        assert_eq!(authors("from:a OR #tea"), None);
        assert_eq!(authors("#tea -from:a"), None);
    }
}
