//! What a handler decides for its own response.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::csp::ContentSecurityPolicy;
use super::names;
use super::policy::clear_site_data_value;
use super::rules::Rule;
use super::values::{ClearSiteData, CrossOriginResourcePolicy, FrameOptions};

/// Lets a handler relax or replace single headers of its response: put it into the response's extensions. In axum a
/// handler returns `(Extension(overrides), body)`.
///
/// ```
/// use http::{Response, header};
/// use tower_rampart::security_headers::{FrameOptions, HeaderOverrides};
///
/// let mut widget = Response::new("<p>Results</p>");
/// widget.extensions_mut().insert(
///     HeaderOverrides::new().frame_options(FrameOptions::SameOrigin).remove(header::REFERRER_POLICY),
/// );
/// ```
#[derive(Debug, Clone, Default)]
pub struct HeaderOverrides {
    entries: Vec<(HeaderName, Override)>,
    csp: Option<ContentSecurityPolicy>,
}

#[derive(Debug, Clone)]
pub(super) enum Override {
    Keep,
    Omit,
    Value(HeaderValue),
}

impl HeaderOverrides {
    /// Overrides nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), csp: None }
    }

    /// The handler's own field stands; where it sends none, ours does.
    #[must_use]
    pub fn keep(self, name: HeaderName) -> Self {
        self.with(name, Override::Keep)
    }

    /// The response goes without the field.
    #[must_use]
    pub fn remove(self, name: HeaderName) -> Self {
        self.with(name, Override::Omit)
    }

    /// The field has this value.
    #[must_use]
    pub fn set(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(name, Override::Value(value))
    }

    /// `X-Frame-Options`. A `frame-ancestors` in the policy counts for more: replace the policy as well.
    #[must_use]
    pub fn frame_options(self, options: FrameOptions) -> Self {
        self.set(header::X_FRAME_OPTIONS, options.into())
    }

    /// `Cross-Origin-Resource-Policy`.
    #[must_use]
    pub fn cross_origin_resource_policy(self, policy: CrossOriginResourcePolicy) -> Self {
        self.set(names::CROSS_ORIGIN_RESOURCE_POLICY, policy.into())
    }

    /// `Content-Security-Policy`. A nonce in it is the request's, if the layer's policy has one too.
    #[must_use]
    pub fn content_security_policy(mut self, policy: ContentSecurityPolicy) -> Self {
        self.csp = Some(policy);
        self
    }

    /// `Clear-Site-Data`, for the answer to a logout. Naming nothing sends nothing.
    #[must_use]
    pub fn clear_site_data(self, data: impl IntoIterator<Item = ClearSiteData>) -> Self {
        match clear_site_data_value(data) {
            Ok(value) => self.set(names::CLEAR_SITE_DATA, value),
            Err(_) => self,
        }
    }

    fn with(mut self, name: HeaderName, entry: Override) -> Self {
        self.entries.retain(|(held, _)| *held != name);
        self.entries.push((name, entry));
        self
    }

    /// Changes our side of the response.
    pub(super) fn apply_ours(&self, ours: &mut HeaderMap, nonce: Option<&str>, is_document: bool) {
        for (name, entry) in &self.entries {
            match entry {
                Override::Keep => {}
                Override::Omit => {
                    ours.remove(name);
                }
                Override::Value(value) => {
                    ours.insert(name.clone(), value.clone());
                }
            }
        }
        if let Some(policy) = &self.csp
            && is_document
        {
            ours.insert(header::CONTENT_SECURITY_POLICY, policy.with_nonce(nonce.unwrap_or_default()));
        }
    }

    /// What happens to the handler's field of this name.
    pub(super) fn rule(&self, name: &HeaderName) -> Option<Rule> {
        if self.csp.is_some() && *name == header::CONTENT_SECURITY_POLICY {
            return Some(Rule::Replace);
        }
        self.entries.iter().find(|(held, _)| held == name).map(|(_, entry)| match entry {
            Override::Keep => Rule::Keep,
            Override::Omit => Rule::Remove,
            Override::Value(_) => Rule::Replace,
        })
    }
}
