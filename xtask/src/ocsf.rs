//! `cargo xtask ocsf SCHEMA.json`: writes the OCSF tables that `weft-model` embeds.
//!
//! `SCHEMA.json` is the uncompiled schema of the PyPI package `pydantic-ocsf`
//! (`ocsf/schemas/v1_7_0.json` in the wheel). What that file lacks is declared in
//! `crates/weft-model/schema/ocsf-1.8.toml`. Both are folded into one schema, compiled (parents,
//! profiles, datetime siblings, observables) and written without any prose. The file format is
//! described where it is read, in `crates/weft-model/src/ocsf/load.rs`.

mod compile;
mod declare;
mod emit;

use serde_json::{Map, Value};
use std::path::Path;

/// The declaration of ours, and the table that is made of it.
pub(crate) const DECLARATION: &str = "crates/weft-model/schema/ocsf-1.8.toml";
/// Where the generated tables stand.
pub(crate) const TABLES: &str = "crates/weft-model/src/ocsf/tables.txt";

type Object = Map<String, Value>;

/// Reads the schema file and the declaration below `root`, and writes the tables.
pub(crate) fn run(root: &Path, schema: &Path) -> Result<String, String> {
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()));
    let declaration = read(&root.join(DECLARATION))?;
    let tables = generate(&read(schema)?, &declaration)?;
    let path = root.join(TABLES);
    std::fs::write(&path, &tables).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
    Ok(format!("{} bytes in {TABLES}", tables.len()))
}

/// The tables as text, from the text of the schema file and of the declaration.
pub(crate) fn generate(schema: &str, declaration: &str) -> Result<String, String> {
    let mut source: Object = serde_json::from_str(schema).map_err(|error| format!("the schema is not JSON: {error}"))?;
    let declared: toml::Table = toml::from_str(declaration).map_err(|error| format!("`{DECLARATION}`: {error}"))?;
    let version = declare::extend(&mut source, &declared)?;
    let compiled = compile::compile(&source)?;
    Ok(emit::emit(&version, declaration, &compiled))
}

/// Whether the tables are those of this declaration: the tidy test asks, because the schema
/// package is not at hand when tests run.
pub(crate) fn is_current(tables: &str, declaration: &str) -> bool {
    let Some((header, body)) = tables.split_once('\n') else { return false };
    let mut fields = header.split('\t').skip(2);
    fields.next() == Some(&emit::digest(declaration)) && fields.next() == Some(&emit::digest(body))
}

/// The member `key` of a JSON object as an object; an empty one when there is none.
fn object<'a>(value: &'a Value, key: &str) -> &'a Object {
    static EMPTY: std::sync::LazyLock<Object> = std::sync::LazyLock::new(Object::new);
    value.get(key).and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// The member `key` as text; empty when there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema package is not at hand here, so this cannot write the tables again; it holds
    /// that neither they nor the declaration were changed without the other.
    #[test]
    fn tables_are_those_of_the_declaration() {
        let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
        let (tables, declaration) = (read(TABLES), read(DECLARATION));
        assert!(is_current(&tables, &declaration), "`{TABLES}` is not current; run `cargo xtask ocsf`, see docs/guide/ocsf.md");
        assert!(!is_current(&tables, &format!("{declaration}\n")));
        assert!(!is_current(&tables.replace("Logon", "Login"), &declaration));
    }

    #[test]
    fn a_schema_is_compiled_with_parents_profiles_and_siblings() {
        let schema = r#"{"version": "1", "categories_meta": {"attributes": {"iam": {"uid": 3, "caption": "IAM"}}},
            "dictionary": {"types": {"attributes": {"ip_t": {"observable": 2}, "timestamp_t": {}, "integer_t": {}}},
                "attributes": {"ip": {"type": "ip_t"}, "time": {"type": "timestamp_t"}, "kind_id": {"type": "integer_t", "sibling": "kind", "enum": {"0": {"caption": "Unknown"}}}}},
            "objects": {"_thing": {"caption": "Thing", "constraints": {"at_least_one": ["ip"]}, "attributes": {"ip": {"requirement": "optional"}}},
                "host": {"caption": "Host", "extends": "_thing", "attributes": {"ip": {"requirement": "required"}}}},
            "events": {"base_event": {"category": "other", "caption": "Base", "attributes": {"$include": ["profiles/place.json"], "time": {"requirement": "required"}}},
                "logon": {"uid": 2, "category": "iam", "caption": "Logon", "extends": "base_event", "attributes": {"host": {"requirement": "required", "profile": null}, "kind_id": {"enum": {"1": {"caption": "One"}}}}}}}"#;
        let declaration = "version = \"2\"\nbase = \"1\"\n[dictionary]\nhost = \"host\"\n[profiles.place]\nhost = \"optional\"\n";
        let tables = generate(schema, declaration).unwrap();
        let body: Vec<&str> = tables.lines().skip(1).collect();
        assert_eq!(
            body,
            [
                "e\t0=Unknown\t1=One",
                "a\thost\t@host\to\t-\t-\tplace\t-",
                "a\thost\t@host\tr\t-\t-\t-\t-",
                "a\tip\tip\tr\t-\t-\t-\t2",
                "a\tkind_id\tinteger\to\t0\tkind\t-\t-",
                "a\ttime\ttimestamp\tr\t-\t-\t-\t-",
                "a\ttime_dt\tdatetime\to\t-\t-\tdatetime\t-",
                "o\thost\tHost\t-\tip\t-\t2",
                "c\tbase_event\tBase\t0\t0\tUncategorized\t-\t-\t-\t0 4 5",
                "c\tlogon\tLogon\t3002\t3\tIAM\t-\t-\t-\t1 3 4 5",
            ]
        );
        assert!(is_current(&tables, declaration));
        assert!(generate(schema, "version = \"2\"\nbase = \"0\"").unwrap_err().contains("is version `1`, the declaration extends `0`"));
        assert!(generate(schema, "version = \"2\"\nbase = \"1\"").unwrap_err().contains("profile `place` is not declared"));
    }
}
