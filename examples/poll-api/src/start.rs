//! From flags to a service that listens, and from a signal to its end.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use rustls::ServerConfig;
use tokio::time::interval;
use tower_rampart::ConfigError;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Outside};
use crate::clock::now_ms;
use crate::config::{Config, Flags, LogFormat};
use crate::news::{Listener, Speaker};
use crate::server::Server;
use crate::trace::{Endpoint, Traces};
use crate::upstream::Address;
use crate::{connections, db, news, observe, outbox, pem, signals};

/// A configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

const CLOSE: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The program.
pub fn main() -> ExitCode {
    let flags = Flags::parse();
    log_by(flags.log_format);
    let read = flags.redis_url.as_deref().map(news::through).transpose().and_then(|news| {
        let config = Config::read(&flags)?;
        db::check("--database-url", &flags.database_url)?;
        flags.database_read_url.as_deref().map(|url| db::check("--database-read-url", url)).transpose()?;
        let tls = match (&flags.tls_cert, &flags.tls_key) {
            (Some(cert), Some(key)) => Some(pem::load(("--tls-cert", cert), ("--tls-key", key))?),
            _ => None,
        };
        let upstream =
            flags.upstream_url.as_deref().map(|url| Address::new(url, flags.upstream_key.as_deref())).transpose()?;
        let collector = flags.otlp_endpoint.as_deref().map(str::parse).transpose()?;
        Ok((config, tls, Peers { upstream, collector, news }))
    });
    let (config, tls, peers) = match read {
        Ok(read) => read,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if flags.print_config {
        print!("{}", config.text);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(flags, &config, tls, peers))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            // Some values are found to be none only by the layer that they are for.
            if error.is::<ConfigError>() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

fn log_by(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}

/// Whom the flags name.
struct Peers {
    upstream: Option<Address>,
    collector: Option<Endpoint>,
    news: Option<(Speaker, Listener)>,
}

async fn run(flags: Flags, config: &Config, tls: Option<Arc<ServerConfig>>, peers: Peers) -> Result<(), Failure> {
    let metrics = observe::install()?;
    let (listen, admin_password) = (flags.listen, flags.admin_password.clone());
    let has_upstream = peers.upstream.is_some();
    let traces = peers.collector.as_ref().map(Traces::to).transpose()?;
    let (speaker, hearer) = peers.news.unzip();
    let app = App::open(flags, metrics, Outside { upstream: peers.upstream, traces, speaker }).await.map_err(|_| {
        "the database cannot be opened, as the line above says; name with `--database-url` a file in a folder \
             that this user can write, or a server that answers"
    })?;
    app.start(config)?;
    let listener = connections::bind(listen).await?;
    let address = listener.local_addr()?;
    // When nothing is left that could end the start: a password that is made up is told this once.
    let made_up = app
        .people
        .first_admin(admin_password.as_deref())
        .await
        .map_err(|_| "the first admin cannot be made: `--admin-password` takes 12 to 128 characters")?;
    let stop = signals::shutdown();
    banner(&app, address, tls.is_some(), made_up.filter(|_| admin_password.is_none()).as_deref());

    let housekeeping = tokio::spawn(keep_house(Arc::clone(&app)));
    let reloads = tokio::spawn(reload_on_hangup(Arc::clone(&app)));
    let hearing = hearer.map(|hearer| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { hearer.open(&app).await })
    });
    let worker = has_upstream.then(|| tokio::spawn(outbox::work(Arc::clone(&app))));
    let drained = {
        let app = Arc::clone(&app);
        async move {
            stop.await;
            info!("draining");
            app.drain();
        }
    };
    let server = Arc::new(Server { app: Arc::clone(&app), tls });
    connections::serve(listener, &server, drained).await;
    housekeeping.abort();
    reloads.abort();
    if let Some(hearing) = hearing {
        hearing.abort();
    }
    if let Some(worker) = worker {
        // It ends by itself.
        let _ = worker.await;
    }
    // A database that answers no more is not waited for.
    let _ = tokio::time::timeout(CLOSE, app.db.close()).await;
    let closing = Arc::clone(&app);
    let _ = tokio::task::spawn_blocking(move || closing.traces.as_ref().map(Traces::close)).await;
    info!("drained");
    Ok(())
}

/// What there is, and where. Printed when the socket is bound, so it can be relied on.
fn banner(app: &App, address: SocketAddr, is_tls: bool, made_up: Option<&str>) {
    let scheme = if is_tls { "https" } else { "http" };
    let order = app.stack().map(|stack| stack.order()).unwrap_or_default();
    println!("Poll API on {scheme}://{address}");
    println!("  page      {scheme}://{address}/");
    println!("  API docs  {scheme}://{address}/docs/");
    println!("  metrics   {scheme}://{address}/metrics");
    println!("  layers    {order}");
    if let Some(password) = made_up {
        println!("  admin     user `admin`, password `{password}` (shown this once)");
    }
}

async fn reload_on_hangup(app: Arc<App>) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                // What is wrong with it is logged there.
                let _ = app.reload().await;
            }
        }
        Err(error) => error!(%error, "SIGHUP cannot be caught"),
    }
}

/// So often it is learned which sessions ended in other processes on the same database.
const LEARN: Duration = Duration::from_secs(5);
/// Every so many of these, what is old is forgotten.
const FORGET_EVERY: u32 = 720;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn keep_house(app: Arc<App>) {
    let mut ticks = interval(LEARN);
    for tick in (0..FORGET_EVERY).cycle() {
        ticks.tick().await;
        app.learn_revocations().await;
        if tick == 0 {
            let forgotten = async {
                app.db.forget_answers(now_ms() - DAY_MS).await?;
                app.db.forget_letters(now_ms() - DAY_MS).await?;
                app.db.forget_sessions(now_ms() - DAY_MS).await
            };
            if let Err(error) = forgotten.await {
                warn!(%error, "what is old is not forgotten for now");
            }
        }
    }
}
