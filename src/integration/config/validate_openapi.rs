//! The keys of `[validate]` about an OpenAPI document.

use std::path::Path;

#[cfg(feature = "openapi")]
use super::renderer::Renderer;
use super::validate::ValidateConfig;
#[cfg(feature = "openapi")]
use super::validate::{Responses, Size, UnknownParameters};
use crate::layers::validate::Validate;
#[cfg(feature = "openapi")]
use crate::layers::validate::{OpenApi, UnknownQuery, ValidateResponses, ValidateResponsesLayer};
use crate::spine::config::ConfigError;

#[cfg(feature = "openapi")]
impl ValidateConfig {
    /// The layer that judges responses; it leaves them as they are where `responses` is `off`.
    ///
    /// # Errors
    ///
    /// An OpenAPI document that cannot be read or used, or none where responses are to be judged.
    pub fn to_responses_layer(&self, base: &Path) -> Result<ValidateResponsesLayer, ConfigError> {
        self.responses_layer(base, &Renderer::default())
    }

    pub(super) fn responses_layer(
        &self,
        base: &Path,
        renderer: &Renderer,
    ) -> Result<ValidateResponsesLayer, ConfigError> {
        if self.responses == Responses::Off {
            return Ok(ValidateResponsesLayer::empty());
        }
        let Some(api) = self.read_openapi(base)? else {
            const MEND: &str = "name the document that describes them as `openapi`";
            return Err(ConfigError::new("validate.responses", "", "are described nowhere", MEND));
        };
        const BODY_BYTES: usize = 1 << 20;
        let responses = match self.buffer_bytes {
            Some(Size(bytes)) => ValidateResponses::new(api).buffer_bytes(bytes).body_bytes(BODY_BYTES.min(bytes)),
            None => ValidateResponses::new(api),
        };
        let responses = if self.responses == Responses::Report { responses.report() } else { responses };
        responses.with_renderer(renderer.clone()).build().map_err(|error| self.of_file(&error))
    }

    pub(super) fn with_openapi(
        &self,
        validate: Validate,
        base: &Path,
        has_auth: bool,
    ) -> Result<Validate, ConfigError> {
        let Some(api) = self.read_openapi(base)? else {
            const MEND: &str = "name the document whose paths it stands before as `openapi`, or take it away";
            return match &self.base_path {
                Some(path) => Err(ConfigError::new("validate.base_path", path, "stands before no paths", MEND)),
                None => Ok(validate),
            };
        };
        let api = match (self.ignore_security, has_auth) {
            (true, _) => api.dangerous_ignore_security(),
            (false, true) => api.all_security_bound(),
            (false, false) => api,
        };
        Ok(validate.add_openapi(api))
    }

    fn read_openapi(&self, base: &Path) -> Result<Option<OpenApi>, ConfigError> {
        let Some(file) = &self.openapi else { return Ok(None) };
        let text = std::fs::read(base.join(file)).map_err(|error| {
            let breach = format!("cannot be read ({error})");
            ConfigError::new("validate.openapi", file, breach, "name a file that this user can read")
        })?;
        let is_yaml = Path::new(file).extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        let api = if is_yaml { read_yaml(&text) } else { OpenApi::from_json(&text) };
        let api = api.map_err(|error| self.of_file(&error))?;
        let api = match &self.base_path {
            Some(path) => api.base_path(path.as_str()),
            None => api,
        };
        Ok(Some(match self.unknown_query {
            UnknownParameters::Refuse => api,
            UnknownParameters::Pass => api.unknown_query(UnknownQuery::Pass),
        }))
    }

    /// The same error, with the file's name.
    fn of_file(&self, error: &ConfigError) -> ConfigError {
        let file = self.openapi.as_deref().unwrap_or_default();
        let setting = if error.setting() == "openapi" {
            "validate.openapi".to_owned()
        } else {
            format!("validate.{}", error.setting())
        };
        ConfigError::new(setting, file, error.breach().to_owned(), error.mend().to_owned())
    }
}

#[cfg(feature = "openapi-yaml")]
fn read_yaml(text: &[u8]) -> Result<OpenApi, ConfigError> {
    OpenApi::from_yaml(text)
}

#[cfg(all(feature = "openapi", not(feature = "openapi-yaml")))]
fn read_yaml(_: &[u8]) -> Result<OpenApi, ConfigError> {
    const MEND: &str = "turn on the feature `openapi-yaml`";
    Err(ConfigError::new("openapi", "", "is YAML, which is not read here", MEND))
}

#[cfg(not(feature = "openapi"))]
impl ValidateConfig {
    pub(super) fn with_openapi(&self, validate: Validate, _: &Path, _: bool) -> Result<Validate, ConfigError> {
        let says_more = self.base_path.is_some()
            || self.unknown_query != super::validate::UnknownParameters::default()
            || self.ignore_security
            || self.responses != super::validate::Responses::default();
        if self.openapi.is_none() && !says_more {
            return Ok(validate);
        }
        const MEND: &str = "turn on the feature `openapi`";
        let file = self.openapi.as_deref().unwrap_or_default();
        Err(ConfigError::new("validate.openapi", file, "is not looked at here", MEND))
    }
}
