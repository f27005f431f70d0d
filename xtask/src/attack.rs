//! `cargo xtask attack BUNDLE.json VERSION`: writes the ATT&CK names that `weft-model` embeds.
//!
//! `BUNDLE.json` is the Enterprise STIX bundle of <https://github.com/mitre/cti>. Ids, names and the
//! tactics of techniques are taken; no prose. The file format is described where it is read, in
//! `crates/weft-model/src/attack.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Where the generated table stands.
pub(crate) const TABLE: &str = "crates/weft-model/src/attack.tsv";
const TERMS: &str = "© The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation.";

/// Reads the bundle and writes the table below `root`.
pub(crate) fn run(root: &Path, bundle: &Path, version: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(bundle).map_err(|error| format!("`{}` cannot be read: {error}", bundle.display()))?;
    let table = generate(&text, version)?;
    std::fs::write(root.join(TABLE), &table).map_err(|error| format!("`{TABLE}` cannot be written: {error}"))?;
    Ok(format!("{} lines in {TABLE}", table.lines().count()))
}

fn generate(bundle: &str, version: &str) -> Result<String, String> {
    let bundle: Value = serde_json::from_str(bundle).map_err(|error| format!("the bundle is not JSON: {error}"))?;
    let objects = bundle.get("objects").and_then(Value::as_array).ok_or("the bundle has no `objects`")?;
    let mut lines = BTreeMap::new();
    for object in objects {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let gone = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or_default();
        let Some(id) = external_id(object) else { continue };
        let middle = match text("type") {
            "x-mitre-tactic" => text("x_mitre_shortname").to_owned(),
            "attack-pattern" if !gone("revoked") && !gone("x_mitre_deprecated") => tactics(object),
            _ => continue,
        };
        lines.insert(id.to_owned(), format!("{id}\t{middle}\t{}\n", text("name")));
    }
    if lines.is_empty() {
        return Err("the bundle has neither tactics nor techniques".to_owned());
    }
    Ok(format!("# ATT&CK Enterprise\t{version}\t{TERMS}\n{}", lines.into_values().collect::<String>()))
}

fn external_id(object: &Value) -> Option<&str> {
    let references = object.get("external_references")?.as_array()?;
    references.iter().find(|reference| reference.get("source_name").is_some_and(|name| name == "mitre-attack"))?.get("external_id")?.as_str()
}

fn tactics(object: &Value) -> String {
    let phases = object.get("kill_chain_phases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = phases.iter().filter_map(|phase| phase.get("phase_name")?.as_str()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_names_and_tactics_are_taken() {
        let reference = |id: &str| format!(r#""external_references": [{{"source_name": "mitre-attack", "external_id": "{id}"}}]"#);
        let bundle = format!(
            r#"{{"objects": [{{"type": "x-mitre-tactic", "name": "Impact", "x_mitre_shortname": "impact", {}}},
                {{"type": "attack-pattern", "name": "Old", "revoked": true, {}}},
                {{"type": "attack-pattern", "name": "Wipe", "description": "prose", "kill_chain_phases": [{{"phase_name": "impact"}}, {{"phase_name": "execution"}}], {}}}]}}"#,
            reference("TA0040"),
            reference("T1"),
            reference("T2.001")
        );
        assert_eq!(generate(&bundle, "1.0").unwrap().lines().skip(1).collect::<Vec<_>>(), ["T2.001\timpact,execution\tWipe", "TA0040\timpact\tImpact"]);
        assert!(generate("{}", "1").is_err());
    }
}
