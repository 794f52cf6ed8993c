//! The port that knows the ways out, and what a proxy is.

mod list;
mod memory;
mod pool;
mod probe;
mod url;

use std::fmt::{self, Debug, Display};
use std::num::NonZeroU8;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::list::{InvalidProxyList, read_list};
pub use self::memory::StaticProxySource;
pub use self::pool::{Home, HomePolicy, ProxyPolicy, ProxyPool, ProxyView, Rest, Rotation};
pub use self::probe::Probe;
pub use self::url::{InvalidProxy, ProxyScheme, ProxyUrl};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::gate::{Key, KeyClass};
use crate::id::ProxyId;

/// A way out. Its id is its address without credentials, unless a source gives it another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    id: ProxyId,
    url: ProxyUrl,
    gate_key: Key,
    weight: NonZeroU8,
}

impl Proxy {
    /// A proxy named after its address.
    #[must_use]
    pub fn new(url: ProxyUrl) -> Self {
        Self::with_id(ProxyId::new(url.to_string()), url)
    }

    /// A proxy with a name of its own.
    #[must_use]
    pub fn with_id(id: ProxyId, url: ProxyUrl) -> Self {
        let gate_key = Key::new(KeyClass::Proxy, id.shared());
        Self { id, url, gate_key, weight: NonZeroU8::MIN }
    }

    /// How often it is to be used in relation to others, by [`Rotation::Weighted`]; 1 by default.
    #[must_use]
    pub const fn with_weight(mut self, weight: NonZeroU8) -> Self {
        self.weight = weight;
        self
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ProxyId {
        &self.id
    }

    /// How to reach it.
    #[must_use]
    pub fn url(&self) -> &ProxyUrl {
        &self.url
    }

    /// How often it is to be used in relation to others.
    #[must_use]
    pub const fn weight(&self) -> NonZeroU8 {
        self.weight
    }

    pub(crate) fn gate_key(&self) -> &Key {
        &self.gate_key
    }
}

/// Whether a proxy may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProxyState {
    /// It may be used.
    #[default]
    Active,
    /// It rests until a time.
    Cooling {
        /// The end of the rest.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// It is out of use until the operator enables it: it was the operator who disabled it, or it
    /// rested too often.
    Disabled {
        /// Who or why.
        reason: String,
    },
    /// It is no longer listed: what runs through it ends, and nothing new begins. Never stored.
    Draining,
    /// Its rest is over, and it is being seen whether it works. Never stored.
    Probing,
}

impl ProxyState {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cooling { .. } => "cooling",
            Self::Disabled { .. } => "disabled",
            Self::Draining => "draining",
            Self::Probing => "probing",
        }
    }

    /// Whether [storing](ProxySource::save) this in place of `stored` would undo what only the
    /// operator may undo.
    #[must_use]
    pub const fn undoes(&self, stored: &Self) -> bool {
        matches!(stored, Self::Disabled { .. }) && matches!(self, Self::Cooling { .. })
    }
}

/// Knows the ways out, and keeps what was learnt about them.
///
/// Rotation, health and rest live in the engine, once, and not in the sources.
#[async_trait]
pub trait ProxySource: Debug + Display + Send + Sync + 'static {
    /// All proxies there are now, each id once.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the source cannot be reached,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if what it holds cannot be understood; the
    /// text names the place. The engine then goes on with the list it has.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn list(&self) -> Result<Vec<Proxy>>;

    /// Returns when the list may have changed since the last call of [`ProxySource::list`]; never,
    /// if it cannot change. May return without a change.
    ///
    /// # Errors
    /// As [`ProxySource::list`].
    ///
    /// # Cancel safety
    /// Safe: no change is missed by the next call.
    async fn changed(&self) -> Result<()>;

    /// What was stored about the proxies' states; those without a word are active.
    ///
    /// # Errors
    /// As [`ProxySource::list`].
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>>;

    /// Stores states that have changed. A rest takes the place of anything but `Disabled`, which
    /// only `Active` ends: whoever lets a proxy rest need not know that the operator has disabled it
    /// meanwhile. A source without storage may forget them all.
    ///
    /// # Errors
    /// As [`ProxySource::list`].
    ///
    /// # Cancel safety
    /// Any part may have been stored; sending it again does no harm.
    async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()>;
}

const _: Option<&dyn ProxySource> = None;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: ProxySource + ?Sized> ProxySource for $pointer {
            async fn list(&self) -> Result<Vec<Proxy>> {
                (**self).list().await
            }

            async fn changed(&self) -> Result<()> {
                (**self).changed().await
            }

            async fn load(&self) -> Result<Vec<(ProxyId, ProxyState)>> {
                (**self).load().await
            }

            async fn save(&self, states: &[(ProxyId, ProxyState)]) -> Result<()> {
                (**self).save(states).await
            }
        }
    )+};
}
forward!(Arc<T>, Box<T>);

impl Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.id, f)
    }
}
