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

/// What of a body goes over the wire, and how.
#[cfg(feature = "server")]
#[derive(Debug)]
pub(crate) struct Wire {
    /// The bytes that go.
    pub(crate) data: bytes::Bytes,
    /// How the client learns where the body ends.
    pub(crate) framing: Framing,
    /// The most bytes at once.
    pub(crate) piece: usize,
    /// How long before each piece.
    pub(crate) pause: std::time::Duration,
    /// Whether the connection breaks behind the last byte.
    pub(crate) broken: bool,
}

/// How the client learns where a body ends.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// By its length.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

#[cfg(feature = "server")]
impl Delivery {
    /// The wire of a body. Packing is not its business, nor what never begins.
    pub(crate) fn wire(self, body: bytes::Bytes) -> Wire {
        let whole = Framing::Length(body.len() as u64);
        // A cut always leaves something out.
        let cut = |bytes: usize| body.slice(..bytes.min(body.len().saturating_sub(1)));
        let (data, framing, broken) = match self {
            Self::CutAt { bytes, announced: true } => (cut(bytes), whole, true),
            Self::CutAt { bytes, announced: false } => (cut(bytes), Framing::Close, false),
            Self::ChunkedCut { bytes } => (cut(bytes), Framing::Chunked, true),
            Self::Chunked => (body.clone(), Framing::Chunked, false),
            _ => (body.clone(), whole, false),
        };
        let (piece, pause) = match self {
            Self::Drip { piece, pause_ms } => {
                (piece.max(1), std::time::Duration::from_millis(pause_ms))
            }
            Self::Chunked | Self::ChunkedCut { .. } => (1024, std::time::Duration::ZERO),
            _ => (usize::MAX, std::time::Duration::ZERO),
        };
        Wire { data, framing, piece, pause, broken }
    }
}
