//! What the pages about one target mean, taken together.

use std::borrow::Cow;
use std::time::Duration;

use story_checker_core::{Class, Fault, Item, Scope, Timestamp, Verdict};

use crate::x::post::Post;
use crate::x::problem::Problem;

/// From where on posts count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// After this one.
    Post(u64),
    /// Younger than this by the server's time.
    Window(Duration),
}

/// What the pages have shown.
#[derive(Debug)]
pub(super) struct Poll {
    pub(super) start: Start,
    /// The time by which posts are judged: the server's at the first page, or else ours.
    pub(super) now: Timestamp,
    pub(super) server_time: Option<Timestamp>,
    /// The newest post of the first page that has one.
    pub(super) newest: Option<u64>,
    pub(super) posts: Vec<Post>,
    pub(super) problems: Vec<Problem>,
    /// Where the page after the last one is, if there is one.
    pub(super) next: Option<String>,
}

/// What they mean.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) items: Vec<Item>,
    pub(super) facts: Vec<Cow<'static, str>>,
}

impl Poll {
    /// The verdict, or why there is none.
    pub(super) fn outcome(self) -> Result<Outcome, Fault> {
        let Self { start, now, server_time, newest, mut posts, problems, next } = self;
        posts.retain(|post| match start {
            Start::Post(last) => post.first_id > last,
            Start::Window(window) => now.since(post.at) < window,
        });
        // If one is there twice, the one with media counts.
        posts.sort_by_key(|post| (post.at, post.id, post.item.is_none()));
        posts.dedup_by_key(|post| post.id);
        let count = posts.len();
        let items: Vec<_> = posts.into_iter().filter_map(|post| post.item).collect();
        let since = match start {
            Start::Post(last) => format!("post {last}"),
            Start::Window(window) => (now - window).to_string(),
        };
        let (verdict, fact) = if !items.is_empty() {
            (Verdict::Active, format!("{} of {count} posts since {since} have media", items.len()))
        } else if next.is_some() {
            let text = format!(
                "none of the first {count} posts since {since} has media, and there are more: \
                 raise max_pages, or search for has:media"
            );
            return Err(Fault::new(Class::Permanent, Scope::Target, text));
        } else if problems.iter().any(Problem::may_hide_media) {
            let text = "the platform left out parts of its answer that may have media";
            return Err(Fault::new(Class::Transient, Scope::Endpoint, text));
        } else {
            let fact =
                format!("the answer is complete: {count} posts since {since}, none with media");
            (Verdict::NoStory, fact)
        };
        let mut facts: Vec<Cow<'static, str>> = vec![fact.into()];
        facts.push(match server_time {
            Some(at) => format!("the server's time was {at}").into(),
            None => "the server did not tell its time; our clock was taken".into(),
        });
        facts.extend(newest.map(|id| format!("the newest post is {id}").into()));
        if next.is_some() {
            facts.push("there are more posts than were read: the oldest are missing".into());
        }
        let withheld = items.iter().filter(|item| item.media.is_empty());
        let withheld = withheld.map(|item| format!("the media of post {} is withheld", item.id));
        facts.extend(withheld.map(Cow::Owned));
        facts.extend(problems.iter().map(|problem| problem.fact().into()));
        Ok(Outcome { verdict, items, facts })
    }
}

#[cfg(test)]
mod tests;
