//! A second copy of each file of a table's own log, with its digest.
//!
//! The Delta log says which files a table has, and nothing in it says whether it is what was
//! written. Its files are small, so each has a twin under `_weft/log/`: one line with the digest,
//! then the same bytes. Of the two, the one that the digest speaks for restores the other. Other
//! engines skip folders that begin with an underscore.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::seal::hex;
use crate::LakeError;
use crate::table::store::Root;

/// Folder of a table that is ours.
pub(crate) const FOLDER: &str = "_weft";
const LOG: &str = "_delta_log";
const LAST_CHECKPOINT: &str = "_last_checkpoint";
const HEAD: &str = "weft-twin 1 ";

/// What is to be done about a file and its twin.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// There is no twin yet.
    Alone,
    RestoreFile(Bytes),
    RestoreTwin,
    /// Neither is what was written.
    Lost,
}

/// What was found wrong with a file of a table's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) what: String,
    pub(crate) lost: bool,
}

fn twin_of(bytes: &[u8]) -> Vec<u8> {
    [format!("{HEAD}{}\n", hex(bytes)).as_bytes(), bytes].concat()
}

/// Digest and bytes of a twin.
fn split(twin: &Bytes) -> Option<(String, Bytes)> {
    let end = twin.iter().position(|byte| *byte == b'\n')?;
    let digest = std::str::from_utf8(twin.get(..end)?).ok()?.strip_prefix(HEAD)?;
    Some((digest.to_owned(), twin.slice(end + 1..)))
}

fn judge(file: Option<&Bytes>, twin: Option<&Bytes>) -> Verdict {
    let Some(twin) = twin else { return Verdict::Alone };
    let parts = split(twin);
    let speaks = |bytes: &Bytes| parts.as_ref().is_some_and(|(digest, _)| *digest == hex(bytes));
    let copy = parts.as_ref().map(|(_, copy)| copy.clone());
    match (file, copy) {
        (Some(file), Some(copy)) if speaks(file) => {
            if *file == copy {
                Verdict::Fine
            } else {
                Verdict::RestoreTwin
            }
        }
        (_, Some(copy)) if speaks(&copy) => Verdict::RestoreFile(copy),
        // The line with the digest is what was damaged.
        (Some(file), _) if twin.ends_with(file) => Verdict::RestoreTwin,
        _ => Verdict::Lost,
    }
}

/// Version of a file of the log.
fn version(name: &str) -> Option<u64> {
    name.get(..20)?.parse().ok()
}

fn is_checkpoint(name: &str) -> bool {
    name.contains(".checkpoint.") && name.ends_with(".parquet")
}

/// Makes twins of what a commit wrote.
pub(crate) async fn keep(root: &Root, table: &str, version: u64) -> Result<(), LakeError> {
    let checkpoint = format!("{version:020}.checkpoint.parquet");
    let mut names = vec![format!("{version:020}.json")];
    if let Some(bytes) = root.get(&format!("{table}/{LOG}/{checkpoint}")).await? {
        root.replace(&format!("{table}/{FOLDER}/log/{checkpoint}"), twin_of(&bytes)).await?;
        names.push(LAST_CHECKPOINT.to_owned());
    }
    for name in names {
        if let Some(bytes) = root.get(&format!("{table}/{LOG}/{name}")).await? {
            root.replace(&format!("{table}/{FOLDER}/log/{name}"), twin_of(&bytes)).await?;
        }
    }
    Ok(())
}

/// Checks what is needed to load the table now, and restores it from its twins.
pub(crate) async fn check(root: &Root, table: &str) -> Result<(), LakeError> {
    for found in examine(root, table, false, true).await? {
        if found.lost {
            let message = format!("`{}` is damaged and so is its copy: restore it from a backup of the lake", found.path);
            return Err(LakeError::Table { table: table.to_owned(), message });
        }
        tracing::warn!(table, path = found.path, found.what, "a damaged file of the table's log was restored");
    }
    Ok(())
}

