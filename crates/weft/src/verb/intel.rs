//! `weft intel`.

mod import;
mod retro;
mod show;

use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::home::Home;
use crate::intel::Shelf;
use weft_analytics::intel::Kind;

/// Runs one of the verbs.
///
/// # Errors
/// Wrong use, what cannot be read or kept.
pub(super) async fn run(home: &Home, intel: cli::Intel, out: &mut Output) -> Result<Outcome, Fault> {
    let shelf = Shelf::of(&home.dir);
    match intel {
        cli::Intel::Import(args) => import::run(home, &shelf, &args, out).await,
        cli::Intel::List { value: Some(value), .. } => show::value(&shelf, &value, out),
        cli::Intel::List { gaps: true, .. } => show::gaps(&shelf, out),
        cli::Intel::List { .. } => show::list(&shelf, out),
        cli::Intel::Match { values, kind } => show::matches(&shelf, &values, kind_of(kind.as_deref())?, out),
        cli::Intel::Retro { values, kind, compare } => retro::run(home, &values, kind_of(kind.as_deref())?, compare, out).await,
        cli::Intel::Remove { name } => remove(&shelf, &name, out),
    }
}

fn kind_of(name: Option<&str>) -> Result<Option<Kind>, Fault> {
    let kind = |name: &str| {
        let all = Kind::ALL.map(Kind::name).join(", ");
        Kind::of_name(name).ok_or_else(|| Fault::misuse(format!("`{name}` is no kind of indicator; there are: {all}")))
    };
    name.map(kind).transpose()
}

fn remove(shelf: &Shelf, name: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let name = Shelf::name(name).map_err(Fault::misuse)?;
    let turn = shelf.turn().map_err(Fault::Failed)?;
    let was_list = shelf.list_names().contains(&name);
    if !shelf.remove(&name, &turn).map_err(Fault::Failed)? {
        return Err(Fault::misuse(format!("there is neither a source nor a warning list `{name}`; `weft intel list` names them")));
    }
    if was_list {
        crate::intel::import::apply_lists(shelf, &turn).map_err(Fault::Failed)?.iter().for_each(|gap| cli::say(gap));
    }
    shelf.changed(&turn).map_err(Fault::Failed)?;
    let mut rows = Rows::new(["removed"]);
    rows.push([name.into()]);
    out.rows(&rows)?;
    Ok(Outcome::Done)
}
