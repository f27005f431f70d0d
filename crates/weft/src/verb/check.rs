//! `weft check`: configuration and content, no network, every fault at once.

use serde_json::Value;

use crate::cli::{self, Common, Fault, Outcome, Output, Rows};
use crate::config::FeedFrom;
use crate::content;
use crate::geo;
use crate::home::Home;
use crate::identity;

/// Validates everything, or lists the streams.
///
/// # Errors
/// Every fault, one line each.
pub(super) fn run(common: &Common, check: &cli::Check, out: &mut Output) -> Result<Outcome, Fault> {
    let mut faults = Vec::new();
    let home = match Home::of(common) {
        Ok(home) => Some(home),
        Err(Fault::Misuse(found)) => {
            faults.extend(found);
            None
        }
        Err(other) => return Err(other),
    };
    let files = content::files(&common.data).map_err(|found| faults.extend(found)).unwrap_or_default();
    let compiled = content::compile(&files).map_err(|found| faults.extend(found)).ok();
    faults.extend(compiled.iter().flat_map(|compiled| compiled.refused.clone()));
    if let (Some(home), Some(compiled)) = (&home, &compiled) {
        faults.extend(unknown_streams(home, &compiled.registry));
        let doors = &home.config.doors;
        faults.extend(crate::door::webhook::hooks(&doors.webhooks, &compiled.registry).err().into_iter().flatten());
        faults.extend(doors.syslog_tls.iter().filter_map(|(_, files)| files.load(crate::door::now()).err()).flatten());
        faults.extend(weft_ingest::Drops::compile(&compiled.registry, &home.config.drops).err().unwrap_or_default());
        faults.extend(match geo::check(home) {
            Err(Fault::Misuse(found)) => found,
            _ => Vec::new(),
        });
        absent(home).for_each(|path| cli::say(&path));
        faults.extend(home.config.networks.faults().into_iter().map(|fault| format!("networks: {fault}")));
    }
    let descriptions = content::pulls(&files).unwrap_or_default();
    if let (Some(home), Some(compiled)) = (&home, &compiled) {
        faults.extend(crate::wire::pulled::faults(&home.config.sources, &descriptions, &compiled.registry));
    }
    for found in [identity::forms(&files).err(), identity::words(&files).err()] {
        faults.extend(match found {
            Some(Fault::Misuse(found)) => found,
            _ => Vec::new(),
        });
    }
    if let Some(home) = &home {
        let of_access = crate::access::load::point(home, &files).err().unwrap_or_default();
        // Where the mesh's own policies apply, their faults were found before.
        let new: Vec<String> = of_access.into_iter().filter(|fault| !faults.contains(fault)).collect();
        faults.extend(new);
    }
    if !faults.is_empty() {
        return Err(Fault::Misuse(faults));
    }
    let Some(compiled) = compiled else { return Ok(Outcome::Done) };
    if check.streams {
        streams(&compiled.registry, out)?;
    } else {
        let mut rows = Rows::new(["what", "count"]);
        for (what, count) in [
            ("connectors", compiled.registry.connectors.len()),
            ("streams", compiled.registry.programs.len()),
            ("APIs", descriptions.len()),
            ("rules", compiled.rules.len()),
            ("policies", compiled.pdp.ids().count()),
            ("playbooks", compiled.playbooks.len()),
            ("checks", compiled.checks.len()),
            ("hunts", compiled.hunts.all.len()),
        ] {
            rows.push([what.into(), count.into()]);
        }
        out.rows(&rows)?;
    }
    Ok(Outcome::Done)
}

fn streams(registry: &weft_ingest::Registry, out: &mut Output) -> Result<(), Fault> {
    let mut rows = Rows::new(["stream"]);
    let mut names: Vec<String> = registry.streams().map(ToString::to_string).collect();
    names.sort();
    names.into_iter().for_each(|name| rows.push([Value::from(name)]));
    out.rows(&rows)
}

/// What the mesh waits for, and may come later.
fn absent(home: &Home) -> impl Iterator<Item = String> {
    let files = home.config.feeds.iter().filter_map(|feed| match &feed.from {
        FeedFrom::Path(path) => Some((&feed.name, path)),
        FeedFrom::Url(_) => None,
    });
    files.filter(|(_, path)| !path.exists()).map(|(name, path)| format!("feed `{name}`: `{}` is not there; the mesh looks again until it is", path.display()))
}

fn unknown_streams(home: &Home, registry: &weft_ingest::Registry) -> Vec<String> {
    let known = registry.streams().cloned().collect();
    let config = &home.config;
    let files = config.files.iter().map(|file| (format!("file `{}`", file.path.display()), &file.stream));
    let tokens = config.tokens.iter().filter_map(|token| Some((format!("token `{}`", token.name), token.stream.as_ref()?)));
    let named = files.chain([("syslog".to_owned(), &config.syslog_stream)]).chain(config.doors.streams()).chain(tokens);
    named
        .filter(|(_, name)| name.as_str() != "auto" && !registry.streams().any(|stream| *stream.0 == ***name))
        .map(|(place, name)| format!("weft.toml: {place}: {}", crate::door::unknown_stream(name, &known)))
        .collect()
}
