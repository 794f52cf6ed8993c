#![doc = include_str!("../README.md")]

mod body;
mod client;
mod config;
pub mod import;
pub mod instagram;
pub mod proxies;
mod transport;
mod wire;
pub mod x;

pub use url::Url;

pub use self::body::BodyError;
pub use self::config::InvalidConfig;
pub use self::transport::{
    BodyStream, Collected, Head, InvalidTransport, Request, ReqwestTransport,
    ReqwestTransportConfig, Response, Transport, TransportError, TransportErrorKind,
};

/// Compiles and runs the example of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct ReadmeOfTheProject;
