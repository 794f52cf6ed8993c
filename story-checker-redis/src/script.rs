//! The scripts: sent by their hash, and whole when the server does not know them.

use redis::{Cmd, ErrorKind, ServerErrorKind, ToRedisArgs, Value};
use story_checker_core::Result;

use crate::error::{Effect, failed};
use crate::link::Link;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $effect:ident, $operation:literal, [$($file:literal),+];)+) => {
        $(
            $(#[$doc])*
            pub(crate) static $name: Script = Script {
                text: concat!(include_str!("scripts/lib.lua"), $("\n", include_str!($file)),+),
                effect: Effect::$effect,
                operation: $operation,
                hash: std::sync::OnceLock::new(),
            };
        )+
    };
}

scripts! {
    ALTER_BATCH = Changes, "alter a batch", ["scripts/alter_batch.lua"];
    ALTER_JOBS = Changes, "alter jobs", ["scripts/alter_jobs.lua"];
    BEAT = Changes, "renew leases", ["scripts/beat.lua"];
    CACHE_COUNT = Reads, "count what is remembered", ["scripts/cache_remove.lua"];
    CACHE_LOOK = Reads, "look up", ["scripts/cache_look.lua"];
    CACHE_PUT = Changes, "remember", ["scripts/cache_put.lua"];
    CACHE_REMOVE = Changes, "forget", ["scripts/cache_remove.lua"];
    CLAIM = Changes, "claim jobs", ["scripts/claim.lua", "scripts/claim_only.lua"];
    CONFIGURE = Changes, "configure a queue", ["scripts/configure.lua"];
    DUE = Reads, "wait for jobs", ["scripts/due.lua"];
    ENQUEUE = Changes, "enqueue jobs", ["scripts/enqueue.lua"];
    LIST = Reads, "list jobs", ["scripts/view.lua", "scripts/list.lua"];
    LOOK = Reads, "look at jobs", ["scripts/view.lua", "scripts/look.lua"];
    MAINTAIN = Changes, "maintain the queue", ["scripts/maintain.lua"];
    SESSION_HELD = Changes, "renew or release sessions", ["scripts/sessions.lua", "scripts/session_held.lua"];
    SESSION_LEASE = Changes, "lease sessions", ["scripts/sessions.lua", "scripts/session_lease.lua"];
    SESSION_LIST = Reads, "list sessions", ["scripts/sessions.lua", "scripts/session_list.lua"];
    SESSION_PUT = Changes, "store sessions", ["scripts/sessions.lua", "scripts/session_put.lua"];
    SESSION_REMOVE = Changes, "remove sessions", ["scripts/sessions.lua", "scripts/session_remove.lua"];
    SESSION_SAVE = Changes, "store what was seen of sessions", ["scripts/sessions.lua", "scripts/session_save.lua"];
    SETTLE = Changes, "settle jobs", ["scripts/claim.lua", "scripts/settle.lua"];
    STATS = Reads, "count jobs", ["scripts/stats.lua"];
}

/// A script and the verb that it is.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    pub(crate) effect: Effect,
    pub(crate) operation: &'static str,
    hash: std::sync::OnceLock<String>,
}

/// A call of a script that is being put together.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Script {
    /// A call with the namespace's tag as its only key.
    pub(crate) fn on(&'static self, tag: &[u8]) -> Call {
        let hash = self.hash.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned());
        let mut command = redis::cmd("EVALSHA");
        command.arg(hash).arg(1).arg(tag);
        Call { script: self, command }
    }
}

impl Call {
    pub(crate) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.command.arg(arg);
        self
    }

    pub(crate) async fn send(&self, link: &Link) -> Result<Value> {
        let Script { effect, operation, text, .. } = *self.script;
        let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
        let mut reply = link.send(operation, effect, &self.command).await?;
        if reply.as_ref().is_err_and(|error| error.kind() == unknown) {
            // Sent whole, the server knows it from then on.
            let mut command = redis::cmd("EVAL");
            command.arg(text);
            for arg in self.command.args_iter().skip(2) {
                if let redis::Arg::Simple(bytes) = arg {
                    command.arg(bytes);
                }
            }
            reply = link.send(operation, effect, &command).await?;
        }
        reply.map_err(|error| failed(operation, effect, &link.address().to_string(), error))
    }
}
