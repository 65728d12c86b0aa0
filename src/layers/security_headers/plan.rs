//! The engine: which fields a response gets, decided when the policy is built, and merged with the handler's.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::csp::ContentSecurityPolicy;
use super::hsts::HstsWhen;
use super::names::{DOCUMENT_FIELDS, TARGETED_CACHE_FIELDS};
use super::overrides::HeaderOverrides;
use super::policy::SecurityHeaders;
use super::rules::{Rule, Rules};
use crate::spine::key::ClientIp;
use crate::spine::request::Protocol;

/// Fields that a handler's response has at most, as a rule. More are no harm but to speed.
const EXPECTED_FIELDS: usize = 12;

/// What kind of response is given its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Document,
    /// 304: the client keeps what it stored, so a policy with another nonce would break its page.
    NotModified,
    Grpc,
}

/// What the request says that decides about the response.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RequestTraits {
    pub(super) secure: bool,
    pub(super) credentials: bool,
}

/// The fields of one kind of response, ready to be cloned.
#[derive(Debug, Clone, Default)]
struct Plan {
    ours: HeaderMap,
    ours_with_seat: HeaderMap,
    rules: Rules,
}

/// A compiled policy.
#[derive(Debug)]
pub(super) struct Plans {
    secure: ByShape,
    insecure: ByShape,
    csp: Option<ContentSecurityPolicy>,
    csp_report_only: Option<ContentSecurityPolicy>,
    hsts_when: Option<HstsWhen>,
    client_ip: ClientIp,
    no_store_for_credentials: bool,
}

#[derive(Debug)]
struct ByShape {
    document: Plan,
    not_modified: Plan,
    grpc: Plan,
}

impl Plans {
    pub(super) fn compile(policy: SecurityHeaders) -> Self {
        let mut rules = policy.rules;
        for name in policy.ours.keys() {
            rules.entry(name).or_insert(Rule::Replace);
        }
        if !rules.is_empty() {
            // The handler's content-type has a seat among our fields.
            rules.entry(header::CONTENT_TYPE).or_insert(Rule::Keep);
        }
        let sends_hsts = policy.ours.contains_key(header::STRICT_TRANSPORT_SECURITY);
        let all = Plan { ours: policy.ours, ours_with_seat: HeaderMap::new(), rules: Rules::of(rules) };
        // Where we send no HSTS, a handler's own is its own affair, unless there is to be none at all.
        let strips_hsts = sends_hsts || policy.hsts_when == HstsWhen::Never;
        let without_hsts =
            if strips_hsts { all.clone().removing(&header::STRICT_TRANSPORT_SECURITY) } else { all.clone() };
        let (secure, insecure) = match policy.hsts_when {
            HstsWhen::Secure => (all, without_hsts),
            HstsWhen::Always => (all.clone(), all),
            HstsWhen::Never => (without_hsts.clone(), without_hsts),
        };
        Self {
            secure: ByShape::of(secure),
            insecure: ByShape::of(insecure),
            csp: policy.csp.filter(ContentSecurityPolicy::uses_nonce),
            csp_report_only: policy.csp_report_only.filter(ContentSecurityPolicy::uses_nonce),
            hsts_when: sends_hsts.then_some(policy.hsts_when),
            client_ip: policy.client_ip,
            no_store_for_credentials: policy.no_store_for_credentials,
        }
    }

    /// What responses get, on one line; `None` when that is nothing.
    pub(super) fn describe(&self) -> Option<String> {
        let Plan { ours, rules, .. } = &self.secure.document;
        if rules.is_empty() && !self.no_store_for_credentials {
            return None;
        }
        let nonce = if self.uses_nonce() { ", a nonce" } else { "" };
        let hsts = match self.hsts_when {
            Some(HstsWhen::Secure) => ", HSTS when secure",
            Some(HstsWhen::Always) => ", HSTS",
            Some(HstsWhen::Never) | None => "",
        };
        let removed = match rules.removed() {
            0 => String::new(),
            removed => format!("; {removed} removed"),
        };
        Some(format!("{} fields{nonce}{hsts}{removed}", ours.keys_len()))
    }

    /// Whether a handler can ask for a nonce.
    pub(super) fn uses_nonce(&self) -> bool {
        self.csp.is_some() || self.csp_report_only.is_some()
    }

    /// The proxies to ask whether a request was secure, when it matters.
    pub(super) fn asks_whether_secure(&self) -> Option<&ClientIp> {
        (self.hsts_when == Some(HstsWhen::Secure)).then_some(&self.client_ip)
    }

    /// Whether credentials matter.
    pub(super) fn asks_for_credentials(&self) -> bool {
        self.no_store_for_credentials
    }

    /// Gives a response its fields. `nonce` is the one that the handler drew.
    pub(super) fn apply(
        &self,
        status: StatusCode,
        headers: &mut HeaderMap,
        overrides: Option<&HeaderOverrides>,
        nonce: Option<&str>,
        request: RequestTraits,
    ) {
        let content_type = headers.get(header::CONTENT_TYPE);
        let shape = Shape::of(status, content_type);
        let by_shape = if request.secure { &self.secure } else { &self.insecure };
        let plan = by_shape.plan(shape);
        if !plan.is_empty() || overrides.is_some() {
            let mut ours = plan.ours(content_type.is_some());
            if let Some(nonce) = nonce.filter(|_| shape == Shape::Document) {
                self.insert_nonce(&mut ours, nonce);
            }
            if let Some(overrides) = overrides {
                overrides.apply_ours(&mut ours, nonce, shape == Shape::Document);
            }
            let theirs = std::mem::replace(headers, ours);
            merge(headers, theirs, &plan.rules, overrides);
        }
        if overrides.is_some() {
            self.hold_back(headers, shape, request.secure);
        }
        if shape == Shape::Document {
            self.forbid_storing(headers, nonce.is_some(), request.credentials);
        }
    }

