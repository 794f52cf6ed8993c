//! How much of its limits an app and its accounts have used, and the headers that say so.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{GraphSettings, Limit};
use crate::time::{Timestamp, millis};
use crate::traffic::Window;

/// The windows of the app and of its accounts.
#[derive(Debug)]
pub(super) struct Usage {
    app_limit: Option<Limit>,
    account_limit: Option<Limit>,
    from: u32,
    app: Window,
    accounts: HashMap<usize, Window>,
}

/// Which limit a request is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Over {
    App,
    Account,
}

impl Usage {
    pub(super) fn new(settings: &GraphSettings) -> Self {
        Self {
            app_limit: settings.app_limit,
            account_limit: settings.account_limit,
            from: settings.usage_from.into(),
            app: Window::default(),
            accounts: HashMap::new(),
        }
    }

    /// Counts a request of the app and, where it is about the stories of one, of an account. What is
    /// refused takes no place.
    pub(super) fn arrive(&mut self, account: Option<usize>, now: Timestamp) -> Option<Over> {
        let mut account = account.and_then(|account| {
            Some((self.account_limit?, self.accounts.entry(account).or_default()))
        });
        if self.app_limit.is_some_and(|limit| self.app.wait(limit, now).is_some()) {
            return Some(Over::App);
        }
        if let Some((limit, window)) = &mut account
            && window.wait(*limit, now).is_some()
        {
            return Some(Over::Account);
        }
        if self.app_limit.is_some() {
            self.app.push(now);
        }
        if let Some((_, window)) = account {
            window.push(now);
        }
        None
    }

    /// The headers after a request; none before enough of a limit is used.
    pub(super) fn headers(
        &mut self,
        account: Option<usize>,
        id: u64,
        now: Timestamp,
    ) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(limit) = self.app_limit
            && let percent = percent(&self.app, limit)
            && percent >= self.from
        {
            headers.push(("x-app-usage", counts(percent).to_string()));
        }
        if let Some(limit) = self.account_limit
            && let Some(window) = account.and_then(|account| self.accounts.get_mut(&account))
            && let percent = percent(window, limit)
            && percent >= self.from
        {
            let minutes = window.wait(limit, now).map_or(0, minutes);
            let mut usage = counts(percent);
            usage["type"] = "instagram".into();
            usage["estimated_time_to_regain_access"] = minutes.into();
            let usage = json!({ id.to_string(): [usage] });
            headers.push(("x-business-use-case-usage", usage.to_string()));
        }
        headers
    }
}

/// Usage in percent of a limit. domain: usage headers, Meta docs.
fn counts(percent: u32) -> Value {
    json!({ "call_count": percent, "total_cputime": percent / 3, "total_time": percent / 2 })
}

fn percent(window: &Window, limit: Limit) -> u32 {
    let percent = window.len() as u64 * 100 / u64::from(limit.requests.get());
    u32::try_from(percent).unwrap_or(100)
}

/// Minutes, rounded up.
fn minutes(wait: Duration) -> u64 {
    millis(wait).div_ceil(60_000)
}
