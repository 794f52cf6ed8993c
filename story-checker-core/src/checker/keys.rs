use super::profile::CheckerProfile;
use crate::clock::Timestamp;
use crate::gate::{Availability, Gate, Key, KeyClass, Limits, Need};
use crate::proxy::Proxy;
use crate::session::SessionHandle;

/// The names under which the requests of a checker are counted, and how much of each there is; made
/// once per checker.
#[derive(Debug)]
pub(crate) struct GateKeys {
    app: Key,
    endpoints: Vec<(&'static str, Key)>,
    /// The endpoints that each of the checkers it is made of cannot do without. Their limits are not
    /// asked for.
    vital: Vec<Vec<Need>>,
    limits: Limits,
}

impl GateKeys {
    /// The names of this checker, under its own limits or others.
    pub(crate) fn new(profile: &CheckerProfile, limits: Option<&Limits>) -> Self {
        let app = &profile.app;
        let key = |endpoint: &&'static str| (*endpoint, endpoint_key(app, endpoint));
        Self {
            app: Key::new(KeyClass::App, &**app),
            endpoints: profile.endpoints.iter().map(key).collect(),
            vital: profile.parts().iter().map(vital).collect(),
            limits: limits.unwrap_or(&profile.limits).clone(),
        }
    }

    /// Everything one request has to pay for. `endpoint` none means: whatever the endpoint.
    pub(crate) fn needs(
        &self,
        endpoint: Option<&str>,
        session: Option<&SessionHandle>,
        proxy: Option<&Proxy>,
    ) -> Box<[Need]> {
        let limits = &self.limits;
        let app = Some(Need::new(self.app.clone(), limits.app));
        let endpoint = endpoint.map(|name| {
            let known = self.endpoints.iter().find(|(known, _)| *known == name);
            let key =
                known.map_or_else(|| endpoint_key(self.app.name(), name), |(_, key)| key.clone());
            Need::new(key, limits.endpoints.get(name).copied())
        });
        let session = session.map(|session| Need::new(session.gate_key().clone(), limits.session));
        let proxy = proxy.map(|proxy| Need::new(proxy.gate_key().clone(), limits.proxy));
        [app, endpoint, session, proxy].into_iter().flatten().collect()
    }

    /// How many more checks there is room for at the vital endpoints: as many as there are, unless it
    /// is being tried whether one is back.
    pub(crate) fn room(&self, gate: &Gate) -> usize {
        let room = self.vital.iter().map(|needs| gate.room(needs)).max();
        room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX)
    }

    /// The vital endpoint that is taken for down, and until when; of several checkers, the one that
    /// is tried next. None if one of them may go.
    pub(crate) fn down(&self, gate: &Gate) -> Option<(Key, Timestamp)> {
        let down: Option<Vec<_>> = self.vital.iter().map(|needs| gate.open_until(needs)).collect();
        down?.into_iter().min_by_key(|(_, until)| *until)
    }

    /// What the gate says of one request, whatever its endpoint.
    pub(crate) fn availability(
        &self,
        gate: &Gate,
        session: Option<&SessionHandle>,
        proxy: Option<&Proxy>,
    ) -> Availability {
        let own = gate.availability(&self.needs(None, session, proxy));
        match self.down(gate) {
            None => own,
            Some((_, until)) => Availability { now: 0, ready_at: own.ready_at.max(until) },
        }
    }
}

fn endpoint_key(app: &str, name: &str) -> Key {
    Key::new(KeyClass::Endpoint, format!("{app}/{name}"))
}

/// The vital endpoints of one checker.
fn vital(profile: &CheckerProfile) -> Vec<Need> {
    let names = match profile.endpoints.as_slice() {
        [only] if profile.vital.is_empty() => std::slice::from_ref(only),
        _ => &profile.vital,
    };
    names.iter().map(|name| Need::new(endpoint_key(&profile.app, name), None)).collect()
}
