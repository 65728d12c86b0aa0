//! The nodes of a cluster: each has a link of its own, so that one which is unwell fails for its keys alone.

pub(super) mod slots;

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ConnectionInfo, Value};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::slots::{MAX_NODES, Node, Redirect};
use super::fault::Fault;
use super::link::Link;
use super::question::Question;
use crate::integration::spawn;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;

/// How long a node may take to say who has which slots.
const PATIENCE: Duration = Duration::from_millis(250);
/// Nodes are asked that no more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// The most servers that one question is put to, or put to again.
const MAX_TURNS: u32 = 8;
/// How long keys that are being moved are given, at first; then twice as long, and so on.
const MOVING: Duration = Duration::from_millis(2);

/// See the module.
pub(super) struct Cluster {
    seeds: Box<[Node]>,
    /// How nodes are connected to: all have one user and one password, and TLS or none.
    pattern: ConnectionInfo,
    timeout: Duration,
    links: Mutex<HashMap<Node, Arc<Link>>>,
    view: watch::Sender<View>,
    is_looking: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

/// What is known of who has which slots.
#[derive(Clone)]
enum View {
    /// Nothing yet.
    None,
    /// Nothing, and nobody said it who was asked.
    Lost,
    Known(Arc<[Owned]>),
}

/// Slots, and who has them.
struct Owned {
    first: u16,
    last: u16,
    by: Place,
}

/// A node, and the way there.
#[derive(Clone)]
pub(super) struct Place {
    node: Node,
    pub(super) link: Arc<Link>,
}

/// Somebody finds out who has which slots. However that ends, those who wait hear of it.
struct Looking(Arc<Cluster>);

impl Drop for Looking {
    fn drop(&mut self) {
        let cluster = &self.0;
        *cluster.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Clock::system().now());
        cluster.view.send_if_modified(|view| {
            let is_none = matches!(view, View::None);
            if is_none {
                *view = View::Lost;
            }
            is_none
        });
        cluster.is_looking.store(false, Ordering::Release);
    }
}

