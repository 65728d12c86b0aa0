//! Schemas that are compiled: each with all that its references reach, written once however many reach it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::document::{Document, Faults};
use crate::spine::json::Json;
use crate::wiring::{self, CompiledSchema, SchemaEngine};

/// Who sends what is judged: `readOnly` members are not sent by clients, `writeOnly` ones not by servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Request,
    Response,
}

/// A schema that is referred to, and how it is read there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) pointer: String,
    /// Members that may not be sent, by what stands around the reference.
    pub(super) hidden: BTreeSet<String>,
    /// Whether it is a part of what refers to it, and does not choose among its own parts anew.
    pub(super) is_base: bool,
}

/// Puts schemas together.
pub(super) struct Bundler<'d> {
    pub(super) document: &'d Document,
    pub(super) direction: Direction,
    pub(super) notes: &'d mut Notes,
    /// What the schema that is being written refers to.
    reached: Vec<usize>,
}

/// What was found while a description is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) faults: Faults,
    pub(super) warnings: BTreeSet<String>,
    /// Patterns that were tried, and what is wrong with each.
    patterns: HashMap<String, Option<String>>,
    /// Numbers of what was referred to, and each of them as it was written.
    numbers: HashMap<(Direction, Target), usize>,
    targets: Vec<(Direction, Target)>,
    definitions: Vec<Definition>,
    /// What was compiled, by its place.
    compiled: HashMap<(Direction, String), Option<Arc<CompiledSchema>>>,
    engine: SchemaEngine,
    /// Schemas that were compiled, of all together.
    size: usize,
}

/// A schema that is referred to, and what it refers to.
#[derive(Debug)]
struct Definition {
    schema: Json<'static>,
    reached: Vec<usize>,
}

pub(super) type Members = Vec<(Cow<'static, str>, Json<'static>)>;

/// Definitions that are compiled for one description, each time that one is: far more than those in use need.
const MAX_DEFINITIONS: usize = 200_000;

/// Compiles the schema at a place; what is wrong with it is told.
pub(super) fn compiled(
    document: &Document,
    at: &str,
    direction: Direction,
    notes: &mut Notes,
) -> Option<Arc<CompiledSchema>> {
    // Many places name the same schema.
    let place = match document.schema_at(at) {
        Ok(place) => place,
        Err(what) => {
            notes.faults.add(at, what);
            return None;
        }
    };
    let key = (direction, place);
    if let Some(known) = notes.compiled.get(&key) {
        return known.clone();
    }
    let compiled = Bundler { document, direction, notes, reached: Vec::new() }.compile(&key.1).map(Arc::new);
    notes.compiled.insert(key, compiled.clone());
    compiled
}

impl Bundler<'_> {
    /// The schema at a place, with all that it reaches.
    fn compile(mut self, at: &str) -> Option<CompiledSchema> {
        let schema = self.document.at(at)?;
        let root = self.schema(at, schema, &Context::default());
        let mut needed = std::mem::take(&mut self.reached);
        let mut next = 0;
        let mut seen: HashSet<usize> = needed.iter().copied().collect();
        while let Some(number) = needed.get(next).copied() {
            next += 1;
            self.define_up_to(number);
            let reached = self.notes.definitions.get(number).map(|held| &held.reached[..]).unwrap_or_default();
            needed.extend(reached.iter().copied().filter(|number| seen.insert(*number)));
        }
        self.notes.size += needed.len() + 1;
        if self.notes.size > MAX_DEFINITIONS {
            self.fault("#", "its schemas reach each other too often");
        }
        // An engine that is given what is wrong tells the first of it, in a place of its own.
        if !self.notes.faults.is_empty() {
            return None;
        }
        let definitions =
            needed.iter().filter_map(|number| Some((*number, &self.notes.definitions.get(*number)?.schema)));
        let compiled = self.notes.engine.compile(&root, definitions);
        compiled.map_err(|what| self.fault(at, what)).ok()
    }

    /// Writes what was referred to and is not written yet, in the order of its numbers.
    fn define_up_to(&mut self, number: usize) {
        while self.notes.definitions.len() <= number {
            let Some((direction, target)) = self.notes.targets.get(self.notes.definitions.len()).cloned() else {
                return;
            };
            let before = std::mem::replace(&mut self.direction, direction);
            let context = Context { hidden: target.hidden, is_base: target.is_base };
            let schema = match self.document.at(&target.pointer) {
                Some(schema) => self.schema(&target.pointer, schema, &context),
                None => Json::Flag(true),
            };
            self.direction = before;
            let reached = std::mem::take(&mut self.reached);
            self.notes.definitions.push(Definition { schema, reached });
        }
    }

    /// A reference to a schema, by its number.
    pub(super) fn reference(&mut self, target: Target) -> Json<'static> {
        let next = self.notes.numbers.len();
        let key = (self.direction, target);
        let number = *self.notes.numbers.entry(key.clone()).or_insert(next);
        if number == next {
            self.notes.targets.push(key);
        }
        if !self.reached.contains(&number) {
            self.reached.push(number);
        }
        Json::Text(format!("#/$defs/{number}").into())
    }

    pub(super) fn fault(&mut self, at: &str, what: impl Into<String>) {
        self.notes.faults.add(at, what);
    }

    /// A pattern that cannot be used is told where it stands.
    pub(super) fn pattern(&mut self, at: &str, pattern: &str) {
        let known = self.notes.patterns.entry(pattern.to_owned()).or_insert_with(|| wiring::pattern_fault(pattern));
        if let Some(fault) = known.clone() {
            self.fault(at, fault);
        }
    }
}

/// What stands around a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    pub(super) hidden: BTreeSet<String>,
    pub(super) is_base: bool,
}

/// A schema that is being written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) members: Members,
    pub(super) all_of: Vec<Json<'static>>,
}

impl Written {
    pub(super) fn finish(mut self) -> Members {
        if !self.all_of.is_empty() {
            self.members.push(("allOf".into(), Json::List(self.all_of)));
        }
        self.members
    }
}
