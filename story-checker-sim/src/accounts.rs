//! Who exists and what they posted: pure functions of the seed, the name and the time, except where
//! a script says otherwise.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;

use crate::config::Population;
use crate::hash;
use crate::time::{Timestamp, millis};

/// The id of `acct_000000`.
const NUMBERED_BASE: u64 = 4_200_000_000;
/// How many names are numbered.
const NUMBERED_COUNT: u64 = 100_000_000;
/// The user id of session 0.
pub(crate) const VIEWER_BASE: u64 = 7_000_000_000;
/// Ids of other names are this and 46 bits of hash, out of the way of all numbered ids.
const HASHED_BASE: u64 = 1 << 46;
/// The most stories in one burst.
const MAX_BURST: u64 = 4;
/// The longest gap between two stories of one burst, in seconds.
const MAX_GAP_SECS: u64 = 120;
/// From the first to the last story of one burst.
const MAX_SPREAD: Duration = Duration::from_secs((MAX_BURST - 1) * MAX_GAP_SECS);

/// What an account is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AccountKind {
    /// Only for grown-ups: not found by name, but there by id, with a mark and without numbers.
    Gated,
    /// Nobody has this name.
    NotFound,
    /// Private, and no session follows it.
    Private,
    /// Private, but every session follows it.
    PrivateFollowed,
    /// Everybody may look.
    Public,
}

/// What an account is and posts, set by hand instead of by the seed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AccountScript {
    /// What the account is.
    pub kind: AccountKind,
    /// Every story that it ever posts.
    pub stories: Vec<ScriptedStory>,
}

impl AccountScript {
    /// An account of this kind that posts nothing.
    pub const fn new(kind: AccountKind) -> Self {
        Self { kind, stories: Vec::new() }
    }

    /// A public account with these stories.
    pub fn active(stories: impl IntoIterator<Item = ScriptedStory>) -> Self {
        Self { kind: AccountKind::Public, stories: stories.into_iter().collect() }
    }

    /// A public account without any story.
    pub const fn no_story() -> Self {
        Self::new(AccountKind::Public)
    }
}

/// One story set by hand. Times count in whole seconds, as on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScriptedStory {
    /// When it is posted.
    pub taken_at: Timestamp,
    /// When it is gone.
    pub expires_at: Timestamp,
    /// Whether it is a video.
    pub video: bool,
}

impl ScriptedStory {
    /// An image.
    pub const fn image(taken_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { taken_at, expires_at, video: false }
    }

    /// A video.
    pub const fn video(taken_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { taken_at, expires_at, video: true }
    }
}

/// What is true about an account at one moment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Truth {
    /// The answer that a checker must give.
    pub kind: TruthKind,
    /// The active stories, oldest first; empty unless the kind is `Active`.
    pub items: Vec<TruthItem>,
}

/// The answer that a checker must give.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TruthKind {
    /// At least one story is active.
    Active,
    /// Only for grown-ups: nobody can tell.
    Gated,
    /// The account can be seen and has no active story.
    NoStory,
    /// Nobody has this name.
    NotFound,
    /// Private, and no session follows it.
    Private,
}

/// One active story.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TruthItem {
    /// Its number on the platform.
    pub pk: u64,
    /// The id of the account.
    pub owner_id: u64,
    /// When it was posted.
    pub taken_at: Timestamp,
    /// When it is gone.
    pub expires_at: Timestamp,
    /// Whether it is a video.
    pub video: bool,
}

/// The name of the numbered account `number`: `acct_000042` for 42.
pub fn numbered_name(number: u32) -> String {
    format!("acct_{number:06}")
}

/// The id of the numbered account `number`: 4200000042 for 42. Numbers below 100 million have one.
pub fn numbered_id(number: u32) -> u64 {
    NUMBERED_BASE + u64::from(number)
}

/// An account as it is at one moment.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) id: u64,
    /// What everything hashed about it starts from.
    pub(crate) key: u64,
    pub(crate) kind: AccountKind,
    /// Active stories, oldest first, whoever may see them.
    stories: Vec<TruthItem>,
}

impl Account {
    pub(crate) fn exists(&self) -> bool {
        self.kind != AccountKind::NotFound
    }

    /// The active stories, oldest first, whoever may see them.
    pub(crate) fn stories(&self) -> &[TruthItem] {
        &self.stories
    }

    /// Whether it is found by its name.
    pub(crate) fn has_name(&self) -> bool {
        self.exists() && self.kind != AccountKind::Gated
    }

    pub(crate) fn is_private(&self) -> bool {
        matches!(self.kind, AccountKind::Private | AccountKind::PrivateFollowed)
    }

    /// The active stories that the sessions may see, oldest first.
    pub(crate) fn visible(&self) -> &[TruthItem] {
        match self.kind {
            AccountKind::Public | AccountKind::PrivateFollowed => &self.stories,
            AccountKind::Gated | AccountKind::NotFound | AccountKind::Private => &[],
        }
    }

