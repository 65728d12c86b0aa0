//! Address blocks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::spine::config::ConfigError;

/// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// An IPv4-mapped IPv6 address is the IPv4 address it maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Whether the address lies in the block.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.0.contains(&addr.to_canonical())
    }

    /// Whether every address of a family lies in the block, which trusts the whole world.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.prefix_len() == 0
    }
}

impl FromStr for Cidr {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str| {
            ConfigError::new("address block", text, breach, "write one such as `10.0.0.0/8` or `2001:db8::/32`")
        };
        let net = match text.parse::<IpAddr>() {
            Ok(addr) => return Ok(Self::from(addr)),
            Err(_) => text.parse::<IpNet>().map_err(|_| refuse("is not an address block"))?,
        };
        if let IpNet::V6(v6) = net
            && v6.addr().to_ipv4_mapped().is_some()
        {
            return Err(refuse("is an IPv4-mapped block: no address is ever compared in that form"));
        }
        if net.addr() != net.network() {
            return Err(refuse("has bits set beyond its prefix"));
        }
        Ok(Self(net))
    }
}

impl From<IpAddr> for Cidr {
    /// One address.
    fn from(addr: IpAddr) -> Self {
        Self(IpNet::from(addr.to_canonical()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies whose forwarded headers count. None by default.
///
/// ```
/// use tower_rampart::key::TrustedProxies;
///
/// let proxies = TrustedProxies::parse(["10.0.0.0/8", "192.0.2.1"])?;
/// assert!(proxies.contains("10.1.2.3".parse().unwrap()));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Box<[Cidr]>);

impl TrustedProxies {
    /// Nobody: the socket peer is the client.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads address blocks.
    ///
    /// # Errors
    ///
    /// Names the first text that is not an address block.
    pub fn parse<T: AsRef<str>>(blocks: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        let block = |text: T| text.as_ref().parse().map_err(|error: ConfigError| error.for_setting("trusted proxy"));
        blocks.into_iter().map(block).collect()
    }

    /// Whether this address is a trusted proxy.
    #[must_use]
    #[inline]
    pub fn contains(&self, addr: IpAddr) -> bool {
        !self.0.is_empty() && self.0.iter().any(|block| block.contains(addr))
    }

    /// The blocks.
    #[must_use]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &Cidr> {
        self.0.iter()
    }
}

impl FromIterator<Cidr> for TrustedProxies {
    fn from_iter<T: IntoIterator<Item = Cidr>>(blocks: T) -> Self {
        Self(blocks.into_iter().collect())
    }
}

impl IntoIterator for TrustedProxies {
    type Item = Cidr;
    type IntoIter = std::vec::IntoIter<Cidr>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}
