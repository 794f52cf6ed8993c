//! What an error of Redis means for a call.

use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};
use story_checker_core::{Certainty, Error, ErrorKind};

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Changes,
    Reads,
}

impl Effect {
    /// What is known when the reply is lost.
    const fn lost(self) -> Certainty {
        match self {
            Self::Changes => Certainty::MaybeApplied,
            Self::Reads => Certainty::Transient,
        }
    }
}

/// A refusal by the server, and what to do about it. Scripts of ours run into each of them at their
/// first write at the latest, so nothing was changed.
struct Refusal {
    code: &'static str,
    certainty: Certainty,
    advice: &'static str,
}

const fn refusal(code: &'static str, certainty: Certainty, advice: &'static str) -> Refusal {
    Refusal { code, certainty, advice }
}

const REFUSALS: [Refusal; 16] = [
    refusal("ASK", Certainty::Transient, "the namespace moves to another node of the cluster"),
    refusal("BUSY", Certainty::Transient, "the server is busy with a script"),
    refusal("CLUSTERDOWN", Certainty::Transient, "the cluster does not serve the namespace now"),
    refusal("LOADING", Certainty::Transient, "the server is loading its data"),
    refusal("MASTERDOWN", Certainty::Transient, "the server has lost its master"),
    refusal("MISCONF", Certainty::Transient, "the server cannot write its data to disk"),
    refusal(
        "MOVED",
        Certainty::Transient,
        "this is a node of a cluster: use redis+cluster:// for its address",
    ),
    refusal("NOAUTH", Certainty::Permanent, "the server wants a password"),
    refusal("NOPERM", Certainty::Permanent, "the user may not do this: see docs/OPERATIONS.md"),
    refusal("NOREPLICAS", Certainty::Transient, "the server has too few replicas"),
    refusal("NOSCRIPT", Certainty::Transient, "the server has forgotten the script"),
    refusal(
        "OOM",
        Certainty::Transient,
        "the server has no memory left: raise maxmemory, or keep ended jobs for less long",
    ),
    refusal("READONLY", Certainty::Transient, "this is a replica now; the master is elsewhere"),
    refusal("TRYAGAIN", Certainty::Transient, "the namespace moves to another node"),
    refusal("UNKILLABLE", Certainty::Transient, "the server is busy with a script"),
    refusal("WRONGPASS", Certainty::Permanent, "user or password is wrong"),
];

/// The error of `operation` at `place`.
pub(crate) fn failed(
    operation: &'static str,
    effect: Effect,
    place: &str,
    error: RedisError,
) -> Error {
    let (kind, certainty, advice) = judge(&error, effect);
    let context = if advice.is_empty() { place.to_owned() } else { format!("{place}: {advice}") };
    Error::new(kind, certainty, operation).with_context(context).with_source(error)
}

fn judge(error: &RedisError, effect: Effect) -> (ErrorKind, Certainty, &'static str) {
    let refused = refused(error);
    match error.kind() {
        _ if let Some(refusal) = refused => {
            (ErrorKind::Unavailable, refusal.certainty, refusal.advice)
        }
        Kind::AuthenticationFailed => {
            (ErrorKind::Unavailable, Certainty::Permanent, "user or password is wrong")
        }
        Kind::ClusterConnectionNotFound => {
            (ErrorKind::Unavailable, Certainty::Transient, "no node of the cluster can be reached")
        }
        Kind::InvalidClientConfig => (ErrorKind::Invalid, Certainty::Permanent, ""),
        Kind::Server(ServerErrorKind::ResponseError) | Kind::Extension => {
            // A value of another kind than ours, or a key of somebody else.
            (ErrorKind::Corrupt, effect.lost(), "is the namespace used by something else?")
        }
        _ => (ErrorKind::Unavailable, effect.lost(), ""),
    }
}

/// The refusal that the server named. Up to Redis 6 a script's error carries the code of its cause
/// in the text.
fn refused(error: &RedisError) -> Option<&'static Refusal> {
    let code = error.code()?;
    let detail = error.detail().unwrap_or_default();
    REFUSALS.iter().find(|refusal| {
        refusal.code == code || (code == "ERR" && detail.contains(&format!("-{} ", refusal.code)))
    })
}

/// Whether another connection may do better: this one is lost, or leads to a server that is no
/// master any more.
pub(crate) fn wants_new_connection(error: &RedisError) -> bool {
    match error.kind() {
        Kind::Io | Kind::Parse | Kind::Client | Kind::ClusterConnectionNotFound => true,
        _ => refused(error).is_some_and(|refusal| {
            matches!(refusal.code, "READONLY" | "MASTERDOWN" | "NOAUTH" | "MOVED" | "CLUSTERDOWN")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: &str, detail: &str) -> RedisError {
        redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
    }

    #[test]
    fn refusals_have_changed_nothing_and_lost_replies_may_have() {
        for (error, kind, certainty) in [
            (server("OOM", "x"), ErrorKind::Unavailable, Certainty::Transient),
            (server("READONLY", "x"), ErrorKind::Unavailable, Certainty::Transient),
            (server("NOPERM", "x"), ErrorKind::Unavailable, Certainty::Permanent),
            (
                server("ERR", "Error running script: @user_script:9: -OOM command not allowed"),
                ErrorKind::Unavailable,
                Certainty::Transient,
            ),
            (server("WRONGTYPE", "x"), ErrorKind::Corrupt, Certainty::MaybeApplied),
            (
                std::io::Error::other("broken pipe").into(),
                ErrorKind::Unavailable,
                Certainty::MaybeApplied,
            ),
        ] {
            let mapped = failed("claim jobs", Effect::Changes, "redis://h", error);
            assert_eq!((mapped.kind(), mapped.certainty()), (kind, certainty), "{mapped}");
        }
        let lost = failed("x", Effect::Reads, "h", std::io::Error::other("broken pipe").into());
        assert_eq!(lost.certainty(), Certainty::Transient, "reading changes nothing");
    }
}