    pub(crate) fn into_truth(self) -> Truth {
        let kind = match self.kind {
            AccountKind::Gated => TruthKind::Gated,
            AccountKind::NotFound => TruthKind::NotFound,
            AccountKind::Private => TruthKind::Private,
            AccountKind::Public | AccountKind::PrivateFollowed if self.stories.is_empty() => {
                TruthKind::NoStory
            }
            AccountKind::Public | AccountKind::PrivateFollowed => TruthKind::Active,
        };
        let items = if kind == TruthKind::Active { self.stories } else { Vec::new() };
        Truth { kind, items }
    }
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    seed: u64,
    sessions: u64,
    population: Population,
    /// An account that posts starts at most one burst per slot.
    slot: u64,
    /// How likely it does.
    chance: f64,
    registry: RwLock<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    /// The names behind hashed ids that were asked for.
    names: HashMap<u64, String>,
    scripts: HashMap<String, Arc<AccountScript>>,
}

impl Accounts {
    pub(crate) fn new(seed: u64, sessions: usize, population: Population) -> Self {
        // Slots short enough that a slot with a burst stays the exception, never longer than 6 hours.
        let half_days = 0.5 / population.bursts_per_day.max(f64::MIN_POSITIVE);
        let slot = Duration::from_secs_f64((half_days * 86_400.0).min(21_600.0)).as_secs().max(1);
        let chance = population.bursts_per_day * slot as f64 / 86_400.0;
        Self {
            seed: hash::mix(seed),
            sessions: sessions as u64,
            population,
            slot: slot * 1000,
            chance,
            registry: RwLock::default(),
        }
    }

    /// The account with this name. Its hashed id, if it has one, can be asked for from now on.
    pub(crate) fn by_name(&self, raw: &[u8], at: Timestamp) -> Option<Account> {
        let name = parse_name(raw)?;
        let id = self.id(&name);
        if id >= HASHED_BASE {
            self.remember(id, &name);
        }
        Some(self.account(name, id, at))
    }

    /// The account with this id, if the id follows from a number or its name was seen before.
    pub(crate) fn by_id(&self, id: u64, at: Timestamp) -> Option<Account> {
        let name = if let Some(number) = below(id, NUMBERED_BASE, NUMBERED_COUNT) {
            numbered_name(number)
        } else if let Some(number) = below(id, VIEWER_BASE, self.sessions) {
            viewer_name(number)
        } else {
            self.read(|registry| registry.names.get(&id).cloned())?
        };
        Some(self.account(name, id, at))
    }

    /// What is true about a name, without leaving a trace.
    pub(crate) fn truth(&self, raw: &[u8], at: Timestamp) -> (Option<u64>, Truth) {
        let Some(name) = parse_name(raw) else {
            return (None, Truth { kind: TruthKind::NotFound, items: Vec::new() });
        };
        let id = self.id(&name);
        (Some(id), self.account(name, id, at).into_truth())
    }

    /// Overrides an account, or gives it back to the seed. Says whether the name is valid.
    pub(crate) fn set(&self, raw: &[u8], script: Option<AccountScript>) -> bool {
        let Some(name) = parse_name(raw) else { return false };
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        match script {
            Some(script) => registry.scripts.insert(name, Arc::new(script)),
            None => registry.scripts.remove(&name),
        };
        true
    }

    /// Makes the id of a name known.
    pub(crate) fn register(&self, raw: &[u8]) -> Option<u64> {
        let name = parse_name(raw)?;
        let id = self.id(&name);
        if id >= HASHED_BASE {
            self.remember(id, &name);
        }
        Some(id)
    }

    /// A name or an id, and the one that belongs to it: what a request may call this account.
    pub(crate) fn aliases(&self, text: &str, at: Timestamp) -> Vec<String> {
        let mut aliases = vec![text.to_owned()];
        if let Some(id) = self.register(text.as_bytes()) {
            aliases.push(id.to_string());
            aliases.push(text.to_ascii_lowercase());
        }
        if let Some(account) = text.parse().ok().and_then(|id| self.by_id(id, at)) {
            aliases.push(account.name);
        }
        aliases
    }

