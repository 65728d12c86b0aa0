//! Where the servers are, by a URL.

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::spine::config::ConfigError;

/// What a URL names.
#[derive(Debug)]
pub(super) enum Address {
    /// A server by itself.
    One(Box<ConnectionInfo>),
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// The most nodes that a URL names: a few that answer are enough.
const MAX_SEEDS: usize = 64;
/// The schemes of a cluster, and those of each of its nodes.
const CLUSTERS: [(&str, &str); 2] = [("redis+cluster://", "redis://"), ("rediss+cluster://", "rediss://")];

// A URL may hold a password, so that it is not shown.
fn refuse(why: &'static str, mend: &'static str) -> ConfigError {
    ConfigError::new("url", "(not shown)", why, mend)
}

/// Reads a URL.
pub(super) fn read(url: &str) -> Result<Address, ConfigError> {
    match CLUSTERS.iter().find_map(|(scheme, node)| Some((url.strip_prefix(scheme)?, *node))) {
        Some((nodes, scheme)) => seeds(nodes, scheme).map(Address::Cluster),
        None => server(url).map(|info| Address::One(Box::new(info))),
    }
}

fn server(url: &str) -> Result<ConnectionInfo, ConfigError> {
    const MEND: &str = "write one such as `redis://127.0.0.1:6379` or `rediss://user:password@host:6380/0`, or \
        `redis+cluster://host:6379,host:6380` for a cluster";
    let info = url.into_connection_info().map_err(|_| refuse("is no URL of a Redis server", MEND))?;
    // Else it would be looked up, and not found, each time.
    if matches!(info.addr(), ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } if host.contains(',')) {
        return Err(refuse("names several servers", MEND));
    }
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        // The client takes the process's provider; where there is none yet, it is ours.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    // An answer is short, and is waited for.
    Ok(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// `[user:password@]host:port[,host:port]...`, each of them as a URL of its own.
fn seeds(nodes: &str, scheme: &str) -> Result<Vec<ConnectionInfo>, ConfigError> {
    const MEND: &str =
        "write some of its nodes, as `redis+cluster://user:password@host:6379,host:6380`, or with `rediss` for TLS";
    const PLAIN: &str = "write nothing after the nodes: a cluster has one database";
    let (user, hosts) = match nodes.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), nodes),
    };
    let (hosts, rest) = hosts.split_at(hosts.find(['/', '?', '#']).unwrap_or(hosts.len()));
    if !matches!(rest, "" | "/" | "/0") {
        return Err(refuse("has more than the nodes of a cluster", PLAIN));
    }
    let hosts: Vec<_> = hosts.split(',').collect();
    if hosts.len() > MAX_SEEDS {
        return Err(refuse("names too many nodes", "write a few: they know the others"));
    }
    let seed = |host: &str| {
        let info = server(&format!("{scheme}{user}{host}")).ok().filter(|_| !host.is_empty());
        info.ok_or_else(|| refuse("is no URL of a Redis cluster", MEND))
    };
    hosts.into_iter().map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str) -> Vec<String> {
        match read(url) {
            Ok(Address::One(info)) => vec![info.addr().to_string()],
            Ok(Address::Cluster(seeds)) => seeds.iter().map(|info| info.addr().to_string()).collect(),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn servers_and_clusters() {
        assert_eq!(named("redis://127.0.0.1:7000"), ["127.0.0.1:7000"]);
        assert_eq!(named("redis+cluster://a:1,b:2,c"), ["a:1", "b:2", "c:6379"]);
        assert_eq!(named("redis+cluster://[::1]:7000,a/"), ["::1:7000", "a:6379"]);
        let Ok(Address::Cluster(seeds)) = read("rediss+cluster://me:p%40ss,word@a:1,b:2/0") else {
            panic!("a cluster")
        };
        for seed in &seeds {
            assert!(matches!(seed.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
            let settings = seed.redis_settings();
            assert_eq!((settings.username(), settings.password()), (Some("me"), Some("p@ss,word")));
        }
        assert_eq!(seeds.len(), 2);
    }

    #[test]
    fn what_is_no_cluster() {
        let many = format!("redis+cluster://{}", vec!["a"; MAX_SEEDS + 1].join(","));
        for (url, why) in [
            ("redis+cluster://", "no URL of a Redis cluster"),
            ("redis+cluster://a,,b", "no URL of a Redis cluster"),
            ("redis+cluster://a:x", "no URL of a Redis cluster"),
            ("redis+cluster://:sesame@", "no URL of a Redis cluster"),
            ("redis+cluster://a,b/2", "more than the nodes"),
            ("redis+cluster://a?protocol=3", "more than the nodes"),
            ("redis://a:1,b:2", "no URL of a Redis server"),
            ("rediss://a,b", "names several servers"),
            (&many, "too many nodes"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.to_string().contains(why), "{url}: {error}");
            assert!(!error.to_string().contains("sesame"));
        }
    }
}
