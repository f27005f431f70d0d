//! The labelled attack recordings: techniques expected against techniques found, and incidents with their
//! sources. Written to `docs/guide/otrf-table.md`; nothing is asserted, the table is for reading.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where the table is kept.
const TABLE: &str = "docs/guide/otrf-table.md";

/// What was found in one recording.
struct Row {
    set: String,
    title: String,
    findings: usize,
    expected: Vec<String>,
    found: Vec<String>,
    others: usize,
}

/// Runs the program `weft` with the rules over every labelled recording below a folder with `labels.json`.
///
/// # Errors
/// For a person: a file that is not there, or a program that fails.
pub fn run(root: &Path, weft: &Path, rules: &Path, data: &Path) -> Result<String, String> {
    let text = fs::read_to_string(data.join("labels.json")).map_err(|error| format!("{}: {error}", data.join("labels.json").display()))?;
    let labels: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|error| format!("labels.json: {error}"))?;
    let rows: Vec<Row> = labels
        .iter()
        .filter(|(set, label)| label.is_object() && data.join(set).is_file())
        .map(|(set, label)| row(weft, rules, data, set, label))
        .collect::<Result<_, _>>()?;
    let mut chains = Vec::new();
    for folder in folders(&data.join("compound")) {
        chains.push(chain(weft, rules, &folder)?);
    }
    fs::write(root.join(TABLE), table(&rows, &chains)).map_err(|error| format!("{TABLE}: {error}"))?;
    Ok(format!("{} recordings and {} chains; see {TABLE}", rows.len(), chains.len()))
}

fn row(weft: &Path, rules: &Path, data: &Path, set: &str, label: &Value) -> Result<Row, String> {
    let events = told(Command::new(weft).args(["detect", "--format", "ndjson", "--rules"]).arg(rules).arg("auto").arg(data.join(set)))?;
    let techniques: BTreeSet<String> = events.iter().flat_map(techniques).collect();
    let expected: Vec<String> = label["techniques"].as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    let found: Vec<String> = expected.iter().filter_map(|id| matched(id, &techniques)).collect();
    let others = techniques.iter().filter(|id| !id.contains('.') && !expected.iter().any(|wanted| wanted.starts_with(id.as_str()))).count();
    Ok(Row { set: set.to_owned(), title: label["title"].as_str().unwrap_or_default().to_owned(), findings: events.len(), expected, found, others })
}

/// The id itself, or its technique where only that or a sibling was found.
fn matched(id: &str, found: &BTreeSet<String>) -> Option<String> {
    let technique = id.split('.').next().unwrap_or(id);
    if found.contains(id) { Some(id.to_owned()) } else { found.contains(technique).then(|| format!("({technique})")) }
}

fn techniques(event: &Value) -> Vec<String> {
    let attacks = event.pointer("/finding_info/attacks").and_then(Value::as_array);
    let uid = |attack: &Value, path: &str| attack.pointer(path).and_then(Value::as_str).map(str::to_owned);
    attacks.into_iter().flatten().flat_map(|attack| [uid(attack, "/technique/uid"), uid(attack, "/sub_technique/uid")]).flatten().collect()
}

/// A recording of several sources: incidents, findings of the largest, sources with what rests on them and
/// what supports it.
fn chain(weft: &Path, rules: &Path, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(weft);
    command.args(["incidents", "--detect", "--format", "ndjson", "--rules"]).arg(rules).arg("auto").arg(folder);
    let incidents = told(&mut command)?;
    let findings = |event: &Value| event.pointer("/unmapped/findings").and_then(Value::as_u64).unwrap_or(0);
    let largest = incidents.iter().max_by_key(|event| findings(event)).cloned().unwrap_or_default();
    let sources = largest.pointer("/unmapped/sources").and_then(Value::as_object).cloned().unwrap_or_default();
    let sources: Vec<String> = sources.iter().map(|(name, counts)| format!("{name} {}+{}", counts[0], counts[1])).collect();
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(format!("| {name} | {} | {} | {} |", incidents.len(), findings(&largest), sources.join(", ")))
}

fn told(command: &mut Command) -> Result<Vec<Value>, String> {
    // A home that is not there: the program's own content alone.
    let output = command.args(["--data", "/nonexistent/weft"]).output().map_err(|error| format!("{command:?}: {error}"))?;
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn folders(below: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(below).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_dir() && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_')));
    found.sort();
    found
}

fn table(rows: &[Row], chains: &[String]) -> String {
    let (wanted, exact): (usize, usize) =
        (rows.iter().map(|row| row.expected.len()).sum(), rows.iter().flat_map(|row| &row.found).filter(|id| !id.starts_with('(')).count());
    let near = rows.iter().map(|row| row.found.len()).sum::<usize>() - exact;
    let sets = rows.iter().filter(|row| !row.found.is_empty()).count();
    let mut text = format!(
        "# Labelled attack recordings\n\nWritten by `cargo xtask labels WEFT RULES FOLDER`; do not edit. The recordings are those of\n<https://github.com/OTRF/Security-Datasets>, each with the techniques that its authors performed; the rules\nare the public Sigma rules. A label says what was done, not what can be seen of it.\n\n{exact} of {wanted} labelled techniques are found, {near} more by their technique alone (in brackets); {sets} of {} recordings\nhave at least one.\n\n## Chains over several sources\n`weft incidents --detect`: for each source, events that findings rest on + events that support them.\n\n| recording | incidents | findings of the largest | sources of the largest |\n|---|---:|---:|---|\n",
        rows.len()
    );
    chains.iter().for_each(|chain| text.push_str(&format!("{chain}\n")));
    text.push_str("\n## Techniques\n| recording | what | findings | expected | found | other techniques |\n|---|---|---:|---|---|---:|\n");
    for row in rows {
        let name = row.set.trim_start_matches("atomic/").trim_end_matches(".zip");
        text.push_str(&format!("| {name} | {} | {} | {} | {} | {} |\n", row.title, row.findings, row.expected.join(", "), row.found.join(", "), row.others));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_technique_is_found_itself_or_by_its_technique() {
        let found = BTreeSet::from(["T1003".to_owned(), "T1003.001".to_owned()]);
        assert_eq!(matched("T1003.001", &found).as_deref(), Some("T1003.001"));
        assert_eq!(matched("T1003.002", &found).as_deref(), Some("(T1003)"));
        assert_eq!(matched("T1059", &found), None);
    }
}
