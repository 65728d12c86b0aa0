//! The cache against a naive reading of the rules, over long random sequences.
//!
//! The model keeps a list of all that was ever answered and looks through it for each request. Where the rules leave a
//! choice it takes the cache's: whether something was stored is never held against it, only what it serves.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tower_rampart::cache::Purge;

use crate::support::*;

#[derive(Debug, Clone)]
enum Act {
    Get {
        path: u8,
        variant: u8,
        reload: bool,
    },
    Head {
        path: u8,
    },
    Wait(u64),
    Write {
        path: u8,
        fails: bool,
    },
    PurgeTag {
        tag: u8,
        soft: bool,
    },
    PurgePath(u8),
    PurgeAll,
    /// The content changes at the origin.
    Change {
        path: u8,
    },
}

/// How the origin answers a path.
#[derive(Debug, Clone)]
struct Resource {
    max_age: u64,
    varies: bool,
    has_tag: bool,
    no_cache: bool,
    swr: u64,
}

const PATHS: u8 = 3;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let path = 0..PATHS;
    let act = prop_oneof![
        8 => (path.clone(), 0..3_u8, prop::bool::weighted(0.1))
            .prop_map(|(path, variant, reload)| Act::Get { path, variant, reload }),
        1 => path.clone().prop_map(|path| Act::Head { path }),
        3 => (1..15_u64).prop_map(Act::Wait),
        1 => (path.clone(), any::<bool>()).prop_map(|(path, fails)| Act::Write { path, fails }),
        1 => (path.clone(), any::<bool>()).prop_map(|(tag, soft)| Act::PurgeTag { tag, soft }),
        1 => path.clone().prop_map(Act::PurgePath),
        1 => Just(Act::PurgeAll),
        2 => path.prop_map(|path| Act::Change { path }),
    ];
    prop::collection::vec(act, 1..60)
}

fn resource() -> impl Strategy<Value = Resource> {
    (0..20_u64, any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), prop_oneof![Just(0), 1..10_u64])
        .prop_map(|(max_age, varies, has_tag, no_cache, swr)| Resource { max_age, varies, has_tag, no_cache, swr })
}

/// What the origin said last, and when, for a path and variant.
#[derive(Debug, Clone)]
struct Said {
    path: u8,
    variant: u8,
    version: u64,
    at: u64,
    /// Purged softly, or contradicted: good for validation alone.
    is_expired: bool,
}

#[derive(Default)]
struct Model {
    now: u64,
    said: Vec<Said>,
}

impl Model {
    /// The response that may answer unasked: the last one for this path and variant, if it is young enough.
    fn usable(&self, resources: &[Resource], path: u8, variant: u8) -> Option<(&Said, bool)> {
        let resource = &resources[usize::from(path)];
        let is_for = |said: &&Said| said.path == path && (!resource.varies || said.variant == variant);
        let said = self.said.iter().rev().find(is_for)?;
        let age = self.now - said.at;
        let is_fresh = age < resource.max_age && !said.is_expired;
        let is_served_stale = age.saturating_sub(resource.max_age) < resource.swr;
        (!resource.no_cache && (is_fresh || is_served_stale)).then_some((said, is_fresh))
    }

    fn remember(&mut self, said: Said) {
        self.said.push(said);
    }
}

fn run(resources: Vec<Resource>, acts: Vec<Act>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(check(resources, acts));
}

