//! The mix of all faults: which of them a client can survive by trying again, and which not.

use super::rule::{Effect, ProxyFault};
use crate::delivery::Delivery;
use crate::form::Form;
use crate::hash;
use crate::request::Api;

/// One fault of a table.
#[derive(Clone, Copy)]
enum Fault {
    Row(&'static str),
    Form(Form),
    Delivery(Delivery),
    ContentType(&'static str),
    Oversized(usize),
    DelayMs(u64),
}

use Fault::{ContentType, DelayMs, Oversized, Row};

/// Any API, any endpoint: servers, wires and what stands between.
const ANY: &[Fault] = &[
    Fault::Delivery(Delivery::CutAt { bytes: 0, announced: true }),
    Fault::Delivery(Delivery::CutAt { bytes: 0, announced: false }),
    Fault::Delivery(Delivery::ChunkedCut { bytes: 0 }),
    Fault::Delivery(Delivery::Chunked),
    Fault::Delivery(Delivery::Drip { piece: 97, pause_ms: 5 }),
    Fault::Delivery(Delivery::Reset),
    Fault::Delivery(Delivery::Hang),
    Fault::Delivery(Delivery::Gzip),
    Fault::Delivery(Delivery::GzipBroken),
    ContentType("text/html"),
    Oversized(9 << 20),
    DelayMs(2_000),
    Row("E-empty"),
    Row("E-text"),
    Row("T-cf"),
    Row("T-captive"),
    Row("T-redirect"),
    Row("W20"),
    Row("W20-502"),
    Row("W20-503"),
    Row("W20-504"),
];

/// The web API. Not here: W13 and the broken queries of W19, which are the client's own doing, and
/// W15 and W17, which would lie about the target.
const WEB: &[Fault] = &[
    Row("W1"),
    Row("W1-json"),
    Row("W1-html"),
    Row("W1-retry-after"),
    Row("W2"),
    Row("W2-400"),
    Row("W6-wall"),
    Row("W6-201"),
    Row("W7"),
    Row("W14"),
    Row("W14-sentry"),
    Row("W14-blocked"),
    Row("W16"),
    Row("W18"),
    Row("W20-json"),
    Row("W20-408"),
    Row("W20-560"),
    Row("W20-572"),
    Row("W21"),
    Row("W22"),
    Row("W22-type"),
    Row("W22-null"),
    Row("W22-list"),
    Row("W22-status"),
    Fault::Form(Form::Besties),
    Fault::Form(Form::DuplicateItem),
    Fault::Form(Form::ExpiredItem),
    Fault::Form(Form::ForeignReel),
    Fault::Form(Form::IdsInt),
    Fault::Form(Form::IdsString),
    Fault::Form(Form::ItemsEmpty),
    Fault::Form(Form::ItemsNull),
    Fault::Form(Form::NoCandidates),
    Fault::Form(Form::StillAsVideo),
    Fault::Form(Form::Stub),
];

/// The Graph API: what is transient or a limit.
const GRAPH: &[Fault] = &[
    Row("G1"),
    Row("G2"),
    Row("G341"),
    Row("G-1"),
    Row("G-2"),
    Row("G4"),
    Row("G17"),
    Row("G32"),
    Row("G613"),
    Row("G80002"),
];

/// The X API: what is transient or a limit of a window.
const X: &[Fault] = &[
    Row("X429-window"),
    Row("X500"),
    Row("X502"),
    Row("X503"),
    Row("X504"),
    Row("X130"),
    Row("X131"),
    Row("Xplain"),
];

/// What ends a session of the web API.
const LASTING: &[&str] = &[
    "W3",
    "W3-400",
    "W4",
    "W5",
    "W6",
    "W6-redirect",
    "W8",
    "W9",
    "W9-suspended",
    "W10",
    "W11",
    "W12",
    "W19",
];

/// How proxies fail; not `Stale`, whose lie only its date gives away.
const PROXY: &[ProxyFault] = &[
    ProxyFault::Login,
    ProxyFault::Refuse,
    ProxyFault::Hang,
    ProxyFault::Tls,
    ProxyFault::Reset { bytes: 40 },
    ProxyFault::Wall,
    ProxyFault::Cloudflare,
    ProxyFault::Foreign,
    ProxyFault::Slow { ms: 1_500 },
];

/// How much of the mix is left to the proxies, if there are any: one fault in so many.
pub(super) const PROXY_SHARE: f64 = 8.0;

/// A fault for a request. The session of the web API, if any, may have to suffer for it; a token
/// never: it may be the only one for its account.
pub(super) fn draw(api: Api, has_session: bool, lasting: f64, draw: u64) -> Effect {
    if api == Api::Web && has_session && hash::fraction(hash::pair(draw, 1)) * 100.0 < lasting {
        return Effect::Row((*pick(LASTING, hash::pair(draw, 2))).to_owned());
    }
    let own = match api {
        Api::Web => WEB,
        Api::Graph => GRAPH,
        Api::X => X,
    };
    let tables = [ANY, own].concat();
    match *pick(&tables, hash::pair(draw, 2)) {
        Row(id) => Effect::Row(id.to_owned()),
        Fault::Form(form) => Effect::Form(form),
        Fault::Delivery(delivery) => Effect::Delivery(cut_somewhere(delivery, draw)),
        ContentType(text) => Effect::ContentType(text.to_owned()),
        Oversized(bytes) => Effect::Oversized(bytes),
        DelayMs(millis) => Effect::DelayMs(millis),
    }
}

/// A fault for a proxy.
pub(super) fn draw_proxy(draw: u64) -> ProxyFault {
    *pick(PROXY, hash::pair(draw, 3))
}

/// Cuts come anywhere in a usual body.
fn cut_somewhere(delivery: Delivery, draw: u64) -> Delivery {
    let at = usize::try_from(hash::pair(draw, 4) % 1024).unwrap_or(0);
    match delivery {
        Delivery::CutAt { announced, .. } => Delivery::CutAt { bytes: at, announced },
        Delivery::ChunkedCut { .. } => Delivery::ChunkedCut { bytes: at },
        delivery => delivery,
    }
}

fn pick<T>(table: &[T], draw: u64) -> &T {
    let index = usize::try_from(draw % table.len() as u64).expect("it is less than a length");
    &table[index]
}

/// Whether the catalogue has all answers of the tables; for tests.
#[cfg(test)]
pub(super) fn missing() -> Vec<&'static str> {
    let rows = [ANY, WEB, GRAPH, X].into_iter().flatten().filter_map(|fault| match fault {
        Row(id) => Some(*id),
        _ => None,
    });
    rows.chain(LASTING.iter().copied()).filter(|id| crate::catalogue::row(id).is_none()).collect()
}
