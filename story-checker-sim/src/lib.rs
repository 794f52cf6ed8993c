#![doc = include_str!("../README.md")]

mod accounts;
mod admin;
mod answer;
mod app_token;
mod audit;
mod calendar;
mod catalogue;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod delivery;
mod form;
mod graph;
mod handle;
mod hash;
mod official;
mod platform;
mod render;
mod request;
mod rules;
mod scenario;
#[cfg(feature = "server")]
mod server;
mod time;
mod tokens;
mod traffic;
#[cfg(feature = "transport")]
mod transport;
mod web;
mod x;

pub use accounts::{
    AccountKind, AccountScript, ScriptedStory, Truth, TruthItem, TruthKind, numbered_id,
    numbered_name,
};
pub use audit::{AuditRecord, AuditSummary, RequestFilter};
pub use catalogue::{Row, row, rows};
pub use config::{
    ConfigError, GraphSettings, Latency, Limit, ParseError, Population, SimConfig, XLimits,
    XProblemHost, XSettings, XSpelling,
};
pub use delivery::Delivery;
pub use form::Form;
pub use graph::{GraphToken, graph_item_id};
pub use platform::{Plan, Platform};
pub use request::{Api, Peer, ProxyId, Request, Route};
pub use scenario::{Effect, ProxyFault, Rule, RuleError, RuleStatus, parse_rules};
#[cfg(feature = "server")]
pub use server::{
    ProxyCredentials, ProxyInfo, ProxyKind, ProxySpec, ProxyStats, Server, ServerConfig, SimClock,
};
pub use time::Timestamp;
pub use traffic::{Flight, SessionState};
#[cfg(feature = "transport")]
pub use transport::SimTransport;
pub use x::{
    XAccountKind, XAccountScript, XLink, XMedia, XScriptedPost, XTruth, XTruthKind, XTruthPost,
};
