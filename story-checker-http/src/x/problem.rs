//! What the API says is wrong. It has three ways to say so: a body that is a problem (RFC 9457), a
//! list of errors with codes, and a list of problems beside the data of a 200.

use std::borrow::Cow;

use serde_json::Value;

use crate::client::contains;

/// One problem, in whatever form. Any part of it may be missing or odd.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem(Value);

impl Problem {
    /// The problems in an `errors` field.
    pub(super) fn listed(errors: Value) -> Vec<Self> {
        match errors {
            Value::Null => Vec::new(),
            Value::Array(list) => list.into_iter().map(Self).collect(),
            odd => vec![Self(odd)],
        }
    }

    /// The problems of a whole body: its own first, then the listed ones.
    pub(super) fn all(mut body: Value) -> Vec<Self> {
        let errors = body.get_mut("errors").map(Value::take).unwrap_or_default();
        let own = ["type", "title", "detail", "code"].iter().any(|field| body.get(field).is_some());
        own.then_some(Self(body)).into_iter().chain(Self::listed(errors)).collect()
    }

    /// The last part of its type: the host before it has changed, and may again.
    pub(super) fn kind(&self) -> &str {
        self.word("type").rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn code(&self) -> Option<u64> {
        let code = self.0.get("code")?;
        code.as_u64().or_else(|| code.as_str()?.parse().ok())
    }

    pub(super) fn title(&self) -> &str {
        self.word("title")
    }

    /// Whether it says this of what was asked about.
    pub(super) fn says(&self, phrase: &str) -> bool {
        ["detail", "message"].iter().any(|field| contains(self.word(field), phrase))
    }

    /// What it is about: a name or an id; none if it does not say.
    pub(super) fn subject(&self) -> Option<Cow<'_, str>> {
        ["value", "resource_id"].iter().find_map(|field| match self.0.get(field)? {
            Value::String(text) if !text.is_empty() => Some(Cow::Borrowed(text.as_str())),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        })
    }

    /// Whether a post with media may be missing because of it.
    pub(super) fn may_hide_media(&self) -> bool {
        let field = self.word("field");
        let elsewhere = !field.is_empty() && !field.contains("attachments");
        self.word("section") != "includes" && self.word("resource_type") != "media" && !elsewhere
    }

    /// How it reads in evidence.
    pub(super) fn fact(&self) -> String {
        let plain = |text: &str| {
            let legal = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_');
            (1..=40).contains(&text.len()) && text.bytes().all(legal)
        };
        let kind = Some(self.kind()).filter(|kind| plain(kind)).unwrap_or("of an unknown kind");
        match self.word("resource_type") {
            what if plain(what) => {
                format!("the answer also tells a problem ({kind}, about a {what})")
            }
            _ => format!("the answer also tells a problem ({kind})"),
        }
    }

    fn word(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(json: &str) -> Vec<Problem> {
        Problem::all(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn all_three_forms_are_read() {
        let own = all(
            r#"{"title":"Forbidden","type":"https://api.x.com/2/problems/client-forbidden","status":403}"#,
        );
        assert_eq!(
            (own.len(), own[0].kind(), own[0].title()),
            (1, "client-forbidden", "Forbidden")
        );
        let legacy =
            all(r#"{"errors":[{"code":88,"message":"Rate limit exceeded"},{"code":"32"}]}"#);
        assert_eq!(legacy.iter().map(Problem::code).collect::<Vec<_>>(), [Some(88), Some(32)]);
        assert!(legacy[0].says("rate limit"));
        let both = all(
            r#"{"errors":[{"message":"x"}],"title":"Invalid Request","type":"a/invalid-request"}"#,
        );
        assert_eq!((both.len(), both[0].kind()), (2, "invalid-request"));
    }

    #[test]
    fn odd_problems_are_problems_without_words() {
        for json in [
            r#"{"errors":"odd"}"#,
            r#"{"errors":[7]}"#,
            r#"{"errors":[[]]}"#,
            r#"{"errors":[{"type":7,"code":-1,"value":{},"detail":null}]}"#,
            r#"{"type":"PLANTED words"}"#,
        ] {
            let problems = all(json);
            assert_eq!((problems.len(), problems[0].code()), (1, None), "{json}");
            assert_eq!(problems[0].subject(), None);
            assert!(problems[0].may_hide_media());
            assert!(problems[0].fact().ends_with("(of an unknown kind)"));
        }
        assert!(
            all("{}").is_empty() && all(r#"{"errors":null}"#).is_empty() && all("[]").is_empty()
        );
    }

    #[test]
    fn a_problem_about_media_or_another_field_hides_no_post() {
        let hides = |json: &str| Problem(serde_json::from_str(json).unwrap()).may_hide_media();
        assert!(hides(r#"{"resource_type":"tweet"}"#));
        assert!(hides(r#"{"field":"attachments.media_keys","resource_type":"tweet"}"#));
        assert!(!hides(r#"{"field":"created_at","resource_type":"tweet"}"#));
        assert!(!hides(r#"{"resource_type":"media"}"#));
        assert!(!hides(r#"{"section":"includes"}"#));
    }
}
