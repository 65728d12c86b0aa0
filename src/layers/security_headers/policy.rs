//! The builder: what is sent, on which responses, and what a handler may decide itself.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::csp::ContentSecurityPolicy;
use super::fingerprint::{FINGERPRINTS, TRACE_PROPAGATION};
use super::hsts::{Hsts, HstsWhen};
use super::layer::SecurityHeadersLayer;
use super::names;
use super::permissions::PermissionsPolicy;
use super::plan::Plans;
use super::reporting::{IntegrityPolicy, ReportingEndpoints};
use super::rules::Rule;
use super::values::{
    ClearSiteData, CrossOriginEmbedderPolicy, CrossOriginOpenerPolicy, CrossOriginResourcePolicy, FrameOptions,
    ReferrerPolicy,
};
use crate::spine::config::ConfigError;
use crate::spine::key::ClientIp;

/// Which security headers a service sends: a preset, adapted.
///
/// Every value is checked and rendered once. The first one that is wrong is what [`build`](Self::build) reports.
///
/// A header of ours replaces the handler's, unless told otherwise by name: [`keep`](Self::keep) lets the handler's
/// stand, [`append`](Self::append) sends both, [`remove`](Self::remove) sends neither, [`without`](Self::without)
/// makes the layer forget it.
///
/// ```
/// use http::header;
/// use tower_rampart::security_headers::{FrameOptions, SecurityHeaders};
///
/// let layer = SecurityHeaders::web()
///     .frame_options(FrameOptions::SameOrigin)
///     .keep(header::REFERRER_POLICY)
///     .build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is said until the layer is built"]
pub struct SecurityHeaders {
    pub(super) ours: HeaderMap,
    pub(super) rules: HeaderMap<Rule>,
    pub(super) csp: Option<ContentSecurityPolicy>,
    pub(super) csp_report_only: Option<ContentSecurityPolicy>,
    pub(super) hsts_when: HstsWhen,
    pub(super) client_ip: ClientIp,
    pub(super) no_store_for_credentials: bool,
    reporting: ReportingEndpoints,
    /// Groups that some header reports to, beside those of the two policies above, with the setting's name.
    report_groups: Vec<(HeaderName, String)>,
    fault: Option<ConfigError>,
}

crate::spine::bounds::no_layer!(SecurityHeaders);

impl SecurityHeaders {
    /// Sends nothing and removes nothing.
    pub fn empty() -> Self {
        Self {
            ours: HeaderMap::new(),
            rules: HeaderMap::default(),
            csp: None,
            csp_report_only: None,
            hsts_when: HstsWhen::Secure,
            client_ip: ClientIp::new(),
            no_store_for_credentials: false,
            reporting: ReportingEndpoints::default(),
            report_groups: Vec::new(),
            fault: None,
        }
    }

    /// `Content-Security-Policy`: a [`Csp`](super::Csp), a finished policy, or text.
    pub fn content_security_policy<P>(mut self, policy: P) -> Self
    where
        P: TryInto<ContentSecurityPolicy, Error: Into<ConfigError>>,
    {
        let built = policy.try_into().map_err(Into::into);
        if let Some(policy) = self.checked(built) {
            self.ours.insert(header::CONTENT_SECURITY_POLICY, policy.without_nonce().clone());
            self.csp = Some(policy);
        }
        self
    }

    /// `Content-Security-Policy-Report-Only`: tried, never enforced. It shares the nonce of the enforced policy.
    pub fn content_security_policy_report_only<P>(mut self, policy: P) -> Self
    where
        P: TryInto<ContentSecurityPolicy, Error: Into<ConfigError>>,
    {
        let built = policy.try_into().map_err(Into::into);
        if let Some(policy) = self.checked(built) {
            self.ours.insert(header::CONTENT_SECURITY_POLICY_REPORT_ONLY, policy.without_nonce().clone());
            self.csp_report_only = Some(policy);
        }
        self
    }

    /// `Strict-Transport-Security`.
    pub fn hsts(self, hsts: Hsts) -> Self {
        self.put(header::STRICT_TRANSPORT_SECURITY, hsts.value())
    }

    /// On which responses HSTS is sent; on those to secure requests by default.
    pub fn hsts_when(mut self, when: HstsWhen) -> Self {
        self.hsts_when = when;
        self
    }

    /// The proxies whose word about the client's protocol counts, for [`HstsWhen::Secure`].
    pub fn client_ip(mut self, client_ip: ClientIp) -> Self {
        self.client_ip = client_ip;
        self
    }

    /// `X-Frame-Options`.
    pub fn frame_options(self, options: FrameOptions) -> Self {
        self.set(header::X_FRAME_OPTIONS, options.into())
    }