    /// What not even a handler can ask for: a policy on a 304, and HSTS on an insecure response.
    fn hold_back(&self, headers: &mut HeaderMap, shape: Shape, secure: bool) {
        if shape == Shape::NotModified {
            headers.remove(header::CONTENT_SECURITY_POLICY);
            headers.remove(header::CONTENT_SECURITY_POLICY_REPORT_ONLY);
        }
        if self.hsts_when == Some(HstsWhen::Secure) && !secure {
            headers.remove(header::STRICT_TRANSPORT_SECURITY);
        }
    }

    fn insert_nonce(&self, ours: &mut HeaderMap, nonce: &str) {
        let policies = [
            (header::CONTENT_SECURITY_POLICY, &self.csp),
            (header::CONTENT_SECURITY_POLICY_REPORT_ONLY, &self.csp_report_only),
        ];
        for (name, policy) in policies {
            if let Some(policy) = policy {
                ours.insert(name, policy.with_nonce(nonce));
            }
        }
    }

    /// A page whose body holds a nonce is of use once. What answers a caller with credentials is that caller's.
    fn forbid_storing(&self, headers: &mut HeaderMap, has_nonce: bool, credentials: bool) {
        const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
        if has_nonce {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
            for name in TARGETED_CACHE_FIELDS {
                headers.remove(name);
            }
        } else if self.no_store_for_credentials
            && (credentials || headers.contains_key(header::SET_COOKIE))
            && !headers.contains_key(header::CACHE_CONTROL)
        {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
    }
}

/// Moves the handler's fields into ours. Building on a clone of the prepared map costs a fraction of inserting our
/// fields into the handler's one by one.
fn merge(headers: &mut HeaderMap, theirs: HeaderMap, rules: &Rules, overrides: Option<&HeaderOverrides>) {
    let repeats = theirs.len() != theirs.keys_len();
    let mut last = None;
    for (name, value) in theirs {
        // A value without a name belongs to the name before it.
        let Some(name) = name else {
            append(headers, last.clone(), value);
            continue;
        };
        if repeats {
            last = Some(name.clone());
        }
        match overrides.and_then(|overrides| overrides.rule(&name)).or_else(|| rules.get(&name)) {
            None | Some(Rule::Append) => append(headers, Some(name), value),
            Some(Rule::Keep) => {
                let _ = headers.try_insert(name, value);
            }
            Some(Rule::Replace | Rule::Remove) => last = None,
        }
    }
}

/// Beyond 32,768 fields there is no room; such a response is cut instead of a panic.
fn append(headers: &mut HeaderMap, name: Option<HeaderName>, value: HeaderValue) {
    if let Some(name) = name {
        let _ = headers.try_append(name, value);
    }
}

impl Shape {
    fn of(status: StatusCode, content_type: Option<&HeaderValue>) -> Self {
        if status == StatusCode::NOT_MODIFIED {
            Self::NotModified
        } else if content_type.is_some_and(|value| Protocol::of_content_type(value) == Protocol::Grpc) {
            Self::Grpc
        } else {
            Self::Document
        }
    }
}

impl ByShape {
    fn of(all: Plan) -> Self {
        let not_modified = [header::CONTENT_SECURITY_POLICY, header::CONTENT_SECURITY_POLICY_REPORT_ONLY]
            .iter()
            .filter(|name| all.ours.contains_key(*name))
            .fold(all.clone(), Plan::removing);
        let grpc = DOCUMENT_FIELDS.iter().filter(|name| all.ours.contains_key(*name)).fold(all.clone(), Plan::removing);
        Self { document: all.warmed(), not_modified: not_modified.warmed(), grpc: grpc.warmed() }
    }

    const fn plan(&self, shape: Shape) -> &Plan {
        match shape {
            Shape::Document => &self.document,
            Shape::NotModified => &self.not_modified,
            Shape::Grpc => &self.grpc,
        }
    }
}

impl Plan {
    /// Neither ours nor the handler's is sent.
    fn removing(mut self, name: &HeaderName) -> Self {
        self.ours.remove(name);
        self.rules.insert(name, Rule::Remove);
        self
    }

    /// Makes clones cheap. Room for the handler's fields is in the index that a clone copies, so that it need not be
    /// rebuilt; a seat for its content-type spares the most common response another allocation; and the first clone of
    /// a freshly rendered value turns it into a shared one, better now than in a request.
    fn warmed(mut self) -> Self {
        let mut roomy = HeaderMap::with_capacity(self.ours.len() + EXPECTED_FIELDS);
        roomy.extend(self.ours.clone());
        self.ours = roomy;
        self.ours_with_seat = self.ours.clone();
        if self.rules.get(&header::CONTENT_TYPE) == Some(Rule::Keep) {
            self.ours_with_seat.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(""));
        }
        self
    }

    /// Our fields; with a seat that the handler's content-type must take, when it has one.
    fn ours(&self, has_content_type: bool) -> HeaderMap {
        if has_content_type { self.ours_with_seat.clone() } else { self.ours.clone() }
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
