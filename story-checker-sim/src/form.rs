//! Odd forms of true answers: what the platforms are known to write instead of the usual.

use serde::{Deserialize, Serialize};

/// An odd form of an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Form {
    /// Items are for close friends: `audience` is `besties`.
    Besties,
    /// The last item comes twice.
    DuplicateItem,
    /// One more item that has already expired.
    ExpiredItem,
    /// The reel of somebody else in the place of the one asked for.
    ForeignReel,
    /// All ids as numbers.
    IdsInt,
    /// All ids as texts.
    IdsString,
    /// `items` is an empty list, though the reel says how many there are.
    ItemsEmpty,
    /// `items` is null.
    ItemsNull,
    /// Live now: a `broadcast` instead of a reel.
    LiveOnly,
    /// Images without their addresses.
    NoCandidates,
    /// The reel is null.
    ReelNull,
    /// The container is there and holds no reel.
    ReelsEmpty,
    /// Still images delivered as videos.
    StillAsVideo,
    /// A stub as in the tray: no `items`, but `media_count` and `latest_reel_media`.
    Stub,
}
