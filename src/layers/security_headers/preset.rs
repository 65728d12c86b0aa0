//! The presets.

use http::{HeaderValue, header};

use super::csp::{Csp, Source};
use super::hsts::Hsts;
use super::layer::SecurityHeadersLayer;
use super::names;
use super::permissions::PermissionsPolicy;
use super::policy::SecurityHeaders;
use super::values::{
    CrossOriginEmbedderPolicy, CrossOriginOpenerPolicy, CrossOriginResourcePolicy, FrameOptions, ReferrerPolicy,
};

impl SecurityHeaders {
    /// For an API: nothing it answers may be rendered, framed, embedded or sniffed.
    pub fn api() -> Self {
        Self::browser_facing().content_security_policy(
            Csp::new()
                .default_src([Source::NONE])
                .base_uri([Source::NONE])
                .form_action([Source::NONE])
                .frame_ancestors([Source::NONE]),
        )
    }

    /// For pages: scripts and styles by nonce, everything else from the own origin, no framing.
    ///
    /// A handler takes the [`CspNonce`](super::CspNonce) from the request's extensions (or as an axum extractor) and
    /// writes it into its `<script nonce>` and `<style nonce>`. A response whose handler asked for none allows scripts
    /// and styles from the own origin.
    pub fn web() -> Self {
        Self::browser_facing().content_security_policy(
            Csp::new()
                .default_src([Source::NONE])
                .script_src([Source::NONCE, Source::STRICT_DYNAMIC])
                .style_src([Source::NONCE])
                .img_src([Source::SELF])
                .font_src([Source::SELF])
                .connect_src([Source::SELF])
                .form_action([Source::SELF])
                .base_uri([Source::SELF])
                .frame_ancestors([Source::NONE]),
        )
    }

    /// For gRPC services: HSTS and nosniff, since no browser renders their messages.
    pub fn grpc() -> Self {
        Self::empty().hsts(Hsts::years(2).include_subdomains()).nosniff().strip_fingerprints()
    }

    /// What the OWASP Secure Headers Project proposes (list of 2026-07-19), without `Clear-Site-Data`, which belongs on
    /// the answer to a logout.
    pub fn owasp() -> Self {
        Self::empty()
            .set(header::CACHE_CONTROL, HeaderValue::from_static("no-store, max-age=0"))
            .content_security_policy(
                Csp::new()
                    .default_src([Source::SELF])
                    .form_action([Source::SELF])
                    .base_uri([Source::SELF])
                    .object_src([Source::NONE])
                    .frame_ancestors([Source::NONE])
                    .upgrade_insecure_requests(),
            )
            .cross_origin_embedder_policy(CrossOriginEmbedderPolicy::RequireCorp)
            .cross_origin_opener_policy(CrossOriginOpenerPolicy::SameOrigin)
            .cross_origin_resource_policy(CrossOriginResourcePolicy::SameOrigin)
            .set(names::PERMISSIONS_POLICY, HeaderValue::from_static(OWASP_PERMISSIONS))
            .referrer_policy(ReferrerPolicy::NoReferrer)
            .hsts(Hsts::years(2).include_subdomains())
            .nosniff()
            .set(header::X_DNS_PREFETCH_CONTROL, HeaderValue::from_static("off"))
            .set(header::X_FRAME_OPTIONS, HeaderValue::from_static("deny"))
            .set(names::X_PERMITTED_CROSS_DOMAIN_POLICIES, HeaderValue::from_static("none"))
            .strip_fingerprints()
            .no_store_for_credentials(true)
    }

    /// What `api` and `web` share.
    fn browser_facing() -> Self {
        Self::empty()
            .hsts(Hsts::years(2).include_subdomains())
            .nosniff()
            .frame_options(FrameOptions::Deny)
            .referrer_policy(ReferrerPolicy::NoReferrer)
            .cross_origin_resource_policy(CrossOriginResourcePolicy::SameOrigin)
            .cross_origin_opener_policy(CrossOriginOpenerPolicy::SameOrigin)
            .permissions_policy(PermissionsPolicy::deny_all())
            .strip_fingerprints()
            .no_store_for_credentials(true)
    }
}

impl SecurityHeadersLayer {
    /// [`SecurityHeaders::api`], as it is.
    pub fn api() -> Self {
        SecurityHeaders::api().compile()
    }

    /// [`SecurityHeaders::web`], as it is.
    pub fn web() -> Self {
        SecurityHeaders::web().compile()
    }

    /// [`SecurityHeaders::grpc`], as it is.
    pub fn grpc() -> Self {
        SecurityHeaders::grpc().compile()
    }

    /// [`SecurityHeaders::owasp`], as it is.
    pub fn owasp() -> Self {
        SecurityHeaders::owasp().compile()
    }

    /// [`SecurityHeaders::empty`]: passes everything through.
    pub fn empty() -> Self {
        SecurityHeaders::empty().compile()
    }
}

/// As the list has it, with features that Permissions-Policy no longer knows.
const OWASP_PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), \
    display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), \
    screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), xr-spatial-tracking=(), clipboard-read=(), \
    clipboard-write=(), gamepad=(), hid=(), idle-detection=(), interest-cohort=(), serial=(), unload=()";
