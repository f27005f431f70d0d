//! What each verb does, in the order of the help.

mod access;
mod bench;
mod check;
mod content_add;
mod detect;
mod entitlements;
mod explain;
mod export;
mod found;
mod hunt;
mod identity;
mod incidents;
mod ingest;
mod input;
mod intel;
mod lake;
mod ledger;
mod map;
mod offline;
mod query;
mod rejects;
mod risk;
mod rules;
mod runs;
mod up;

pub(crate) use input::whole;

use crate::cli::{Args, ContentVerb, Fault, Outcome, Output, Playbook, Posture, Rejects, Verb};
use crate::home::Home;

/// Runs one verb.
///
/// # Errors
/// What is to be told on standard error.
pub fn run(args: Args) -> Result<Outcome, Fault> {
    let mut out = Output::stdout(args.common.format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::failed)?;
    let home = || Home::of(&args.common);
    match args.verb {
        Verb::Check(check) if !check.rules.is_empty() => rules::check(&args.common, &check, &mut out),
        Verb::Content(ContentVerb::Add(add)) => content_add::run(&args.common, &add, &mut out),
        Verb::Check(check) => check::run(&args.common, &check, &mut out),
        Verb::Up(up) => {
            let ended = runtime.block_on(up::run(home()?, up, &mut out));
            // Who still maps what the log held must not hold up a start that failed: it stays in the log.
            runtime.shutdown_background();
            ended
        }
        Verb::Map(map) if map.explain => explain::run(&home()?, &map.input, &mut out),
        Verb::Map(map) => map::run(&home()?, &map.input, &mut out),
        Verb::Ingest(input) => {
            let ended = runtime.block_on(ingest::run(&home()?, &input, &mut out));
            // Who was interrupted may still wait for a standard input that never ends.
            runtime.shutdown_background();
            ended
        }
        Verb::Detect(detect) => runtime.block_on(detect::run(&home()?, &detect, &mut out)),
        Verb::Hunt(asked) => runtime.block_on(hunt::run(&home()?, &asked, &mut out)),
        Verb::Risk(asked) => runtime.block_on(risk::run(&home()?, &asked, &mut out)),
        Verb::Incidents(asked) => runtime.block_on(incidents::run(&home()?, &asked, &mut out)),
        Verb::Query(query) => runtime.block_on(query::run(&home()?, &query, &mut out)),
        Verb::Tables => runtime.block_on(query::tables(&home()?, &mut out)),
        Verb::Lake(lake) => runtime.block_on(lake::run(&home()?, lake, &mut out)),
        Verb::Export(export) => runtime.block_on(export::run(&home()?, &export, &mut out)),
        Verb::Rejects(Rejects::List) => runtime.block_on(rejects::list(&home()?, &mut out)),
        Verb::Rejects(Rejects::Show { group, limit }) => runtime.block_on(rejects::show(&home()?, &group, limit, &mut out)),
        Verb::Rejects(Rejects::Replay { group }) => runtime.block_on(ingest::replay(&home()?, group.as_deref(), &mut out)),
        Verb::Ledger(ledger) => runtime.block_on(ledger::run(&home()?, &ledger, &mut out)),
        Verb::Intel(intel) => runtime.block_on(intel::run(&home()?, intel, &mut out)),
        Verb::Entitlements(asked) => entitlements::run(&asked, home, &mut out),
        Verb::Identity(asked) => runtime.block_on(identity::run(&home()?, &asked, &mut out)),
        Verb::Access(asked) => runtime.block_on(access::run(&home()?, &asked, &mut out)),
        Verb::Posture(Posture::Run) => runtime.block_on(runs::posture_run(&home()?, &mut out)),
        Verb::Posture(Posture::List) => runtime.block_on(runs::posture_list(&home()?, &mut out)),
        Verb::Metrics(metrics) => runtime.block_on(runs::metrics(&home()?, &metrics, &mut out)),
        Verb::Bench(bench) => runtime.block_on(bench::run(&home()?, &bench, &mut out)),
        Verb::Approve(approve) => runtime.block_on(runs::approve(&home()?, &approve, &mut out)),
        Verb::Playbook(Playbook::List) => runtime.block_on(runs::list(&home()?, &mut out)),
        Verb::Playbook(Playbook::Undo { run }) => runtime.block_on(runs::undo(&home()?, &run, &mut out)),
    }
}
