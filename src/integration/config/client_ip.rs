//! `[client_ip]`.

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::parse::{carry, carry_from};
use crate::spine::key::{Cidr, ClientIp, ForwardedHeader, Ipv6Prefix};

/// The `[client_ip]` table: whose word about the client's address counts.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `trusted_proxies` | address blocks of your proxies | `[]`: the socket peer is the client |
/// | `header` | what they write: `x-forwarded-for`, `forwarded`, `x-real-ip`, `cf-connecting-ip` | `x-forwarded-for` |
/// | `ipv6_prefix` | leading bits that tell IPv6 clients apart | 64 |
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIpConfig {
    #[serde(deserialize_with = "trusted_proxies")]
    trusted_proxies: Vec<Cidr>,
    #[serde(deserialize_with = "header")]
    header: ForwardedHeader,
    #[serde(deserialize_with = "ipv6_prefix")]
    ipv6_prefix: Ipv6Prefix,
}

impl Default for ClientIpConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            header: ForwardedHeader::XForwardedFor,
            ipv6_prefix: Ipv6Prefix::SUBSCRIBER,
        }
    }
}

impl ClientIpConfig {
    /// The resolver that the table describes.
    #[must_use]
    pub fn to_client_ip(&self) -> ClientIp {
        ClientIp::new()
            .trusted_proxies(self.trusted_proxies.iter().copied().collect())
            .header(self.header)
            .ipv6_prefix(self.ipv6_prefix)
    }
}

fn trusted_proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Cidr>, D::Error> {
    let blocks = Vec::<Spanned<String>>::deserialize(deserializer)?;
    let parse = |block: Spanned<String>| block.get_ref().parse().map_err(|error| carry_from(block.span(), &error));
    blocks.into_iter().map(parse).collect()
}

fn header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ForwardedHeader, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| carry(&error))
}

fn ipv6_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ipv6Prefix, D::Error> {
    Ipv6Prefix::new(u8::deserialize(deserializer)?).map_err(|error| carry(&error))
}
