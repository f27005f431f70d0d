//! `weft rejects list` and `show`: what could not be mapped, as a work list.

use weft_lake::missing_table;

use super::offline::{Answer, ask};
use super::query::print;
use crate::cli::{Fault, Outcome, Output};
use crate::home::Home;
use crate::mesh::rejects::{groups_sql, show_sql};

/// Most groups that are listed.
const GROUPS_MAX: usize = 10_000;
/// Longest time for a list, seconds.
const LIST_SECONDS_MAX: u64 = 60;

/// Groups the open rejects; exit code 1 when there are some.
///
/// # Errors
/// The lake cannot be read.
pub(super) async fn list(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    let answer = open(home, &groups_sql, GROUPS_MAX).await?;
    let columns = ["group", "tool", "stream", "cause", "message", "count", "first_ms", "last_ms", "example"].map(str::to_owned).to_vec();
    let answer = answer.unwrap_or(Answer { columns, ..Answer::default() });
    let found = !answer.rows.is_empty();
    print(answer, out)?;
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

/// The rejects of one group.
///
/// # Errors
/// There is no such group, or the lake cannot be read.
pub(super) async fn show(home: &Home, group: &str, limit: usize, out: &mut Output) -> Result<Outcome, Fault> {
    match open(home, &|replays| show_sql(group, replays), limit).await? {
        Some(answer) if !answer.rows.is_empty() => print(answer, out),
        _ => Err(Fault::misuse(format!("there is no open group `{group}`; `weft rejects list` shows them"))),
    }
}

/// Asks over the tables that are there; none where nothing was ever refused.
async fn open(home: &Home, sql: &dyn Fn(bool) -> String, rows_max: usize) -> Result<Option<Answer>, Fault> {
    for replays in [true, false] {
        match ask(home, &sql(replays), rows_max, LIST_SECONDS_MAX).await {
            Err(Fault::Misuse(messages)) if messages.iter().any(|message| missing_table(message).is_some()) => {}
            answer => return answer.map(Some),
        }
    }
    Ok(None)
}