impl Cluster {
    pub(super) fn new(seeds: &[ConnectionInfo], timeout: Duration) -> Result<Self, ConfigError> {
        const MEND: &str = "write at least one of its nodes, by host and port";
        let refuse = || ConfigError::new("url", "(not shown)", "names no node of a cluster", MEND);
        let pattern = seeds.first().ok_or_else(refuse)?.clone();
        let seeds = seeds.iter().map(|info| match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Ok(Node { host: host.clone(), port: *port })
            }
            _ => Err(refuse()),
        });
        let cluster = Self {
            seeds: seeds.collect::<Result<_, _>>()?,
            pattern,
            timeout,
            links: Mutex::default(),
            view: watch::Sender::new(View::None),
            is_looking: AtomicBool::new(false),
            looked: Mutex::default(),
        };
        // What cannot be built is said now.
        cluster.seeds.iter().try_for_each(|seed| cluster.make(seed).map(drop))?;
        Ok(cluster)
    }

    /// Whether all that have slots are well.
    pub(super) fn is_healthy(&self) -> bool {
        match &*self.view.borrow() {
            View::None => true,
            View::Lost => false,
            View::Known(owned) => owned.iter().all(|owned| owned.by.link.is_healthy()),
        }
    }

    /// Asks whoever has the question's keys.
    pub(super) async fn ask(self: &Arc<Self>, question: &Arc<Question>) -> Result<Value, Fault> {
        let slot = slots::slot(question.key());
        let (mut at, mut asked, mut pause) = (self.owner(slot).await?, false, MOVING);
        for _ in 1..MAX_TURNS {
            let fault = match at.link.ask(question, asked).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let redirect = match &fault {
                Fault::Failed(error) => slots::redirect(error, &at.node),
                _ => None,
            };
            match redirect {
                Some(Redirect::Moved(node)) => {
                    self.look();
                    (at, asked) = (self.place(node)?, false);
                }
                Some(Redirect::Ask(node)) => (at, asked) = (self.place(node)?, true),
                // Keys of which each could be asked for by itself are.
                Some(Redirect::Again) if question.can_be_parted() => return Err(fault),
                Some(Redirect::Again) => {
                    sleep(pause).await;
                    pause *= 2;
                    (at, asked) = (self.owner(slot).await?, false);
                }
                None => {
                    self.look();
                    return Err(fault);
                }
            }
        }
        self.look();
        Err(Fault::Nobody)
    }

    /// Who has a slot. While nothing is known yet it is waited for; when nobody said it, nobody waits.
    pub(super) async fn owner(self: &Arc<Self>, slot: u16) -> Result<Place, Fault> {
        let mut view = self.view.subscribe();
        loop {
            match &*view.borrow_and_update() {
                View::Known(owned) => match at(owned, slot) {
                    Some(place) => return Ok(place.clone()),
                    None => {
                        self.look();
                        return Err(Fault::Nobody);
                    }
                },
                View::Lost => {
                    self.look();
                    return Err(Fault::Unreachable(None));
                }
                View::None => self.look(),
            }
            view.changed().await.map_err(|_| Fault::Nobody)?;
        }
    }

    /// Whether a slot is still where it was, as far as is known.
    #[cfg(any(feature = "_auth", feature = "cache"))]
    pub(super) fn is_owner(&self, slot: u16, link: &Arc<Link>) -> bool {
        match &*self.view.borrow() {
            View::Known(owned) => at(owned, slot).is_some_and(|place| Arc::ptr_eq(&place.link, link)),
            _ => false,
        }
    }

    /// Finds out who has which slots, beside whoever asks: one at a time, and now and then.
    pub(super) fn look(self: &Arc<Self>) {
        if self.is_looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let now = Clock::system().now();
        let last = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            self.is_looking.store(false, Ordering::Release);
            return;
        }
        let looking = Looking(Arc::clone(self));
        spawn::detach(async move {
            let cluster = &looking.0;
            let question = Arc::new(Question::of("CLUSTER", "SLOTS"));
            for place in cluster.known() {
                let said = timeout(PATIENCE, place.link.ask(&question, false)).await;
                let owned = said.ok().and_then(Result::ok).and_then(|said| slots::read(said, &place.node));
                if owned.is_some_and(|owned| cluster.learn(owned)) {
                    return;
                }
            }
        });
    }

    /// Those who can say something: who is well first, and the seeds last.
    fn known(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        if let View::Known(owned) = &*self.view.borrow() {
            places.extend(owned.iter().map(|owned| owned.by.clone()));
        }
        places.extend(self.seeds.iter().filter_map(|seed| self.place(seed.clone()).ok()));
        let mut seen = HashSet::new();
        places.retain(|place| seen.insert(place.node.clone()));
        places.sort_by_key(|place| !place.link.is_healthy());
        places
    }

    /// Takes note of who has which slots; `false` for what cannot be.
    fn learn(&self, owned: Vec<(RangeInclusive<u16>, Node)>) -> bool {
        let owned = owned
            .into_iter()
            .map(|(range, node)| Some(Owned { first: *range.start(), last: *range.end(), by: self.place(node).ok()? }));
        let Some(owned) = owned.collect::<Option<Arc<[Owned]>>>() else { return false };
        let is_in = |node: &Node| owned.iter().any(|owned| owned.by.node == *node);
        self.links.lock().unwrap_or_else(PoisonError::into_inner).retain(|node, _| is_in(node));
        self.view.send_replace(View::Known(owned));
        true
    }

    /// The way to a node.
    fn place(&self, node: Node) -> Result<Place, Fault> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(&node) {
            return Ok(Place { link: Arc::clone(link), node });
        }
        if links.len() >= MAX_NODES {
            return Err(Fault::Nobody);
        }
        let link = Arc::new(self.make(&node).map_err(|_| Fault::Unreachable(None))?);
        links.insert(node.clone(), Arc::clone(&link));
        Ok(Place { link, node })
    }

    fn make(&self, node: &Node) -> Result<Link, ConfigError> {
        let (host, port) = (node.host.clone(), node.port);
        let address = match self.pattern.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Link::new(self.pattern.clone().set_addr(address), self.timeout, true)
    }
}

fn at(owned: &[Owned], slot: u16) -> Option<&Place> {
    let after = owned.partition_point(|owned| owned.first <= slot);
    owned.get(after.checked_sub(1)?).filter(|owned| slot <= owned.last).map(|owned| &owned.by)
}
