//! `weft intel import`: warning lists first, then what they are to be asked for.

use std::path::Path;

use url::Url;
use weft_analytics::intel::read::Options;
use weft_model::Timestamp;

use crate::cli::{self, Fault, ImportArgs, Outcome, Output, Rows};
use crate::door::now;
use crate::home::Home;
use crate::intel::fetch::{self, Fetched, Server, Validators};
use crate::intel::import::{self, Done, Given};
use crate::intel::open::Documents;
use crate::intel::shelf::Shelf;

/// Imports everything that can be; one line for each document that cannot.
///
/// # Errors
/// Nothing could be taken, or it could not be kept.
pub(super) async fn run(home: &Home, shelf: &Shelf, args: &ImportArgs, out: &mut Output) -> Result<Outcome, Fault> {
    let kind = super::kind_of(args.kind.as_deref())?;
    home.create()?;
    let mut done = Done::default();
    let mut given = Vec::new();
    for from in &args.from {
        match gather(shelf, args, from).await {
            Ok(one) => given.push(one),
            Err(fault) => done.faults.push(fault),
        }
    }
    let options = Options { at: now().0, confidence: args.confidence, valid_for: args.valid_for.map(|days| i64::from(days) * Timestamp::DAY_MS), kind };
    import::import(shelf, given, &options, &mut done).map_err(Fault::Failed)?;
    done.remarks.iter().for_each(|remark| cli::say(remark));
    if done.sources + done.lists == 0 {
        return Err(Fault::Misuse(if done.faults.is_empty() { vec!["nothing was imported: there is no document".to_owned()] } else { done.faults }));
    }
    done.faults.iter().for_each(|fault| cli::say(fault));
    let mut rows = Rows::new(["source", "what", "count"]);
    let all = !done.faults.is_empty();
    done.rows.into_iter().for_each(|row| rows.push(row));
    out.rows(&rows)?;
    Ok(if all { Outcome::Found } else { Outcome::Done })
}

/// Reads or fetches what one argument names.
async fn gather(shelf: &Shelf, args: &ImportArgs, from: &str) -> Result<Given, String> {
    let url = from.contains("://").then(|| from.parse::<Url>()).transpose().map_err(|error| format!("`{from}` is no address: {error}"))?;
    let source = match &args.source {
        Some(name) => Shelf::name(name)?,
        None => Shelf::name(&own_name(from, url.as_ref()))?,
    };
    let mut documents = Documents::default();
    let (mut position, mut adds) = (String::new(), args.add);
    let origin = url.as_ref().map_or_else(|| from.to_owned(), fetch::without_query);
    match &url {
        None => {
            let path = Path::new(from).to_owned();
            let read = tokio::task::spawn_blocking(move || documents.read(&path).map(|()| documents)).await;
            documents = read.map_err(|error| error.to_string())??;
        }
        Some(url) => {
            // A collection is read on from where it was read to, and says what is new.
            let before = if fetch::is_collection(url) { shelf.read_to(&source, &origin)? } else { String::new() };
            adds = adds || !before.is_empty();
            let server = Server::new(args.user.as_deref(), args.secret.as_deref())?;
            position = match server.fetch(url, &before, &Validators::default(), &mut documents).await? {
                Fetched::New { position, .. } => position,
                Fetched::Same => before,
            };
        }
    }
    Ok(Given { source, origin, position, adds, documents: documents.found })
}

/// `ipsum` of `/a/ipsum.txt.gz`, the host of an address.
fn own_name(from: &str, url: Option<&Url>) -> String {
    if let Some(url) = url {
        return url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "-");
    }
    let file = Path::new(from).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = file.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    if stem == "-" { "stdin".to_owned() } else { stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect() }
}