    /// `X-Content-Type-Options: nosniff`.
    pub fn nosniff(self) -> Self {
        self.set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }

    /// `Referrer-Policy`.
    pub fn referrer_policy(self, policy: ReferrerPolicy) -> Self {
        self.set(header::REFERRER_POLICY, policy.into())
    }

    /// `Permissions-Policy`.
    pub fn permissions_policy(self, policy: PermissionsPolicy) -> Self {
        self.put(names::PERMISSIONS_POLICY, policy.value())
    }

    /// `Permissions-Policy-Report-Only`.
    pub fn permissions_policy_report_only(self, policy: PermissionsPolicy) -> Self {
        self.put(names::PERMISSIONS_POLICY_REPORT_ONLY, policy.value())
    }

    /// `Cross-Origin-Opener-Policy`.
    pub fn cross_origin_opener_policy(self, policy: CrossOriginOpenerPolicy) -> Self {
        self.set(names::CROSS_ORIGIN_OPENER_POLICY, policy.into())
    }

    /// `Cross-Origin-Opener-Policy-Report-Only`, reporting to a declared endpoint.
    pub fn cross_origin_opener_policy_report_only(
        self,
        policy: CrossOriginOpenerPolicy,
        group: impl Into<String>,
    ) -> Self {
        self.reported(names::CROSS_ORIGIN_OPENER_POLICY_REPORT_ONLY, policy.as_str(), group.into())
    }

    /// `Cross-Origin-Embedder-Policy`.
    pub fn cross_origin_embedder_policy(self, policy: CrossOriginEmbedderPolicy) -> Self {
        self.set(names::CROSS_ORIGIN_EMBEDDER_POLICY, policy.into())
    }

    /// `Cross-Origin-Embedder-Policy-Report-Only`, reporting to a declared endpoint.
    pub fn cross_origin_embedder_policy_report_only(
        self,
        policy: CrossOriginEmbedderPolicy,
        group: impl Into<String>,
    ) -> Self {
        self.reported(names::CROSS_ORIGIN_EMBEDDER_POLICY_REPORT_ONLY, policy.as_str(), group.into())
    }

    /// `Cross-Origin-Resource-Policy`.
    pub fn cross_origin_resource_policy(self, policy: CrossOriginResourcePolicy) -> Self {
        self.set(names::CROSS_ORIGIN_RESOURCE_POLICY, policy.into())
    }

    /// `Origin-Agent-Cluster: ?1`: the page's process is shared with its own origin alone.
    pub fn origin_agent_cluster(self) -> Self {
        self.set(names::ORIGIN_AGENT_CLUSTER, HeaderValue::from_static("?1"))
    }

    /// Declares a group in `Reporting-Endpoints`, for the policies that report to it.
    pub fn reporting_endpoint(mut self, group: impl Into<String>, url: impl Into<String>) -> Self {
        self.reporting.add(group.into(), url.into());
        let rendered = self.reporting.value();
        if let Some(Some(value)) = self.checked(rendered) {
            self.ours.insert(names::REPORTING_ENDPOINTS, value);
        }
        self
    }

    /// `Integrity-Policy`.
    pub fn integrity_policy(self, policy: IntegrityPolicy) -> Self {
        self.integrity(names::INTEGRITY_POLICY, &policy)
    }

    /// `Integrity-Policy-Report-Only`.
    pub fn integrity_policy_report_only(self, policy: IntegrityPolicy) -> Self {
        self.integrity(names::INTEGRITY_POLICY_REPORT_ONLY, &policy)
    }

    /// `Clear-Site-Data`, for a layer around the logout route alone: on every response it would log everybody out.
    pub fn clear_site_data(self, data: impl IntoIterator<Item = ClearSiteData>) -> Self {
        self.put(names::CLEAR_SITE_DATA, clear_site_data_value(data))
    }

    /// Any other field.
    pub fn set(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.ours.insert(name, value);
        self
    }

    /// The handler's field stands, where it sends one; ours elsewhere.
    pub fn keep(self, name: HeaderName) -> Self {
        self.rule(name, Rule::Keep)
    }

    /// Ours is sent beside the handler's. Two policies both apply, so that a page may do what both allow.
    pub fn append(self, name: HeaderName) -> Self {
        self.rule(name, Rule::Append)
    }

    /// Neither ours nor the handler's is sent.
    pub fn remove(self, name: HeaderName) -> Self {
        self.without(name.clone()).rule(name, Rule::Remove)
    }

