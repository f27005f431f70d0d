//! Rows that name a person, out of the state too.

use std::path::Path;

use sqlx::sqlite::SqlitePool;

use super::{Sqlite, StateError};

/// A name of a table or a column as SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sqlite {
    /// Removes every row of every table that names the identifier, and leaves no byte of it in the
    /// file; returns how many.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub async fn forget(file: &Path, identifier: &str) -> Result<u64, StateError> {
        if !file.exists() {
            return Ok(0);
        }
        let store = Self::open(file).await?;
        let removed = remove(&store.pool, identifier).await?;
        // What was removed stays in free pages and in the log until both are written anew.
        sqlx::raw_sql("VACUUM").execute(&store.pool).await?;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        store.pool.close().await;
        Ok(removed)
    }
}

async fn remove(pool: &SqlitePool, identifier: &str) -> Result<u64, StateError> {
    let mut removed = 0;
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetch_all(pool).await?;
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)").bind(&table).fetch_all(pool).await?;
        for column in columns {
            // Names are those of the schema, quoted; the identifier is a parameter.
            let sql = format!("DELETE FROM {} WHERE instr(lower(CAST({} AS TEXT)), lower(?)) > 0", quoted(&table), quoted(&column));
            removed += sqlx::query(sqlx::AssertSqlSafe(sql)).bind(identifier).execute(pool).await?.rows_affected();
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_model::Timestamp;

    use super::*;
    use crate::state::{KeptRun, StateStore as _};

    #[tokio::test]
    async fn no_byte_of_a_person_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.sqlite");
        let store = Sqlite::open(&file).await.unwrap();
        let run =
            |id: &str, user: &str| KeptRun { id: id.into(), finding: "f".into(), state: "done".into(), updated: Timestamp(5), body: json!({"user": user}) };
        store.keep_run(&run("a", "Ada@Example.com")).await.unwrap();
        store.keep_run(&run("b", "bob@example.com")).await.unwrap();
        store.pool.close().await;
        assert_eq!(Sqlite::forget(&file, "ada@example.com").await.unwrap(), 1);
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let bytes = std::fs::read(entry.path()).unwrap().to_ascii_lowercase();
            assert!(!bytes.windows(15).any(|window| window == b"ada@example.com"), "{}", entry.path().display());
        }
        assert_eq!(Sqlite::open(&file).await.unwrap().runs(9).await.unwrap().len(), 1);
    }
}
