//! Where proxies come from, and whether they work.
//!
//! The sources here keep no states: wrap them, as by `SqliteStore::proxies`, to keep them in a store.

mod file;
mod probe;
mod url;

pub use self::file::ProxyFile;
pub use self::probe::UrlProbe;
pub use self::url::ProxyListUrl;
