//! The fields this layer knows beyond those that `http` names.

use http::HeaderName;
use http::header;

macro_rules! names {
    ($($constant:ident = $name:literal;)*) => {
        $(pub(super) const $constant: HeaderName = HeaderName::from_static($name);)*
    };
}

names! {
    CLEAR_SITE_DATA = "clear-site-data";
    CROSS_ORIGIN_EMBEDDER_POLICY = "cross-origin-embedder-policy";
    CROSS_ORIGIN_EMBEDDER_POLICY_REPORT_ONLY = "cross-origin-embedder-policy-report-only";
    CROSS_ORIGIN_OPENER_POLICY = "cross-origin-opener-policy";
    CROSS_ORIGIN_OPENER_POLICY_REPORT_ONLY = "cross-origin-opener-policy-report-only";
    CROSS_ORIGIN_RESOURCE_POLICY = "cross-origin-resource-policy";
    INTEGRITY_POLICY = "integrity-policy";
    INTEGRITY_POLICY_REPORT_ONLY = "integrity-policy-report-only";
    ORIGIN_AGENT_CLUSTER = "origin-agent-cluster";
    PERMISSIONS_POLICY = "permissions-policy";
    PERMISSIONS_POLICY_REPORT_ONLY = "permissions-policy-report-only";
    REPORTING_ENDPOINTS = "reporting-endpoints";
    X_PERMITTED_CROSS_DOMAIN_POLICIES = "x-permitted-cross-domain-policies";
}

/// Fields that mean something for documents a browser renders, and nothing for a gRPC message.
pub(super) const DOCUMENT_FIELDS: [HeaderName; 19] = [
    CLEAR_SITE_DATA,
    CROSS_ORIGIN_EMBEDDER_POLICY,
    CROSS_ORIGIN_EMBEDDER_POLICY_REPORT_ONLY,
    CROSS_ORIGIN_OPENER_POLICY,
    CROSS_ORIGIN_OPENER_POLICY_REPORT_ONLY,
    CROSS_ORIGIN_RESOURCE_POLICY,
    INTEGRITY_POLICY,
    INTEGRITY_POLICY_REPORT_ONLY,
    ORIGIN_AGENT_CLUSTER,
    PERMISSIONS_POLICY,
    PERMISSIONS_POLICY_REPORT_ONLY,
    REPORTING_ENDPOINTS,
    X_PERMITTED_CROSS_DOMAIN_POLICIES,
    header::CACHE_CONTROL,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::REFERRER_POLICY,
    header::X_DNS_PREFETCH_CONTROL,
    header::X_FRAME_OPTIONS,
];

/// Fields by which shared caches are told more than `Cache-Control` says (RFC 9213, and its forerunner).
pub(super) const TARGETED_CACHE_FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];
