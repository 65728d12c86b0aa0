//! The headers whose values are a choice from a list.

use std::fmt;

use http::HeaderValue;

macro_rules! choices {
    ($($(#[$type_doc:meta])* $type:ident { $($(#[$doc:meta])* $choice:ident = $text:literal,)* })*) => {$(
        $(#[$type_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type { $($(#[$doc])* $choice,)* }

        impl $type {
            /// The value as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$choice => $text,)* }
            }
        }

        impl From<$type> for HeaderValue {
            fn from(choice: $type) -> Self {
                Self::from_static(choice.as_str())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

choices! {
    /// `X-Frame-Options`, for browsers that do not know `frame-ancestors`.
    FrameOptions {
        /// Nobody may frame the page.
        Deny = "DENY",
        /// Pages of the same origin may.
        SameOrigin = "SAMEORIGIN",
    }

    /// `Referrer-Policy`: what other sites learn of the page a user comes from.
    ReferrerPolicy {
        /// Nothing.
        NoReferrer = "no-referrer",
        /// All, except from HTTPS to HTTP.
        NoReferrerWhenDowngrade = "no-referrer-when-downgrade",
        /// The origin.
        Origin = "origin",
        /// The origin; within the site, all.
        OriginWhenCrossOrigin = "origin-when-cross-origin",
        /// Nothing; within the origin, all.
        SameOrigin = "same-origin",
        /// The origin, except from HTTPS to HTTP.
        StrictOrigin = "strict-origin",
        /// The origin, except from HTTPS to HTTP; within the origin, all. What browsers do on their own.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
    }

    /// `Cross-Origin-Opener-Policy`: who shares a window group with the page.
    CrossOriginOpenerPolicy {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Those, and pop-ups that it opens.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// Nobody who opened it, not even of the same origin.
        NoopenerAllowPopups = "noopener-allow-popups",
        /// Anybody.
        UnsafeNone = "unsafe-none",
    }

    /// `Cross-Origin-Embedder-Policy`: what the page may load from other origins.
    CrossOriginEmbedderPolicy {
        /// Only what allows it.
        RequireCorp = "require-corp",
        /// Anything, without credentials.
        Credentialless = "credentialless",
        /// Anything.
        UnsafeNone = "unsafe-none",
    }

    /// `Cross-Origin-Resource-Policy`: who may load the response.
    CrossOriginResourcePolicy {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site.
        SameSite = "same-site",
        /// Anybody.
        CrossOrigin = "cross-origin",
    }

    /// What `Clear-Site-Data` makes a browser forget. It belongs on the answer to a logout.
    ClearSiteData {
        /// The HTTP cache.
        Cache = "\"cache\"",
        /// Cookies.
        Cookies = "\"cookies\"",
        /// Local storage, IndexedDB, service workers.
        Storage = "\"storage\"",
        /// Open pages are reloaded.
        ExecutionContexts = "\"executionContexts\"",
        /// Client hints.
        ClientHints = "\"clientHints\"",
        /// All of it.
        Everything = "\"*\"",
    }

    /// What `Integrity-Policy` wants an `integrity` attribute for.
    IntegrityDestination {
        /// Scripts.
        Script = "script",
        /// Stylesheets.
        Style = "style",
    }
}
