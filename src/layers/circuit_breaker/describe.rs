//! The layer on one line.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::circuits::Circuits;
use super::client::CircuitBreakerClientLayer;
use super::layer::CircuitBreakerLayer;
use super::terms::{Span, Terms};
use crate::spine::describe::{Describe, time};

impl Terms {
    fn describe(&self) -> String {
        let millis = |ms| time(Duration::from_millis(ms));
        let span = match self.span {
            Span::Calls(calls) => format!("{calls} calls"),
            Span::Millis(ms) => millis(ms),
        };
        let mut opens = Vec::new();
        if let Some(rate) = self.failure_rate {
            opens.push(format!("{rate} of {span} failed"));
        }
        if let Some(rate) = self.slow_rate {
            opens.push(format!("{rate} of {span} slow"));
        }
        if let Some(failures) = self.consecutive {
            opens.push(format!("{failures} failures in a row"));
        }
        let (shortest, longest) = (millis(self.open_for), millis(self.max_open));
        format!("opens at {}, for {shortest} to {longest}", opens.join(" or "))
    }
}

impl Circuits {
    fn describe(&self) -> Option<String> {
        let circuit = &self.common;
        // One that guards nothing has no name, and none that guards something can do without.
        if circuit.name.is_empty() {
            return None;
        }
        let each = if self.keyed.is_some() { ", a circuit for each key" } else { "" };
        let shadow = if self.shared.is_shadow.load(Ordering::Relaxed) { ", shadow" } else { "" };
        Some(format!("{}: {}{each}{shadow}", circuit.name, circuit.machine.terms.describe()))
    }
}

impl<C: Send + Sync + 'static> Describe for CircuitBreakerLayer<C> {
    fn describe(&self) -> Option<String> {
        self.circuits.describe()
    }
}

impl<C: Send + Sync + 'static> Describe for CircuitBreakerClientLayer<C> {
    fn describe(&self) -> Option<String> {
        self.circuits.describe()
    }
}
