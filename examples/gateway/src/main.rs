//! A reverse proxy that puts tower-rampart's layers, configured by one TOML file, before any HTTP service.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used))]

mod admin;
mod config;
mod connections;
mod first_bytes;
mod gauges;
mod pem;
mod pipeline;
mod proxy;
mod reload;
mod shown;
mod signals;
mod state;
mod tls;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use crate::config::{Flags, Loaded};
use crate::state::State;

/// A configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();

    let flags = Flags::parse();
    let loaded = match Loaded::read(&flags) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(run(flags, loaded))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            error!(%error, "stopped");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags, loaded: Loaded) -> std::io::Result<()> {
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let listen = loaded.config.listen;
    let admin_listen = loaded.config.admin_listen;
    let state = Arc::new(State::new(loaded, metrics));

    let public = connections::bind(listen).await?;
    let admin = match admin_listen {
        Some(address) => Some(connections::bind(address).await?),
        None => None,
    };
    let stop = signals::shutdown();
    let reload = reload::watch(flags, Arc::clone(&state));
    // What was printed can be relied on: both sockets are bound before either line, a stop is heard, and files are watched.
    info!(addr = %public.local_addr()?, "listening");
    if let Some(admin) = &admin {
        info!(addr = %admin.local_addr()?, "admin listening");
    }

    let admin = admin.map(|listener| tokio::spawn(admin::serve(listener, Arc::clone(&state))));
    state.set_ready(true);
    connections::serve(public, &state, told_to_stop(stop, &state)).await;
    reload.abort();
    if let Some(admin) = admin {
        admin.abort();
    }
    info!("drained");
    Ok(())
}

/// Until the gateway is told to stop, and load balancers have had the time to hear of it.
async fn told_to_stop(stop: impl Future<Output = ()>, state: &State) {
    stop.await;
    state.set_ready(false);
    let unready_for = state.pipeline().config.connections.unready_for();
    if !unready_for.is_zero() {
        info!("not ready any more, and stopping in {} seconds", unready_for.as_secs_f64());
        tokio::time::sleep(unready_for).await;
    }
}
