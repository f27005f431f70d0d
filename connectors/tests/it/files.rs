//! The connector files themselves.

use weft_ingest::{ConnectorSource, Registry};

#[test]
fn every_file_compiles_without_a_fault() {
    let sources: Vec<ConnectorSource> = weft_connectors::files().into_iter().map(|files| ConnectorSource { name: files.name, files: files.files }).collect();
    let (registry, faults) = Registry::build(&sources);
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(registry.programs.len() >= 300, "only {} streams", registry.programs.len());
}

#[test]
fn every_folder_with_a_manifest_is_a_connector() {
    let folders: Vec<String> = weft_testkit::connectors().into_iter().map(|source| source.name).collect();
    let embedded: Vec<String> = weft_connectors::files().into_iter().map(|files| files.name).collect();
    assert_eq!(folders, embedded);
}

#[test]
fn a_fault_is_told_with_its_place() {
    let manifest = "name = \"x\"\nvendor = \"X\"\nproduct = \"X\"\ndomain = \"generic\"\n[[stream]]\nname = \"a\"\nformat = \"json\"\n";
    let mapping = "[set]\n\"time\" = \"t\"\n\n[[event]]\nclass = \"authentication\"\n[event.set]\n\"user.nmae\" = \"u\"\n\"status_id\" = \"tabel(r, x)\"\n";
    let files = vec![("connector.toml".to_owned(), manifest.to_owned()), ("mapping/a.toml".to_owned(), mapping.to_owned())];
    let (_, faults) = Registry::build(&[ConnectorSource { name: "x".to_owned(), files }]);
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|fault| fault.starts_with("x/mapping/a.toml:7:") && fault.contains("`nmae` is not an attribute of `user`")), "{told:?}");
    assert!(told.iter().any(|fault| fault.starts_with("x/mapping/a.toml:8:") && fault.contains("no function `tabel`")), "{told:?}");
}

/// `docs/guide/connectors.md` is what the manifests say; `WEFT_BLESS=1` writes it anew.
#[test]
fn the_list_in_the_guide_is_current() {
    let (registry, _) = weft_testkit::registry();
    let mut connectors: Vec<_> = registry.connectors.iter().collect();
    connectors.sort_by_key(|connector| (connector.vendor.to_lowercase(), connector.product.to_lowercase()));
    let streams: usize = connectors.iter().map(|connector| connector.stream.len()).sum();
    let mut text = format!(
        "# Connectors\n\n{} tools, {streams} record types, each told apart by STREAM `auto`. Written from the manifests by\n`WEFT_BLESS=1 cargo nextest run -p weft-connectors files`; a tool that is missing is [one folder](add-a-connector.md).\n\n| vendor | product | streams |\n|---|---|---|\n",
        connectors.len()
    );
    for connector in connectors {
        let streams: Vec<String> = connector.stream.iter().map(|stream| format!("`{}/{}` {}", connector.name, stream.name, stream.title)).collect();
        text.push_str(&format!("| {} | {} | {} |\n", connector.vendor, connector.product, streams.join("<br>").replace('|', "\\|")));
    }
    let path = weft_testkit::root().join("docs/guide/connectors.md");
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/guide/connectors.md is not current: run `WEFT_BLESS=1 cargo nextest run -p weft-connectors files`");
}