    fn remember(&self, id: u64, name: &str) {
        if !self.read(|registry| registry.names.contains_key(&id)) {
            let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
            registry.names.entry(id).or_insert_with(|| name.into());
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn key(&self, name: &str) -> u64 {
        hash::bytes(self.seed, name.as_bytes())
    }

    fn id(&self, name: &str) -> u64 {
        if let Some(number) = number_after(name, "acct_", numbered_name)
            && u64::from(number) < NUMBERED_COUNT
        {
            return numbered_id(number);
        }
        if let Some(number) = number_after(name, "viewer_", viewer_name)
            && u64::from(number) < self.sessions
        {
            return VIEWER_BASE + u64::from(number);
        }
        HASHED_BASE | (hash::pair(self.key(name), 1) & (HASHED_BASE - 1))
    }

    fn account(&self, name: String, id: u64, at: Timestamp) -> Account {
        let key = self.key(&name);
        let script = self.read(|registry| {
            // Mostly there are no scripts at all: spare the lookup.
            if registry.scripts.is_empty() { None } else { registry.scripts.get(&name).cloned() }
        });
        let (kind, mut stories) = match script {
            Some(script) => (script.kind, self.scripted(&script, key, id, at)),
            None if (VIEWER_BASE..HASHED_BASE).contains(&id) => (AccountKind::Public, Vec::new()),
            None => (self.kind(key), self.seeded(key, id, at)),
        };
        stories.sort_unstable_by_key(|story| (story.taken_at, story.pk));
        Account { name, id, key, kind, stories }
    }

    fn kind(&self, key: u64) -> AccountKind {
        let draw = hash::pair(key, 2) % 100;
        let private = u64::from(self.population.private);
        let followed = private + u64::from(self.population.private_followed);
        let missing = followed + u64::from(self.population.not_found);
        match draw {
            draw if draw < private => AccountKind::Private,
            draw if draw < followed => AccountKind::PrivateFollowed,
            draw if draw < missing => AccountKind::NotFound,
            _ => AccountKind::Public,
        }
    }

    /// The stories of the seed that are active at a moment.
    fn seeded(&self, key: u64, id: u64, at: Timestamp) -> Vec<TruthItem> {
        let mut stories = Vec::new();
        if hash::pair(key, 3) % 100 >= u64::from(self.population.posting) {
            return stories;
        }
        let lifetime = self.population.story_lifetime;
        let oldest = at.saturating_sub(lifetime).saturating_sub(MAX_SPREAD).unix_millis();
        for slot in oldest / self.slot..=at.unix_millis() / self.slot {
            let burst = hash::pair(hash::pair(key, 4), slot);
            if hash::fraction(burst) >= self.chance {
                continue;
            }
            let offset = hash::pair(burst, 1) % (self.slot / 1000);
            let mut taken = (slot * (self.slot / 1000)).saturating_add(offset);
            for index in 0..=hash::pair(burst, 2) % MAX_BURST {
                let draw = hash::pair(burst, 3 + index);
                let taken_at = Timestamp::from_unix_secs(taken);
                let expires_at = taken_at.saturating_add(lifetime);
                if taken_at <= at && at < expires_at {
                    let video = draw % 5 < 2;
                    let pk = pk(key, index, taken_at);
                    stories.push(TruthItem { pk, owner_id: id, taken_at, expires_at, video });
                }
                taken = taken.saturating_add(5 + (draw >> 32) % (MAX_GAP_SECS - 4));
            }
        }
        stories
    }

    /// The stories of a script that are active at a moment.
    fn scripted(&self, script: &AccountScript, key: u64, id: u64, at: Timestamp) -> Vec<TruthItem> {
        let whole = |time: Timestamp| Timestamp::from_unix_secs(time.unix_secs());
        (0..)
            .zip(&script.stories)
            .map(|(index, story)| {
                let (taken_at, expires_at) = (whole(story.taken_at), whole(story.expires_at));
                let pk = pk(key, index, taken_at);
                TruthItem { pk, owner_id: id, taken_at, expires_at, video: story.video }
            })
            .filter(|story| story.taken_at <= at && at < story.expires_at)
            .collect()
    }
}

/// A number that grows with time, as on the real platform: milliseconds since its epoch, then 23
/// bits of which shard and which of its items.
fn pk(key: u64, index: u64, taken_at: Timestamp) -> u64 {
    const EPOCH: Duration = Duration::from_millis(1_314_220_021_721);
    let age = millis(taken_at.saturating_since(Timestamp::default().saturating_add(EPOCH)));
    let tail = (hash::pair(key, 5) << 7) | (index & 0x7f);
    ((age & ((1 << 40) - 1)) << 23) | (tail & ((1 << 23) - 1))
}

pub(crate) fn viewer_name(number: u32) -> String {
    format!("viewer_{number}")
}

/// The lower-case form of a valid name.
fn parse_name(raw: &[u8]) -> Option<String> {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
    if !(1..=30).contains(&raw.len()) || !raw.iter().all(valid) {
        return None;
    }
    Some(raw.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect())
}

/// The number in a name, if `write` would write the number so.
fn number_after(name: &str, prefix: &str, write: impl Fn(u32) -> String) -> Option<u32> {
    let number = name.strip_prefix(prefix)?.parse().ok()?;
    (write(number) == name).then_some(number)
}

/// How far `id` is above `base`, if it is less than `count`.
fn below(id: u64, base: u64, count: u64) -> Option<u32> {
    let offset = id.checked_sub(base)?;
    if offset < count { u32::try_from(offset).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_secs(1_795_262_400);

    fn accounts() -> Accounts {
        Accounts::new(7, 3, Population::default())
    }

    #[test]
    fn numbered_names_and_ids_are_each_other() {
        let accounts = accounts();
        for number in [0, 42, 999_999, 1_000_000, 99_999_999] {
            let name = numbered_name(number);
            let id = accounts.by_name(name.as_bytes(), NOON).unwrap().id;
            assert_eq!(id, numbered_id(number));
            assert_eq!(accounts.by_id(id, NOON).unwrap().name, name);
        }
        for name in ["acct_42", "acct_0000042", "acct_100000000", "acct_"] {
            assert!(accounts.by_name(name.as_bytes(), NOON).unwrap().id >= HASHED_BASE, "{name}");
        }
        assert_eq!(accounts.by_name(b"viewer_2", NOON).unwrap().id, VIEWER_BASE + 2);
        assert!(accounts.by_name(b"viewer_3", NOON).unwrap().id >= HASHED_BASE);
    }

    #[test]
    fn hashed_ids_are_known_once_their_name_was_seen() {
        let accounts = accounts();
        let (id, _) = accounts.truth(b"tea_house", NOON);
        let id = id.unwrap();
        assert!(accounts.by_id(id, NOON).is_none());
        assert_eq!(accounts.register(b"Tea_House"), Some(id));
        assert_eq!(accounts.by_id(id, NOON).unwrap().name, "tea_house");
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "a b", "caf\u{e9}", "x-y", &"a".repeat(31)] {
            assert!(parse_name(name.as_bytes()).is_none(), "{name}");
        }
        assert_eq!(parse_name(b"Tea.House_9").as_deref(), Some("tea.house_9"));
    }

    #[test]
    fn the_mix_and_the_rate_are_what_was_asked_for() {
        let population = Population::default().with_mix(20, 10, 5).with_posting(50, 2.0);
        let accounts = Accounts::new(1, 0, population);
        let total = 20_000u32;
        let mut kinds = HashMap::new();
        let mut bursts = 0;
        for number in 0..total {
            let name = numbered_name(number);
            let account = accounts.by_name(name.as_bytes(), NOON).unwrap();
            *kinds.entry(account.kind).or_insert(0u32) += 1;
            // Stories of one burst are at most two minutes apart; bursts rarely are.
            let times: Vec<_> = account.stories.iter().map(|s| s.taken_at.unix_secs()).collect();
            bursts += usize::from(!times.is_empty())
                + times.windows(2).filter(|pair| pair[1] - pair[0] > MAX_GAP_SECS).count();
        }
        let share = |kind| f64::from(kinds[&kind]) / f64::from(total);
        assert!((0.19..0.21).contains(&share(AccountKind::Private)));
        assert!((0.09..0.11).contains(&share(AccountKind::PrivateFollowed)));
        assert!((0.04..0.06).contains(&share(AccountKind::NotFound)));
        let rate = bursts as f64 / (f64::from(total) * 0.5);
        assert!((1.9..2.1).contains(&rate), "{rate} bursts per day");
    }

    #[test]
    fn a_story_appears_lives_and_goes() {
        let accounts = accounts();
        let name = b"acct_000001";
        let hour = Duration::from_secs(3600);
        let story = ScriptedStory::video(NOON, NOON.saturating_add(hour));
        assert!(accounts.set(name, Some(AccountScript::active([story]))));
        let kind = |at| accounts.truth(name, at).1.kind;
        let tick = Duration::from_millis(1);
        assert_eq!(kind(NOON.saturating_sub(tick)), TruthKind::NoStory);
        assert_eq!(kind(NOON), TruthKind::Active);
        assert_eq!(kind(NOON.saturating_add(hour).saturating_sub(tick)), TruthKind::Active);
        assert_eq!(kind(NOON.saturating_add(hour)), TruthKind::NoStory);
        assert!(accounts.set(name, Some(AccountScript::new(AccountKind::NotFound))));
        assert_eq!(kind(NOON), TruthKind::NotFound);
        assert!(!accounts.set(b"no name", None));
    }

    #[test]
    fn item_numbers_differ_and_grow_with_time() {
        let accounts = accounts();
        let mut seen = std::collections::HashSet::new();
        for number in 0..3000 {
            let account = accounts.by_name(numbered_name(number).as_bytes(), NOON).unwrap();
            assert!(account.stories.windows(2).all(|pair| pair[0].pk < pair[1].pk));
            assert!(account.stories.iter().all(|story| seen.insert(story.pk)));
        }
        assert!(seen.len() > 1000);
    }
}