/// Compares the files of the log with their twins: all of them, or those since the last checkpoint.
pub(crate) async fn examine(root: &Root, table: &str, all: bool, restore: bool) -> Result<Vec<Found>, LakeError> {
    let names = |folder: String| async move { Ok::<_, LakeError>(root.list(&folder).await?.into_iter().map(|(name, _)| name).collect::<Vec<_>>()) };
    let (files, twins) = (names(format!("{table}/{LOG}")).await?, names(format!("{table}/{FOLDER}/log")).await?);
    let from = files.iter().filter(|name| is_checkpoint(name)).filter_map(|name| version(name)).max().unwrap_or(0);
    let mut known: BTreeMap<&String, (bool, bool)> = BTreeMap::new();
    files.iter().for_each(|name| known.entry(name).or_default().0 = true);
    twins.iter().for_each(|name| known.entry(name).or_default().1 = true);
    let mut found = Vec::new();
    for (name, (is_file, is_twin)) in known {
        let needed = version(name).is_none_or(|version| version >= from);
        // Expired: the log is cleaned up behind its checkpoints.
        let expired = !is_file && !needed;
        if !is_twin || expired || !(needed || all) {
            continue;
        }
        found.extend(compare(root, table, name, &files, restore).await?);
    }
    Ok(found)
}

async fn compare(root: &Root, table: &str, name: &str, files: &[String], restore: bool) -> Result<Option<Found>, LakeError> {
    let (path, twin_path) = (format!("{table}/{LOG}/{name}"), format!("{table}/{FOLDER}/log/{name}"));
    let (file, twin) = (root.get(&path).await?, root.get(&twin_path).await?);
    let what = match judge(file.as_ref(), twin.as_ref()) {
        Verdict::Fine | Verdict::Alone => return Ok(None),
        // The table format moves this pointer by itself, before its twin is made.
        _ if name == LAST_CHECKPOINT && file.as_ref().is_some_and(|file| is_newer(file, twin.as_ref(), files)) => return Ok(None),
        Verdict::RestoreFile(bytes) => {
            if restore {
                root.replace(&path, bytes.to_vec()).await?;
            }
            if file.is_some() { "bytes are not those that were written" } else { "it is missing" }
        }
        Verdict::RestoreTwin => {
            if let (true, Some(file)) = (restore, &file) {
                root.replace(&twin_path, twin_of(file)).await?;
            }
            "its copy is not what was written"
        }
        // Without the pointer the log is listed instead.
        Verdict::Lost if name == LAST_CHECKPOINT => {
            if restore {
                root.remove(table, &format!("{LOG}/{name}")).await?;
                root.remove(table, &format!("{FOLDER}/log/{name}")).await?;
            }
            "bytes are not those that were written"
        }
        Verdict::Lost => return Ok(Some(Found { path: format!("{LOG}/{name}"), what: "it is damaged and so is its copy".to_owned(), lost: true })),
    };
    Ok(Some(Found { path: format!("{LOG}/{name}"), what: what.to_owned(), lost: false }))
}

fn is_newer(file: &Bytes, twin: Option<&Bytes>, files: &[String]) -> bool {
    let version_in = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok()?.get("version")?.as_u64();
    let kept = twin.and_then(split).and_then(|(_, copy)| version_in(&copy));
    version_in(file).is_some_and(|now| kept.is_none_or(|kept| now > kept) && files.contains(&format!("{now:020}.checkpoint.parquet")))
}

/// Removes twins whose file the table format has cleaned up; returns how many.
pub(crate) async fn tidy(root: &Root, table: &str) -> Result<usize, LakeError> {
    let files: Vec<String> = root.list(&format!("{table}/{LOG}")).await?.into_iter().map(|(name, _)| name).collect();
    let from = files.iter().filter(|name| is_checkpoint(name)).filter_map(|name| version(name)).max().unwrap_or(0);
    let mut removed = 0;
    for (name, _) in root.list(&format!("{table}/{FOLDER}/log")).await? {
        if version(&name).is_some_and(|version| version < from) && !files.contains(&name) {
            root.remove(table, &format!("{FOLDER}/log/{name}")).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_copies_and_a_digest_one_may_be_wrong() {
        let file = Bytes::from_static(b"{\"add\":{}}\n{\"remove\":{}}");
        let twin = Bytes::from(twin_of(&file));
        assert_eq!(judge(Some(&file), Some(&twin)), Verdict::Fine);
        assert_eq!(judge(Some(&file), None), Verdict::Alone);
        assert_eq!(judge(None, Some(&twin)), Verdict::RestoreFile(file.clone()));
        let flip = |bytes: &Bytes, at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 4;
            Bytes::from(bytes)
        };
        for at in 0..file.len() {
            assert_eq!(judge(Some(&flip(&file, at)), Some(&twin)), Verdict::RestoreFile(file.clone()));
        }
        for at in 0..twin.len() {
            assert_eq!(judge(Some(&file), Some(&flip(&twin, at))), Verdict::RestoreTwin, "byte {at} of the twin");
        }
        assert_eq!(judge(Some(&flip(&file, 3)), Some(&flip(&twin, twin.len() - 1))), Verdict::Lost);
    }
}
