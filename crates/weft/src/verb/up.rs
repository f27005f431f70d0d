//! `weft up`.

use tracing_subscriber::EnvFilter;

use crate::cli::{self, Fault, Outcome, Output};
use crate::home::Home;
use crate::wire;

/// Runs the mesh until it is told to stop.
///
/// # Errors
/// What keeps it from starting or from stopping cleanly.
pub(super) async fn run(home: Home, up: cli::Up, out: &mut Output) -> Result<Outcome, Fault> {
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("warn,weft=info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    // Another subscriber can only be there in a test, where it is as good.
    let _set = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).try_init();
    wire::serve(home, up, out).await?;
    Ok(Outcome::Done)
}
