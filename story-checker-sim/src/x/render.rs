//! The JSON of the X API.

use serde_json::{Map, Value, json};

use super::params::Fields;
use super::people::{Person, XAccountKind, XLink, XMedia};
use super::posts::{Media, Post};
use crate::calendar;
use crate::config::{XProblemHost, XSettings, XSpelling};
use crate::hash;
use crate::time::Timestamp;

/// How one answer spells fields, and which host its problems name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    says_post: bool,
    is_x: bool,
}

impl Dialect {
    pub(super) fn of(settings: &XSettings, draw: u64) -> Self {
        let coin = |salt| hash::pair(draw, salt).is_multiple_of(2);
        Self {
            says_post: match settings.spelling {
                XSpelling::Tweet => false,
                XSpelling::Post => true,
                XSpelling::Either => coin(1),
            },
            is_x: match settings.problem_host {
                XProblemHost::X => true,
                XProblemHost::Twitter => false,
                XProblemHost::Either => coin(2),
            },
        }
    }

    pub(super) fn problem(self, name: &str) -> String {
        let host = if self.is_x { "api.x.com" } else { "api.twitter.com" };
        format!("https://{host}/2/problems/{name}")
    }

    fn spell(self, tweet: &str) -> String {
        if self.says_post { tweet.replace("tweet", "post") } else { tweet.into() }
    }
}

/// What is wrong with an account, as an entry of `errors`: `None` for one that can be looked up.
pub(super) fn missing(
    dialect: Dialect,
    kind: XAccountKind,
    parameter: &str,
    value: &str,
) -> Option<Value> {
    // As the real one says it: a user, found by username, is looked for by usernames too.
    let (title, detail) = match kind {
        XAccountKind::Public | XAccountKind::Protected => return None,
        XAccountKind::Suspended => ("Forbidden", format!("User has been suspended: [{value}].")),
        XAccountKind::NotFound => {
            ("Not Found Error", format!("Could not find user with {parameter}: [{value}]."))
        }
    };
    Some(problem(dialect, title, &detail, "resource-not-found", parameter, value))
}

/// Why nobody may read the posts of a protected account, as an entry of `errors`.
pub(super) fn not_authorized(dialect: Dialect, id: &str) -> Value {
    let detail = format!("Sorry, you are not authorized to see the user with id: [{id}].");
    problem(dialect, "Authorization Error", &detail, "not-authorized-for-resource", "id", id)
}

fn problem(
    dialect: Dialect,
    title: &str,
    detail: &str,
    kind: &str,
    parameter: &str,
    value: &str,
) -> Value {
    json!({
        "title": title,
        "detail": detail,
        "type": dialect.problem(kind),
        "resource_type": "user",
        "parameter": parameter,
        "resource_id": value,
        "value": value,
    })
}

pub(super) fn user(person: &Person, fields: &Fields) -> Value {
    let mut user = json!({
        "id": person.id.to_string(),
        "name": person.name.replace('_', " "),
        "username": person.name,
    });
    for field in &fields.user {
        match field.as_str() {
            "protected" => user["protected"] = (person.kind == XAccountKind::Protected).into(),
            "verified" => user["verified"] = false.into(),
            "created_at" => {
                let day = hash::pair(person.key, 20) % 5_000;
                user["created_at"] =
                    moment(Timestamp::from_unix_secs(1_300_000_000 + day * 86_400)).into();
            }
            _ => {}
        }
    }
    user
}

/// The answer about a page of posts, newest first; `next` is the token of the page behind it.
pub(super) fn page(
    settings: &XSettings,
    dialect: Dialect,
    fields: &Fields,
    posts: &[&Post],
    next: Option<String>,
    is_later_page: bool,
) -> Value {
    let mut meta = json!({ "result_count": posts.len() });
    if let (Some(newest), Some(oldest)) = (posts.first(), posts.last()) {
        meta["newest_id"] = newest.id.to_string().into();
        meta["oldest_id"] = oldest.id.to_string().into();
    }
    if let Some(next) = next {
        meta["next_token"] = next.into();
    }
    if is_later_page {
        meta["previous_token"] = "77qp8".into();
    }
    let mut answer = json!({ "meta": meta });
    // No posts: no `data` at all.
    if posts.is_empty() {
        return answer;
    }
    answer["data"] = posts.iter().map(|post| self::post(dialect, fields, post)).collect();
    let expands = |name: &str| fields.expansions.iter().any(|expansion| expansion == name);
    let mut includes = Map::new();
    if expands("attachments.media_keys") {
        let all = posts.iter().flat_map(|post| &post.media);
        let (lost, found): (Vec<&Media>, Vec<_>) =
            all.partition(|media| hash::pair(media.id, 81) % 100 < u64::from(settings.partial));
        if !found.is_empty() {
            includes.insert("media".into(), found.into_iter().map(|m| media(fields, *m)).collect());
        }
        if !lost.is_empty() {
            answer["errors"] = lost.into_iter().map(|media| lost_media(dialect, *media)).collect();
        }
    }
    if expands("author_id") {
        let mut users: Vec<Value> = Vec::new();
        for post in posts {
            let (id, name) = (post.author.to_string(), &post.author_name);
            let user = json!({ "id": id, "name": name.replace('_', " "), "username": name });
            if !users.contains(&user) {
                users.push(user);
            }
        }
        includes.insert("users".into(), users.into());
    }
    if !includes.is_empty() {
        answer["includes"] = includes.into();
    }
    answer
}

