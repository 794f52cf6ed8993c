use super::profile::CheckerProfile;
use crate::gate::{Availability, Gate, Key, KeyClass, Limits, Need};
use crate::proxy::Proxy;
use crate::session::SessionHandle;

/// The names under which the requests of a checker are counted, and how much of each there is; made
/// once per checker.
#[derive(Debug)]
pub(crate) struct GateKeys {
    app: Key,
    endpoints: Vec<(&'static str, Key)>,
    limits: Limits,
}

impl GateKeys {
    /// The names of this checker, under its own limits or others.
    pub(crate) fn new(profile: &CheckerProfile, limits: Option<&Limits>) -> Self {
        let app = &profile.app;
        let key = |endpoint: &&'static str| {
            (*endpoint, Key::new(KeyClass::Endpoint, format!("{app}/{endpoint}")))
        };
        Self {
            app: Key::new(KeyClass::App, &**app),
            endpoints: profile.endpoints.iter().map(key).collect(),
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
        let app = Some(Need::new(self.app.clone(), limits.app.clone()));
        let endpoint = endpoint.map(|name| {
            let known = self.endpoints.iter().find(|(known, _)| *known == name);
            let key = known.map_or_else(
                || Key::new(KeyClass::Endpoint, format!("{}/{name}", self.app.name())),
                |(_, key)| key.clone(),
            );
            Need::new(key, limits.endpoints.get(name).cloned())
        });
        let session =
            session.map(|session| Need::new(session.gate_key().clone(), limits.session.clone()));
        let proxy = proxy.map(|proxy| Need::new(proxy.gate_key().clone(), limits.proxy.clone()));
        [app, endpoint, session, proxy].into_iter().flatten().collect()
    }

    /// What the gate says of one request, whatever its endpoint.
    pub(crate) fn availability(
        &self,
        gate: &Gate,
        session: Option<&SessionHandle>,
        proxy: Option<&Proxy>,
    ) -> Availability {
        gate.availability(&self.needs(None, session, proxy))
    }
}
