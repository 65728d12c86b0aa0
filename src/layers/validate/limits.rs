//! How much is taken.

use std::time::Duration;

use crate::spine::config::ConfigError;
use crate::spine::json::JsonLimits;

/// How much a request may have of everything. Each limit has a default that ordinary APIs do not meet.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::validate::Limits;
///
/// let limits = Limits::new().body_bytes(1 << 20).body_timeout(Duration::from_secs(30)).json_depth(16);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "limits count when a layer is given them"]
pub struct Limits {
    pub(super) uri_bytes: usize,
    pub(super) query_parameters: usize,
    pub(super) query_parameter_bytes: usize,
    pub(super) header_fields: usize,
    pub(super) header_value_bytes: usize,
    pub(super) body_bytes: usize,
    pub(super) body_timeout: Duration,
    pub(super) buffer_bytes: usize,
    pub(super) form_fields: usize,
    pub(super) multipart_parts: usize,
    pub(super) multipart_part_bytes: usize,
    pub(super) decoded_bytes: usize,
    json_depth: usize,
    json_items: usize,
    json_string_bytes: usize,
    json_name_bytes: usize,
    json_number_bytes: usize,
    json_object_members: usize,
    json_list_elements: usize,
    json_prototypes: bool,
}

impl Limits {
    /// The defaults, which the setters name.
    pub const fn new() -> Self {
        Self {
            uri_bytes: 8 << 10,
            query_parameters: 100,
            query_parameter_bytes: 4 << 10,
            header_fields: 100,
            header_value_bytes: 16 << 10,
            body_bytes: 64 << 10,
            body_timeout: Duration::from_secs(10),
            buffer_bytes: 64 << 20,
            form_fields: 1000,
            multipart_parts: 100,
            multipart_part_bytes: 1 << 20,
            decoded_bytes: 1 << 20,
            json_depth: 32,
            json_items: 10_000,
            json_string_bytes: 16 << 10,
            json_name_bytes: 1 << 10,
            json_number_bytes: 64,
            json_object_members: usize::MAX,
            json_list_elements: usize::MAX,
            json_prototypes: true,
        }
    }

    /// Bytes of path and query; 8 KiB.
    pub const fn uri_bytes(mut self, bytes: usize) -> Self {
        self.uri_bytes = bytes;
        self
    }

    /// Parameters in a query; 100.
    pub const fn query_parameters(mut self, count: usize) -> Self {
        self.query_parameters = count;
        self
    }

    /// Bytes of one parameter, name and value together; 4 KiB.
    pub const fn query_parameter_bytes(mut self, bytes: usize) -> Self {
        self.query_parameter_bytes = bytes;
        self
    }

    /// Header fields; 100.
    pub const fn header_fields(mut self, count: usize) -> Self {
        self.header_fields = count;
        self
    }

    /// Bytes of one field's value; 16 KiB, so that large tokens and cookies pass.
    pub const fn header_value_bytes(mut self, bytes: usize) -> Self {
        self.header_value_bytes = bytes;
        self
    }

    /// Bytes of a body; 64 KiB.
    pub const fn body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// How long a body may take to arrive, all of it; ten seconds.
    pub const fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Bytes of all bodies that are held at once to be looked at; 64 MiB. Beyond, requests are answered 503.
    pub const fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Fields of a form; 1000.
    pub const fn form_fields(mut self, count: usize) -> Self {
        self.form_fields = count;
        self
    }

    /// Parts of a multipart form; 100.
    pub const fn multipart_parts(mut self, count: usize) -> Self {
        self.multipart_parts = count;
        self
    }

    /// Bytes of one part of a multipart form, a file's too; 1 MiB. All of them together are a body, and no longer than that
    /// may be.
    pub const fn multipart_part_bytes(mut self, bytes: usize) -> Self {
        self.multipart_part_bytes = bytes;
        self
    }

    /// Bytes of a body that came compressed, once it is not; 1 MiB. They are held while they are looked at.
    pub const fn decoded_bytes(mut self, bytes: usize) -> Self {
        self.decoded_bytes = bytes;
        self
    }

    /// Objects and lists within each other, the outermost counted; 32.
    pub const fn json_depth(mut self, depth: usize) -> Self {
        self.json_depth = depth;
        self
    }

    /// Elements of lists and members of objects, of a whole document; 10,000.
    pub const fn json_items(mut self, count: usize) -> Self {
        self.json_items = count;
        self
    }

    /// Bytes of one text; 16 KiB.
    pub const fn json_string_bytes(mut self, bytes: usize) -> Self {
        self.json_string_bytes = bytes;
        self
    }

    /// Bytes of one member's name; 1 KiB.
    pub const fn json_name_bytes(mut self, bytes: usize) -> Self {
        self.json_name_bytes = bytes;
        self
    }

    /// Characters of one number; 64.
    pub const fn json_number_bytes(mut self, bytes: usize) -> Self {
        self.json_number_bytes = bytes;
        self
    }

    /// Members of one object; as many as the document may have, unless it is said.
    pub const fn json_object_members(mut self, count: usize) -> Self {
        self.json_object_members = count;
        self
    }

    /// Elements of one list; as many as the document may have, unless it is said.
    pub const fn json_list_elements(mut self, count: usize) -> Self {
        self.json_list_elements = count;
        self
    }

    /// Whether members may be called `__proto__`, or `prototype` within a `constructor`; they may. Where a script assigns
    /// them one by one, they change all its objects: refuse them before services that are written in one.
    pub const fn json_prototypes(mut self, allowed: bool) -> Self {
        self.json_prototypes = allowed;
        self
    }

    pub(super) const fn json(&self, max_bytes: usize) -> JsonLimits {
        JsonLimits {
            max_bytes,
            max_depth: self.json_depth,
            // The document itself is a value, too.
            max_values: self.json_items.saturating_add(1),
            max_members: self.json_object_members,
            max_elements: self.json_list_elements,
            max_text_bytes: self.json_string_bytes,
            max_name_bytes: self.json_name_bytes,
            max_number_bytes: self.json_number_bytes,
            allows_nul: false,
            allows_prototypes: self.json_prototypes,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // Reading recurses as deep as this.
        const MAX_JSON_DEPTH: usize = 256;
        let none = |setting: &'static str| {
            Err(ConfigError::new(setting, 0, "lets nothing through", "write a number above zero, or leave it out"))
        };
        if self.json_depth > MAX_JSON_DEPTH {
            return Err(ConfigError::new("json_depth", self.json_depth, "is deeper than is read", "write at most 256"));
        }
        if self.uri_bytes == 0 {
            return none("uri_bytes");
        }
        if self.body_timeout.is_zero() {
            return none("body_timeout");
        }
        if self.buffer_bytes < self.body_bytes {
            const MEND: &str = "write at least `body_bytes`, times the requests that are looked at at once";
            return Err(ConfigError::new("buffer_bytes", self.buffer_bytes, "does not hold one body", MEND));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