async fn check(resources: Vec<Resource>, acts: Vec<Act>) {
    let versions = Arc::new(Mutex::new([0_u64; PATHS as usize]));
    let (script, shown) = (resources.clone(), Arc::clone(&versions));
    let origin = Origin::new(move |request| {
        let path: usize = request.uri().path()[1..].parse().unwrap();
        if request.method() == "POST" {
            let fails = request.headers().contains_key("x-fail");
            return status(if fails { 500 } else { 204 }, &[], "").response();
        }
        let (resource, version) = (&script[path], shown.lock().unwrap()[path]);
        let variant = request.headers().get("x-v").map_or("-", |value| value.to_str().unwrap()).to_owned();
        let etag = format!("\"{version}-{variant}\"");
        let mut control = format!("max-age={}", resource.max_age);
        if resource.no_cache {
            control.push_str(", no-cache");
        }
        if resource.swr > 0 {
            control.push_str(&format!(", stale-while-revalidate={}", resource.swr));
        }
        let version = version.to_string();
        let tag = path.to_string();
        let mut fields = vec![
            ("cache-control", &*control),
            ("x-version", &*version),
            ("x-variant", &*variant),
            ("surrogate-key", &*tag),
        ];
        if resource.varies {
            fields.push(("vary", "x-v"));
        }
        if resource.has_tag {
            fields.push(("etag", &*etag));
        }
        let known = request.headers().get("if-none-match").is_some_and(|known| known.to_str().unwrap() == etag);
        if known && resource.has_tag {
            return status(304, &fields, "").response();
        }
        ok(&fields, if request.method() == "HEAD" { "" } else { "body" }).response()
    });
    let setup = setup(&origin);
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Wait(seconds) => {
                model.now += seconds;
                setup.wait(seconds);
            }
            Act::Change { path } => versions.lock().unwrap()[usize::from(path)] += 1,
            Act::PurgeAll => {
                setup.cache.purge_all();
                model.said.clear();
            }
            Act::PurgePath(path) => {
                setup.cache.purge_path(&format!("/{path}"));
                model.said.retain(|said| said.path != path);
            }
            Act::PurgeTag { tag, soft: false } => {
                setup.cache.purge_tag(&tag.to_string());
                model.said.retain(|said| said.path != tag);
            }
            Act::PurgeTag { tag, soft: true } => {
                setup.cache.purge_tag_as(&tag.to_string(), Purge::Soft);
                model.said.iter_mut().filter(|said| said.path == tag).for_each(|said| said.is_expired = true);
            }
            Act::Write { path, fails } => {
                let fields: &[(&str, &str)] = if fails { &[("x-fail", "1")] } else { &[] };
                setup.send(request("POST", &format!("http://a/{path}"), fields)).await;
                if !fails {
                    model.said.retain(|said| said.path != path);
                }
            }
            Act::Head { path } => {
                let before = setup.origin.calls();
                let got = setup.send(request("HEAD", &format!("http://a/{path}"), &[("x-v", "0")])).await;
                assert_eq!(got.body, "");
                settled().await;
                // What it tells may have made what is stored stale or fresh; both are right, so all is forgotten.
                if setup.origin.calls() > before {
                    setup.cache.purge_path(&format!("/{path}"));
                    model.said.retain(|said| said.path != path);
                }
            }
            Act::Get { path, variant, reload } => {
                get(&setup, &mut model, &resources, &versions, (path, variant, reload)).await;
            }
        }
    }
    assert_eq!(setup.cache.stats().in_flight, 0);
}

async fn get(
    setup: &Setup,
    model: &mut Model,
    resources: &[Resource],
    versions: &Mutex<[u64; PATHS as usize]>,
    (path, variant, reload): (u8, u8, bool),
) {
    let name = variant.to_string();
    let mut fields = vec![("x-v", &*name)];
    if reload {
        fields.push(("cache-control", "no-cache"));
    }
    let before = setup.origin.calls();
    let got = setup.get_with(&format!("http://a/{path}"), &fields).await;
    settled().await;
    let calls = setup.origin.calls() - before;
    let current = versions.lock().unwrap()[usize::from(path)];
    let version: u64 = got.field("x-version").unwrap().parse().unwrap();
    assert_eq!((got.status.as_u16(), &*got.body), (200, &b"body"[..]));
    if resources[usize::from(path)].varies {
        assert_eq!(got.field("x-variant"), Some(&*name), "another variant");
    }
    let usable = model.usable(resources, path, variant).map(|(said, is_fresh)| (said.clone(), is_fresh));
    match usable {
        Some((said, is_fresh)) if !reload => {
            assert!(got.is_hit(), "{:?} answers: {}", said, got.cache_status());
            assert_eq!(version, said.version);
            assert_eq!(got.field("age"), Some(&*(model.now - said.at).to_string()));
            assert_eq!(calls, usize::from(!is_fresh), "stale ones are refreshed");
            if !is_fresh {
                model.remember(Said { path, variant, version: current, at: model.now, is_expired: false });
            }
        }
        _ => {
            assert!(!got.is_hit(), "nothing may answer unasked: {}", got.cache_status());
            assert_eq!((version, calls), (current, 1));
            model.remember(Said { path, variant, version, at: model.now, is_expired: false });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rule_is_broken(resources in prop::collection::vec(resource(), PATHS as usize), acts in acts()) {
        run(resources, acts);
    }
}
