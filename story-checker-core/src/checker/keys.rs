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
    /// The endpoints that it cannot do without; their limits are not asked for.
    vital: Vec<Need>,
    limits: Limits,
}

impl GateKeys {
    /// The names of this checker, under its own limits or others.
    pub(crate) fn new(profile: &CheckerProfile, limits: Option<&Limits>) -> Self {
        let app = &profile.app;
        let key = |endpoint: &&'static str| {
            (*endpoint, Key::new(KeyClass::Endpoint, format!("{app}/{endpoint}")))
        };
        let vital = match profile.endpoints.as_slice() {
            [only] if profile.vital.is_empty() => std::slice::from_ref(only),
            _ => &profile.vital,
        };
        Self {
            app: Key::new(KeyClass::App, &**app),
            endpoints: profile.endpoints.iter().map(key).collect(),
            vital: vital.iter().map(|name| Need::new(key(name).1, None)).collect(),
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
            let key = known.map_or_else(
                || Key::new(KeyClass::Endpoint, format!("{}/{name}", self.app.name())),
                |(_, key)| key.clone(),
            );
            Need::new(key, limits.endpoints.get(name).copied())
        });
        let session = session.map(|session| Need::new(session.gate_key().clone(), limits.session));
        let proxy = proxy.map(|proxy| Need::new(proxy.gate_key().clone(), limits.proxy));
        [app, endpoint, session, proxy].into_iter().flatten().collect()
    }

    /// How many more may probe the vital endpoints; as many as there are, if none is half-open.
    pub(crate) fn room(&self, gate: &Gate) -> usize {
        usize::try_from(gate.room(&self.vital)).unwrap_or(usize::MAX)
    }

    /// The vital endpoint that is taken for down, and until when.
    pub(crate) fn down(&self, gate: &Gate) -> Option<(Key, Timestamp)> {
        gate.open_until(&self.vital)
    }

    /// What the gate says of one request, whatever its endpoint.
    pub(crate) fn availability(
        &self,
        gate: &Gate,
        session: Option<&SessionHandle>,
        proxy: Option<&Proxy>,
    ) -> Availability {
        let mut needs = self.needs(None, session, proxy).into_vec();
        needs.extend_from_slice(&self.vital);
        gate.availability(&needs)
    }
}