fn post(dialect: Dialect, fields: &Fields, post: &Post) -> Value {
    let id = post.id.to_string();
    let mut value = json!({ "id": id, "text": post.text });
    value[dialect.spell("edit_history_tweet_ids")] = json!([id]);
    let is_asked = |field: &str, expansion: &str| {
        fields.post.iter().any(|asked| asked == field)
            || fields.expansions.iter().any(|asked| asked == expansion)
    };
    if is_asked("created_at", "") {
        value["created_at"] = moment(post.at).into();
    }
    if is_asked("lang", "") {
        value["lang"] = "en".into();
    }
    if is_asked("conversation_id", "") {
        value["conversation_id"] = id.into();
    }
    if is_asked("author_id", "author_id") {
        value["author_id"] = post.author.to_string().into();
    }
    if !post.media.is_empty() && is_asked("attachments", "attachments.media_keys") {
        let keys: Vec<_> = post.media.iter().map(|media| media.key()).collect();
        value["attachments"] = json!({ "media_keys": keys });
    }
    if let Some((link, other)) = post.link
        && (is_asked("referenced_tweets", "referenced_tweets.id")
            || is_asked("referenced_posts", "referenced_posts.id"))
    {
        let kind = match link {
            XLink::Reply => "replied_to",
            XLink::Retweet => "retweeted",
        };
        value[dialect.spell("referenced_tweets")] =
            json!([{ "type": kind, "id": other.to_string() }]);
    }
    value
}

/// Media that the answer names and does not include.
fn lost_media(dialect: Dialect, media: Media) -> Value {
    let key = media.key();
    json!({
        "title": "Not Found Error",
        "detail": format!("Could not find media with attachments.media_keys: [{key}]."),
        "type": dialect.problem("resource-not-found"),
        "resource_type": "media",
        "parameter": "attachments.media_keys",
        "resource_id": key,
        "value": key,
    })
}

fn media(fields: &Fields, media: Media) -> Value {
    let Media { kind, id } = media;
    let mut value = json!({ "media_key": media.key(), "type": kind });
    for field in &fields.media {
        let part: Option<Value> = match (field.as_str(), kind) {
            ("url", XMedia::Photo) => Some(format!("https://pbs.sim.test/media/{id}.jpg").into()),
            ("preview_image_url", XMedia::Video | XMedia::AnimatedGif) => {
                Some(format!("https://pbs.sim.test/preview/{id}.jpg").into())
            }
            ("variants", XMedia::Video | XMedia::AnimatedGif) => Some(variants(media)),
            ("duration_ms", XMedia::Video) => Some((3_000 + hash::mix(id) % 57_000).into()),
            ("width", _) => Some(720.into()),
            ("height", _) => Some(1280.into()),
            ("alt_text", XMedia::Photo) => Some("a kettle".into()),
            _ => None,
        };
        if let Some(part) = part {
            value[field.as_str()] = part;
        }
    }
    value
}

/// The best is not the first, and a playlist has no bit rate.
fn variants(media: Media) -> Value {
    let file = |rate: u64| {
        let url = format!("https://video.sim.test/{}/{rate}.mp4", media.id);
        json!({ "bit_rate": rate, "content_type": "video/mp4", "url": url })
    };
    if media.kind == XMedia::AnimatedGif {
        return json!([file(0)]);
    }
    let playlist = json!({
        "content_type": "application/x-mpegURL",
        "url": format!("https://video.sim.test/{}/v.m3u8", media.id),
    });
    json!([file(632_000), playlist, file(2_176_000), file(950_000)])
}

/// A moment as the API writes it: in milliseconds that are always zero.
fn moment(time: Timestamp) -> String {
    calendar::iso(time) + ".000Z"
}
