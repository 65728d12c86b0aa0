//! Permissions-Policy (W3C), a structured dictionary of features.

use http::HeaderValue;

use crate::spine::config::ConfigError;

macro_rules! features {
    ($($feature:ident = $name:literal,)*) => {
        /// A browser feature that a page may be denied.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Feature {
            $(#[doc = concat!("`", $name, "`")] $feature,)*
        }

        impl Feature {
            /// Every feature this crate knows.
            pub const ALL: &'static [Self] = &[$(Self::$feature),*];

            /// The name in the header.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$feature => $name,)* }
            }
        }
    };
}

features! {
    Accelerometer = "accelerometer",
    AmbientLightSensor = "ambient-light-sensor",
    Autoplay = "autoplay",
    Bluetooth = "bluetooth",
    BrowsingTopics = "browsing-topics",
    Camera = "camera",
    ClipboardRead = "clipboard-read",
    ClipboardWrite = "clipboard-write",
    CrossOriginIsolated = "cross-origin-isolated",
    DisplayCapture = "display-capture",
    EncryptedMedia = "encrypted-media",
    Fullscreen = "fullscreen",
    Gamepad = "gamepad",
    Geolocation = "geolocation",
    Gyroscope = "gyroscope",
    Hid = "hid",
    IdentityCredentialsGet = "identity-credentials-get",
    IdleDetection = "idle-detection",
    KeyboardMap = "keyboard-map",
    LocalFonts = "local-fonts",
    Magnetometer = "magnetometer",
    Microphone = "microphone",
    Midi = "midi",
    OtpCredentials = "otp-credentials",
    Payment = "payment",
    PictureInPicture = "picture-in-picture",
    PublickeyCredentialsCreate = "publickey-credentials-create",
    PublickeyCredentialsGet = "publickey-credentials-get",
    ScreenWakeLock = "screen-wake-lock",
    Serial = "serial",
    StorageAccess = "storage-access",
    SyncXhr = "sync-xhr",
    Unload = "unload",
    Usb = "usb",
    WebShare = "web-share",
    WindowManagement = "window-management",
    XrSpatialTracking = "xr-spatial-tracking",
}

/// Which browser features a page and what it frames may use.
///
/// ```
/// use tower_rampart::security_headers::{Feature, PermissionsPolicy, SecurityHeaders};
///
/// let policy = PermissionsPolicy::deny_all()
///     .allow_self(Feature::Fullscreen)
///     .allow_origins(Feature::Payment, ["https://pay.example"]);
/// let layer = SecurityHeaders::web().permissions_policy(policy).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionsPolicy {
    entries: Vec<(String, Allowlist)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowlist {
    Nobody,
    OwnOrigin,
    Origins(Vec<String>),
    Everybody,
}

impl PermissionsPolicy {
    /// Says nothing about any feature.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Denies every feature in [`Feature::ALL`].
    #[must_use]
    pub fn deny_all() -> Self {
        Self { entries: Feature::ALL.iter().map(|feature| (feature.name().to_owned(), Allowlist::Nobody)).collect() }
    }

    /// Denies one feature.
    #[must_use]
    pub fn deny(self, feature: Feature) -> Self {
        self.set(feature.name(), Allowlist::Nobody)
    }

    /// Allows one feature to the page's own origin.
    #[must_use]
    pub fn allow_self(self, feature: Feature) -> Self {
        self.set(feature.name(), Allowlist::OwnOrigin)
    }

    /// Allows one feature to the page's own origin and to these (`"https://pay.example"`).
    #[must_use]
    pub fn allow_origins<T: Into<String>>(self, feature: Feature, origins: impl IntoIterator<Item = T>) -> Self {
        self.set(feature.name(), Allowlist::Origins(origins.into_iter().map(Into::into).collect()))
    }

    /// Allows one feature to everybody, frames included.
    #[must_use]
    pub fn allow_everybody(self, feature: Feature) -> Self {
        self.set(feature.name(), Allowlist::Everybody)
    }

    /// Denies a feature that this crate does not know.
    #[must_use]
    pub fn deny_custom(self, feature: impl Into<String>) -> Self {
        self.set(&feature.into(), Allowlist::Nobody)
    }

    fn set(mut self, feature: &str, allowlist: Allowlist) -> Self {
        match self.entries.iter_mut().find(|(name, _)| name == feature) {
            Some((_, held)) => *held = allowlist,
            None => self.entries.push((feature.to_owned(), allowlist)),
        }
        self
    }

    pub(super) fn value(&self) -> Result<HeaderValue, ConfigError> {
        let refuse = |value: &str, breach, mend| Err(ConfigError::new("permissions_policy", value, breach, mend));
        if self.entries.is_empty() {
            return refuse("", "the policy names no feature", "use `PermissionsPolicy::deny_all()` to begin with");
        }
        let mut members = Vec::with_capacity(self.entries.len());
        for (feature, allowlist) in &self.entries {
            if !is_key(feature) {
                return refuse(feature, "is no feature name", "use lower-case letters, digits and `-`");
            }
            if let Allowlist::Origins(origins) = allowlist
                && let Some(bad) = origins.iter().find(|origin| !is_origin(origin))
            {
                return refuse(bad, "is no origin", "write scheme, host and port alone, such as `https://pay.example`");
            }
            members.push(format!("{feature}={}", allowlist.text()));
        }
        let text = members.join(", ");
        HeaderValue::try_from(&text).or_else(|_| refuse(&text, "is no field value", "use visible ASCII characters"))
    }
}

impl Allowlist {
    fn text(&self) -> String {
        match self {
            Self::Nobody => "()".to_owned(),
            Self::OwnOrigin => "(self)".to_owned(),
            Self::Origins(origins) => format!("(self \"{}\")", origins.join("\" \"")),
            Self::Everybody => "*".to_owned(),
        }
    }
}

/// A key of a structured dictionary (RFC 9651 section 3.1.2), without the characters no feature uses.
pub(super) fn is_key(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// `scheme://host[:port]`; the host may begin with `*.`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    matches!(scheme, "http" | "https")
        && !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]*".contains(&byte))
}
