#![doc = include_str!("../README.md")]

mod client;
pub mod instagram;
mod transport;

pub use url::Url;

pub use self::transport::{
    BodyStream, Collected, Head, InvalidTransport, Request, ReqwestTransport,
    ReqwestTransportConfig, Response, Transport, TransportError, TransportErrorKind,
};

/// Compiles and runs the example of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct ReadmeOfTheProject;
