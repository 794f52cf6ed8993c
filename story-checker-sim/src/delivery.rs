//! How an answer is handed over.

use serde::{Deserialize, Serialize};

/// How an answer is handed over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// At once, with its length.
    #[default]
    Whole,
    /// In chunks, without its length.
    Chunked,
    /// Broken off after so many bytes.
    CutAt {
        /// How many bytes come.
        bytes: usize,
        /// Whether the head told the whole length, so that the client can notice.
        announced: bool,
    },
    /// In chunks, broken off after so many bytes: the last chunk never comes.
    ChunkedCut {
        /// How many bytes come.
        bytes: usize,
    },
    /// In pieces, with pauses.
    Drip {
        /// Bytes per piece.
        piece: usize,
        /// Milliseconds before each piece.
        pause_ms: u64,
    },
    /// The connection breaks before the head.
    Reset,
    /// Nothing ever comes.
    Hang,
    /// Packed with gzip.
    Gzip,
    /// Said to be packed with gzip, but it cannot be unpacked.
    GzipBroken,
}
