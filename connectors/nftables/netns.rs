//! Network namespaces: names, making one, and doing something inside.

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use weft_model::PortError;

use super::exec::run;

/// The name that means no namespace: the machine's own network.
pub const HOST: &str = "host";
/// The namespace that we make ourselves.
pub const OWN: &str = "weft";

/// Whether `ip netns` and a file name take it.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && !name.starts_with(['-', '.']) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Where `ip netns` keeps a namespace.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new("/var/run/netns").join(name)
}

/// Makes sure that a namespace is there; only our own is made.
pub(super) async fn ensure(tool: &str, name: &str) -> Result<(), PortError> {
    if name == HOST || path(name).exists() {
        return Ok(());
    }
    if name != OWN {
        return Err(PortError::Refused {
            tool: tool.to_owned(),
            message: format!("there is no network namespace `{name}`; make it with `ip netns add {name}`"),
        });
    }
    match run(tool, "ip", &["netns", "add", name], "").await {
        Err(_) if path(name).exists() => Ok(()),
        other => other.map(|_quiet| ()),
    }
}

/// Runs `work` on a thread of its own inside a namespace: a namespace belongs to a thread, and
/// none that others use may ever enter one.
pub(super) fn inside<T: Send>(tool: &str, name: &str, work: impl FnOnce() -> std::io::Result<T> + Send) -> Result<T, PortError> {
    let unavailable = |message: String| PortError::Unavailable { tool: tool.to_owned(), message };
    let refused = |message: String| PortError::Refused { tool: tool.to_owned(), message };
    let namespace = File::open(path(name)).map_err(|error| refused(format!("the network namespace `{name}` cannot be opened: {error}")))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|error| refused(format!("the network namespace `{name}` may not be entered: {error}; run as root, or with CAP_SYS_ADMIN")))?;
            work().map_err(|error| unavailable(error.to_string()))
        });
        thread.join().unwrap_or_else(|_| Err(PortError::Unavailable { tool: tool.to_owned(), message: "a probe ended early".to_owned() }))
    })
}
