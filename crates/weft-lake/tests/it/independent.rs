//! Another implementation of the table format reads the same.

use std::process::Command;

use crate::support::{ingest, number, open, raw};

#[tokio::test]
async fn other_engines_count_the_same() {
    let Ok(python) = std::env::var("WEFT_PYTHON") else {
        println!("WEFT_PYTHON is not set to a Python with deltalake, pyarrow and duckdb: not compared with other engines");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    for round in 0..5 {
        ingest(&lake, raw(round * 700..round * 700 + 700)).await;
        lake.commit().await.unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/independent/read_lake.py");
    let output = Command::new(python).arg(script).arg(dir.path().join("lake")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for table in ["authentication", "network_activity", "rejects"] {
        let ours = number(&lake, &format!("SELECT count(*) FROM {table}")).await;
        for engine in ["pyarrow", "duckdb"] {
            assert_eq!(counts[table][engine], ours, "{table} by {engine}: {counts}");
        }
    }
}
