//! The embedded store.

mod forget;
mod scim;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use weft_ingest::pull::Keys;
use weft_model::{Position, SourceId, Timestamp};

use super::{KeptRun, Progress, StateError, StateStore};

/// In order; the number of those applied is kept in `PRAGMA user_version`.
const MIGRATIONS: [&str; 4] = [
    include_str!("sqlite/migrations/0001_init.sql"),
    include_str!("sqlite/migrations/0002_memory.sql"),
    include_str!("sqlite/migrations/0003_pull.sql"),
    include_str!("sqlite/migrations/0004_scim.sql"),
];
/// Most sessions at a time; the oldest goes first.
const SESSIONS_MAX: i64 = 256;
/// How long a statement waits for another process that writes (the command line beside `up`).
const BUSY: Duration = Duration::from_secs(5);

/// State in one SQLite file.
#[derive(Clone)]
pub struct Sqlite {
    pool: SqlitePool,
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

impl Sqlite {
    /// Opens or creates the file and brings it to the current form.
    ///
    /// # Errors
    /// The file cannot be opened, or was written by a later version.
    pub async fn open(file: &Path) -> Result<Self, StateError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let store = Self { pool };
        store.migrate().await.map_err(|error| StateError(format!("`{}`: {}", file.display(), error.0)))?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StateError> {
        let mut connection = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        let applied = usize::try_from(version).unwrap_or(usize::MAX);
        if applied > MIGRATIONS.len() {
            return Err(StateError(format!("written by a later version of weft (form {version}, this one knows {})", MIGRATIONS.len())));
        }
        for migration in MIGRATIONS.iter().skip(applied) {
            sqlx::raw_sql(*migration).execute(&mut *connection).await?;
        }
        // PRAGMA takes no parameters; the number is ours.
        let mark = format!("PRAGMA user_version = {}", MIGRATIONS.len());
        sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *connection).await?;
        connection.commit().await?;
        Ok(())
    }
}

/// SQLite counts to 2^63.
fn number(upto: u64) -> i64 {
    i64::try_from(upto).unwrap_or(i64::MAX)
}

fn kept_run(row: &SqliteRow) -> Result<KeptRun, StateError> {
    let body: String = row.try_get("body")?;
    Ok(KeptRun {
        id: row.try_get("id")?,
        finding: row.try_get("finding")?,
        state: row.try_get("state")?,
        updated: Timestamp(row.try_get("updated_ms")?),
        body: serde_json::from_str(&body).map_err(|error| StateError(format!("a kept run cannot be read: {error}")))?,
    })
}

#[async_trait]
impl StateStore for Sqlite {
    async fn position(&self, source: &SourceId) -> Result<Option<Position>, StateError> {
        let row: Option<String> = sqlx::query_scalar("SELECT position FROM position WHERE source = ?").bind(&*source.0).fetch_optional(&self.pool).await?;
        Ok(row.map(Position))
    }

    async fn set_position(&self, source: &SourceId, position: &Position, now: Timestamp) -> Result<(), StateError> {
        let sql = "INSERT INTO position VALUES (?, ?, ?) ON CONFLICT (source) DO UPDATE SET position = excluded.position, at_ms = excluded.at_ms";
        sqlx::query(sql).bind(&*source.0).bind(&position.0).bind(now.0).execute(&self.pool).await?;
        Ok(())
    }

    async fn keep_run(&self, run: &KeptRun) -> Result<(), StateError> {
        let sql = "INSERT INTO run VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, updated_ms = excluded.updated_ms, body = excluded.body";
        sqlx::query(sql).bind(&run.id).bind(&run.finding).bind(&run.state).bind(run.updated.0).bind(run.body.to_string()).execute(&self.pool).await?;
        Ok(())
    }

    async fn run(&self, id: &str) -> Result<Option<KeptRun>, StateError> {
        let row = sqlx::query("SELECT * FROM run WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(kept_run).transpose()
    }

    async fn runs(&self, limit: u32) -> Result<Vec<KeptRun>, StateError> {
        let rows = sqlx::query("SELECT * FROM run ORDER BY updated_ms DESC, id LIMIT ?").bind(limit).fetch_all(&self.pool).await?;
        rows.iter().map(kept_run).collect()
    }

    async fn keep_session(&self, digest: &str, until: Timestamp) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO session VALUES (?, ?)").bind(digest).bind(until.0).execute(&self.pool).await?;
        let newest = "DELETE FROM session WHERE digest NOT IN (SELECT digest FROM session ORDER BY until_ms DESC LIMIT ?)";
        sqlx::query(newest).bind(SESSIONS_MAX).execute(&self.pool).await?;
        Ok(())
    }

