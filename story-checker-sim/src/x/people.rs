//! Who is on X: pure functions of the seed and the name, except where a script says otherwise.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

use crate::accounts::numbered_name;
use crate::config::XSettings;
use crate::hash;
use crate::time::Timestamp;

/// The id of `acct_000000`.
const NUMBERED_BASE: u64 = 700_000_000;
/// How many names are numbered.
const NUMBERED_COUNT: u32 = 100_000_000;
/// Ids of other names are this and 46 bits of hash.
const HASHED_BASE: u64 = 1 << 46;

/// What an account on X is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum XAccountKind {
    /// Everybody may read.
    Public,
    /// Only followers may read, and no token follows anybody.
    Protected,
    /// The platform shut it.
    Suspended,
    /// Nobody has this name.
    NotFound,
}

/// What an account on X is and posts, set by hand instead of by the seed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct XAccountScript {
    /// What the account is.
    pub kind: XAccountKind,
    /// Every post that it ever writes.
    pub posts: Vec<XScriptedPost>,
}

impl XAccountScript {
    /// An account of this kind that posts nothing.
    pub const fn new(kind: XAccountKind) -> Self {
        Self { kind, posts: Vec::new() }
    }

    /// A public account with these posts.
    pub fn posting(posts: impl IntoIterator<Item = XScriptedPost>) -> Self {
        Self { kind: XAccountKind::Public, posts: posts.into_iter().collect() }
    }
}

/// One post set by hand. Its time counts in whole seconds, as on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct XScriptedPost {
    /// When it is posted.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
    /// What it shows.
    pub media: Vec<XMedia>,
    /// Whether it answers or repeats the post of another.
    pub link: Option<XLink>,
}

impl XScriptedPost {
    /// A post that only says something.
    pub fn new(at: Timestamp, text: impl Into<String>) -> Self {
        Self { at, text: text.into(), media: Vec::new(), link: None }
    }

    /// Adds media.
    #[must_use]
    pub fn with_media(mut self, media: XMedia) -> Self {
        self.media.push(media);
        self
    }

    /// Makes it a reply or a retweet.
    #[must_use]
    pub fn with_link(mut self, link: XLink) -> Self {
        self.link = Some(link);
        self
    }
}

/// A kind of media.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum XMedia {
    /// A photo.
    Photo,
    /// A video.
    Video,
    /// A silent video that repeats.
    AnimatedGif,
}

/// What a post is to the post of another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum XLink {
    /// An answer.
    Reply,
    /// A repetition.
    Retweet,
}

/// One account.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) id: u64,
    /// What everything hashed about it starts from.
    pub(super) key: u64,
    pub(super) kind: XAccountKind,
    pub(super) script: Option<Arc<XAccountScript>>,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct People {
    seed: u64,
    mix: [u64; 3],
    searchable: u32,
    registry: RwLock<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    /// The names behind hashed ids that were asked for.
    names: HashMap<u64, String>,
    scripts: BTreeMap<String, Arc<XAccountScript>>,
}

impl People {
    pub(super) fn new(seed: u64, settings: &XSettings) -> Self {
        Self {
            seed: hash::pair(seed, 80),
            mix: [settings.protected, settings.suspended, settings.not_found].map(u64::from),
            searchable: settings.searchable,
            registry: RwLock::default(),
        }
    }

    /// The account with this name, if the name is valid. It leaves no trace.
    pub(super) fn by_name(&self, raw: &str) -> Option<Person> {
        let name = parse_name(raw)?;
        let id = self.id(&name);
        Some(self.person(name, id))
    }

    /// The account with this id, if the id follows from a number or its name was seen before.
    pub(super) fn by_id(&self, id: u64) -> Option<Person> {
        let number = id.checked_sub(NUMBERED_BASE).and_then(|number| u32::try_from(number).ok());
        let name = match number.filter(|number| *number < NUMBERED_COUNT) {
            Some(number) => numbered_name(number),
            None => self.read(|registry| registry.names.get(&id).cloned())?,
        };
        Some(self.person(name, id))
    }

    /// Makes the id of a name known.
    pub(super) fn register(&self, raw: &str) -> Option<u64> {
        let name = parse_name(raw)?;
        let id = self.id(&name);
        if id >= HASHED_BASE && !self.read(|registry| registry.names.contains_key(&id)) {
            self.write(|registry| registry.names.insert(id, name));
        }
        Some(id)
    }

    /// Overrides an account, or gives it back to the seed. Says whether the name is valid.
    pub(super) fn set(&self, raw: &str, script: Option<XAccountScript>) -> bool {
        // A scripted account can be asked for by id at once.
        let (Some(name), Some(_)) = (parse_name(raw), self.register(raw)) else { return false };
        self.write(|registry| match script {
            Some(script) => registry.scripts.insert(name, Arc::new(script)),
            None => registry.scripts.remove(&name),
        });
        true
    }

    /// Everybody that the search looks at.
    pub(super) fn searchable(&self) -> Vec<Person> {
        let scripted: Vec<_> = self.read(|registry| registry.scripts.keys().cloned().collect());
        let numbered = |name: &String| number(name).is_some_and(|n| n < self.searchable);
        let names = (0..self.searchable).map(numbered_name);
        names
            .chain(scripted.into_iter().filter(|name| !numbered(name)))
            .filter_map(|name| self.by_name(&name))
            .collect()
    }

    fn person(&self, name: String, id: u64) -> Person {
        let key = hash::bytes(self.seed, name.as_bytes());
        let script = self.read(|registry| registry.scripts.get(&name).cloned());
        let kind = script.as_ref().map_or_else(|| self.kind(key), |script| script.kind);
        Person { name, id, key, kind, script }
    }

    fn kind(&self, key: u64) -> XAccountKind {
        let [protected, suspended, not_found] = self.mix;
        let draw = hash::pair(key, 2) % 100;
        match draw {
            draw if draw < protected => XAccountKind::Protected,
            draw if draw < protected + suspended => XAccountKind::Suspended,
            draw if draw < protected + suspended + not_found => XAccountKind::NotFound,
            _ => XAccountKind::Public,
        }
    }

    fn id(&self, name: &str) -> u64 {
        match number(name) {
            Some(number) => NUMBERED_BASE + u64::from(number),
            None => {
                let key = hash::bytes(self.seed, name.as_bytes());
                HASHED_BASE | (hash::pair(key, 1) & (HASHED_BASE - 1))
            }
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The number of a numbered name.
fn number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("acct_")?.parse().ok()?;
    (number < NUMBERED_COUNT && numbered_name(number) == name).then_some(number)
}

/// The lower-case form of a valid name: `^[A-Za-z0-9_]{1,15}$`. domain: user names, X docs.
pub(super) fn parse_name(raw: &str) -> Option<String> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = (1..=15).contains(&raw.len()) && raw.bytes().all(valid);
    is_name.then(|| raw.to_ascii_lowercase())
}