    /// The layer no longer sends or removes the field: the handler alone decides.
    pub fn without(mut self, name: HeaderName) -> Self {
        self.ours.remove(&name);
        self.rules.remove(&name);
        if name == header::CONTENT_SECURITY_POLICY {
            self.csp = None;
        } else if name == header::CONTENT_SECURITY_POLICY_REPORT_ONLY {
            self.csp_report_only = None;
        } else if name == names::REPORTING_ENDPOINTS {
            self.reporting = ReportingEndpoints::default();
        }
        self.report_groups.retain(|(reporter, _)| *reporter != name);
        self
    }

    /// Removes the fields that tell what a server is made of (OWASP's list of 87), without those that propagate traces.
    pub fn strip_fingerprints(mut self) -> Self {
        for name in FINGERPRINTS {
            self.rules.insert(HeaderName::from_static(name), Rule::Remove);
        }
        self
    }

    /// Removes the trace propagation fields on that list too (`X-B3-*`, `X-Datadog-*`).
    pub fn strip_trace_propagation(mut self) -> Self {
        for name in TRACE_PROPAGATION {
            self.rules.insert(HeaderName::from_static(name), Rule::Remove);
        }
        self
    }

    /// Whether responses to requests with credentials (`Authorization`, `Cookie`, `X-API-Key`), and those that set a
    /// cookie, get `Cache-Control: no-store` where the handler said nothing about caching.
    pub fn no_store_for_credentials(mut self, yes: bool) -> Self {
        self.no_store_for_credentials = yes;
        self
    }

    /// Checks what belongs together, and makes the layer.
    ///
    /// # Errors
    ///
    /// The first wrong value, or a policy that reports to a group no
    /// [`reporting_endpoint`](Self::reporting_endpoint) declares. It names the value and the mend.
    pub fn build(self) -> Result<SecurityHeadersLayer, ConfigError> {
        match self.fault.clone().or_else(|| self.undeclared_group()) {
            Some(fault) => Err(fault),
            None => Ok(self.compile()),
        }
    }

    /// For presets, whose values are constants that a test builds.
    pub(super) fn compile(self) -> SecurityHeadersLayer {
        SecurityHeadersLayer::of(Plans::compile(self))
    }

    fn undeclared_group(&self) -> Option<ConfigError> {
        let policies = [
            (header::CONTENT_SECURITY_POLICY, &self.csp),
            (header::CONTENT_SECURITY_POLICY_REPORT_ONLY, &self.csp_report_only),
        ];
        let of_policies = policies.iter().filter_map(|(name, policy)| Some((name, policy.as_ref()?.report_groups())));
        let groups = of_policies.flat_map(|(name, groups)| groups.iter().map(move |group| (name, group)));
        let others = self.report_groups.iter().map(|(name, group)| (name, group));
        let (name, group) = groups.chain(others).find(|(_, group)| !self.reporting.declares(group))?;
        Some(ConfigError::new(
            name.as_str().replace('-', "_"),
            group,
            "is a reporting group that is not declared",
            format!("add `.reporting_endpoint(\"{group}\", \"https://…\")`, or drop the report-to"),
        ))
    }

    fn rule(mut self, name: HeaderName, rule: Rule) -> Self {
        self.rules.insert(name, rule);
        self
    }

    fn integrity(mut self, name: HeaderName, policy: &IntegrityPolicy) -> Self {
        let groups = policy.report_groups().iter().map(|group| (name.clone(), group.clone()));
        self.report_groups.extend(groups);
        self.put(name, policy.value())
    }

    fn reported(mut self, name: HeaderName, policy: &str, group: String) -> Self {
        let value = HeaderValue::try_from(format!("{policy}; report-to=\"{group}\"")).map_err(|_| {
            ConfigError::new(name.as_str().replace('-', "_"), &group, "is no group name", "use visible ASCII letters")
        });
        self.report_groups.push((name.clone(), group));
        self.put(name, value)
    }

    fn put(mut self, name: HeaderName, value: Result<HeaderValue, ConfigError>) -> Self {
        if let Some(value) = self.checked(value) {
            self.ours.insert(name, value);
        }
        self
    }

    /// Remembers the first fault.
    fn checked<T>(&mut self, value: Result<T, ConfigError>) -> Option<T> {
        value.map_err(|fault| self.fault.get_or_insert(fault)).ok()
    }
}

pub(super) fn clear_site_data_value(data: impl IntoIterator<Item = ClearSiteData>) -> Result<HeaderValue, ConfigError> {
    let types: Vec<&str> = data.into_iter().map(ClearSiteData::as_str).collect();
    let refuse =
        || ConfigError::new("clear_site_data", "", "nothing is named", "name at least `ClearSiteData::Cookies`");
    if types.is_empty() {
        return Err(refuse());
    }
    HeaderValue::try_from(types.join(", ")).map_err(|_| refuse())
}