    async fn session(&self, digest: &str, now: Timestamp) -> Result<bool, StateError> {
        sqlx::query("DELETE FROM session WHERE until_ms <= ?").bind(now.0).execute(&self.pool).await?;
        let open: Option<i64> = sqlx::query_scalar("SELECT until_ms FROM session WHERE digest = ?").bind(digest).fetch_optional(&self.pool).await?;
        Ok(open.is_some())
    }

    async fn end_session(&self, digest: &str) -> Result<(), StateError> {
        sqlx::query("DELETE FROM session WHERE digest = ?").bind(digest).execute(&self.pool).await?;
        Ok(())
    }

    async fn keep_memory(&self, log: &str, upto: u64, body: &[u8]) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)").bind(log).bind(number(upto)).bind(body).execute(&self.pool).await?;
        Ok(())
    }

    async fn memory(&self, log: &str, upto: u64) -> Result<Option<Vec<u8>>, StateError> {
        let sql = "SELECT body FROM memory WHERE log = ? AND upto <= ? ORDER BY upto DESC LIMIT 1";
        Ok(sqlx::query_scalar(sql).bind(log).bind(number(upto)).fetch_optional(&self.pool).await?)
    }

    async fn forget_memory(&self, log: &str, upto: u64) -> Result<(), StateError> {
        let sql = "DELETE FROM memory WHERE log <> ?1 OR upto < (SELECT max(upto) FROM memory WHERE log = ?1 AND upto <= ?2)";
        sqlx::query(sql).bind(log).bind(number(upto)).execute(&self.pool).await?;
        Ok(())
    }

    async fn keep_keys(&self, source: &SourceId, keys: &Keys) -> Result<(), StateError> {
        let ids: Vec<u8> = keys.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let number = i64::try_from(keys.number).unwrap_or(i64::MAX);
        sqlx::query("INSERT OR REPLACE INTO pull_keys VALUES (?, ?, ?, ?)")
            .bind(&*source.0)
            .bind(number)
            .bind(keys.newest)
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn keys(&self, source: &SourceId) -> Result<Vec<Keys>, StateError> {
        let sql = "SELECT number, newest_ms, ids FROM pull_keys WHERE source = ? ORDER BY number";
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(sql).bind(&*source.0).fetch_all(&self.pool).await?;
        let keys = |(number, newest, ids): (i64, i64, Vec<u8>)| Keys {
            number: u64::try_from(number).unwrap_or_default(),
            newest,
            ids: ids.as_chunks::<16>().0.iter().map(|id| u128::from_le_bytes(*id)).collect(),
        };
        Ok(rows.into_iter().map(keys).collect())
    }

    async fn forget_keys(&self, source: &SourceId, number: u64, before: Timestamp) -> Result<(), StateError> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let sql = "DELETE FROM pull_keys WHERE source = ? AND (number < ? OR newest_ms < ?)";
        sqlx::query(sql).bind(&*source.0).bind(number).bind(before.0).execute(&self.pool).await?;
        Ok(())
    }

    async fn object(&self, source: &SourceId, object: &str) -> Result<Option<Progress>, StateError> {
        let sql = "SELECT upto FROM pull_object WHERE source = ? AND object = ?";
        let upto: Option<Option<i64>> = sqlx::query_scalar(sql).bind(&*source.0).bind(object).fetch_optional(&self.pool).await?;
        Ok(upto.map(|upto| upto.map_or(Progress::Done, |upto| Progress::Upto(u64::try_from(upto).unwrap_or_default()))))
    }

    async fn keep_object(&self, source: &SourceId, object: &str, progress: Progress, now: Timestamp) -> Result<(), StateError> {
        let upto = match progress {
            Progress::Done => None,
            Progress::Upto(upto) => Some(i64::try_from(upto).unwrap_or(i64::MAX)),
        };
        sqlx::query("INSERT OR REPLACE INTO pull_object VALUES (?, ?, ?, ?)").bind(&*source.0).bind(object).bind(upto).bind(now.0).execute(&self.pool).await?;
        Ok(())
    }

    async fn forget_objects(&self, source: &SourceId, before: Timestamp) -> Result<(), StateError> {
        sqlx::query("DELETE FROM pull_object WHERE source = ? AND at_ms < ?").bind(&*source.0).bind(before.0).execute(&self.pool).await?;
        Ok(())
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StateError> {
        Ok(sqlx::query_scalar("SELECT value FROM setting WHERE name = ?").bind(name).fetch_optional(&self.pool).await?)
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO setting VALUES (?, ?)").bind(name).bind(value).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.sqlite");
        let run = KeptRun { id: "r".into(), finding: "f".into(), state: "waiting".into(), updated: Timestamp(5), body: json!({"a": 1}) };
        {
            let store = Sqlite::open(&file).await.unwrap();
            store.set_position(&"s".into(), &Position("1".into()), Timestamp(1)).await.unwrap();
            store.set_position(&"s".into(), &Position("2".into()), Timestamp(2)).await.unwrap();
            store.keep_run(&run).await.unwrap();
        }
        let store = Sqlite::open(&file).await.unwrap();
        assert_eq!(store.position(&"s".into()).await.unwrap(), Some(Position("2".into())));
        assert_eq!(store.run("r").await.unwrap(), Some(run.clone()));
        let done = KeptRun { state: "done".into(), updated: Timestamp(6), ..run };
        store.keep_run(&done).await.unwrap();
        assert_eq!(store.runs(10).await.unwrap(), [done]);
    }

    #[tokio::test]
    async fn sessions_end_and_settings_change() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("s")).await.unwrap();
        store.keep_session("d", Timestamp(10)).await.unwrap();
        assert!(store.session("d", Timestamp(9)).await.unwrap());
        assert!(!store.session("d", Timestamp(10)).await.unwrap());
        store.set_setting("n", "1").await.unwrap();
        store.set_setting("n", "2").await.unwrap();
        assert_eq!(store.setting("n").await.unwrap().as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn the_memory_is_that_of_the_last_commit_that_happened() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("s")).await.unwrap();
        assert_eq!(store.memory("log", 9).await.unwrap(), None);
        store.keep_memory("log", 3, b"three").await.unwrap();
        store.keep_memory("log", 8, b"eight").await.unwrap();
        store.keep_memory("other", 5, b"other").await.unwrap();
        assert_eq!(store.memory("log", 7).await.unwrap().as_deref(), Some(&b"three"[..]), "frame 8 was never committed");
        store.forget_memory("log", 8).await.unwrap();
        assert_eq!(store.memory("log", 7).await.unwrap(), None);
        assert_eq!(store.memory("log", 100).await.unwrap().as_deref(), Some(&b"eight"[..]));
        assert_eq!(store.memory("other", 5).await.unwrap(), None, "of another log");
    }

    #[tokio::test]
    async fn keys_and_objects_are_kept_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("s")).await.unwrap();
        let source = SourceId::from("pull/a");
        for number in 1..=3 {
            let keys = Keys { number, newest: i64::try_from(number).unwrap() * 10, ids: vec![u128::MAX, u128::from(number)] };
            store.keep_keys(&source, &keys).await.unwrap();
            store.keep_keys(&source, &keys).await.unwrap();
        }
        store.forget_keys(&source, 2, Timestamp(25)).await.unwrap();
        assert_eq!(store.keys(&source).await.unwrap(), [Keys { number: 3, newest: 30, ids: vec![u128::MAX, 3] }]);
        assert!(store.keys(&"pull/b".into()).await.unwrap().is_empty());
        assert_eq!(store.object(&source, "k").await.unwrap(), None);
        store.keep_object(&source, "k", Progress::Upto(7), Timestamp(1)).await.unwrap();
        assert_eq!(store.object(&source, "k").await.unwrap(), Some(Progress::Upto(7)));
        store.keep_object(&source, "k", Progress::Done, Timestamp(2)).await.unwrap();
        assert_eq!(store.object(&source, "k").await.unwrap(), Some(Progress::Done));
        store.forget_objects(&source, Timestamp(3)).await.unwrap();
        assert_eq!(store.object(&source, "k").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_later_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s");
        let store = Sqlite::open(&file).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 99").execute(&store.pool).await.unwrap();
        drop(store);
        let refused = Sqlite::open(&file).await.err().unwrap().to_string();
        assert!(refused.contains("later version"), "{refused}");
    }
}
