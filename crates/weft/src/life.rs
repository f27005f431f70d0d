//! What is done to the lake day by day, and the receipts of it: OCSF API Activity (6003).

use serde_json::{Value, json};
use weft_lake::{Expired, Forgotten, Lake, LakeError, Remapped, Scrubbed};
use weft_model::{Timestamp, TraceId};

use crate::config::LakeLife;

/// Digests that a receipt lists of one table; the rest is counted.
const DIGESTS_MAX: usize = 200;

/// One round: merge, expire, move to the cold, clear away. Gives the receipts to keep.
///
/// # Errors
/// The first that fails; what was done before stays done.
pub async fn round(lake: &Lake, life: &LakeLife, now: Timestamp) -> Result<Vec<Value>, LakeError> {
    let merged = lake.compact(&weft_lake::CompactOptions::default()).await?;
    if merged.files_before > 0 {
        tracing::info!(before = merged.files_before, after = merged.files_after, rows = merged.rows, "compacted");
    }
    let mut receipts = Vec::new();
    if !life.retention.is_empty() {
        receipts.extend(retention(&lake.retain(&life.retention, now).await?, now));
    }
    if let Some(cold) = &life.cold {
        let before = Timestamp(now.0 - i64::from(life.cold_days) * Timestamp::DAY_MS);
        let moved = lake.tier(cold, before).await?;
        if moved.files > 0 {
            tracing::info!(files = moved.files, bytes = moved.bytes, "moved old days to the cold");
        }
    }
    let age = std::time::Duration::from_secs(life.vacuum_days * 86_400);
    let before = std::time::SystemTime::now().checked_sub(age).unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    lake.vacuum(before).await?;
    Ok(receipts)
}

/// What happened to the lake, as an event.
fn event(activity: (i64, &str), operation: &str, message: String, severity: i64, resources: Vec<Value>, data: Value, now: Timestamp) -> Value {
    let uid = TraceId::of(&format!("{operation}{}{data}", now.0));
    json!({
        "activity_id": activity.0, "activity_name": activity.1, "category_uid": 6, "class_uid": 6003, "type_uid": 600_300 + activity.0,
        "severity_id": severity, "status_id": 1, "time": now.0, "message": message,
        "metadata": {"version": "1.8.0", "uid": uid.as_str(), "product": {"name": "Weft", "vendor_name": "Weft"}},
        "actor": {"user": {"name": "weft", "uid": "Mesh::\"weft\"", "type_id": 3}},
        "api": {"operation": operation, "service": {"name": "weft lake"}},
        "src_endpoint": {"svc_name": "weft"},
        "resources": resources,
        "unmapped": data,
    })
}

fn resource(table: &str) -> Value {
    json!({"type": "table", "name": table, "uid": table})
}

fn few(digests: &[String]) -> Vec<&String> {
    digests.iter().take(DIGESTS_MAX).collect()
}

/// The receipt of a retention; none when nothing expired.
pub fn retention(expired: &[Expired], now: Timestamp) -> Option<Value> {
    if expired.is_empty() {
        return None;
    }
    let (rows, raw): (u64, u64) = expired.iter().fold((0, 0), |sum, table| (sum.0 + table.rows, sum.1 + table.raw_rows));
    let tables: Vec<Value> = expired
        .iter()
        .map(|table| json!({"table": table.table, "rows": table.rows, "raw_rows": table.raw_rows, "files": table.files, "digests": few(&table.digests)}))
        .collect();
    let message = format!("retention removed {rows} events and the raw records of {raw}");
    Some(event((4, "Delete"), "lake.retain", message, 1, expired.iter().map(|table| resource(&table.table)).collect(), json!({"tables": tables}), now))
}

/// The receipt of a deletion: what and how much, and a salted hash instead of the person.
pub fn forgotten(attribute: &str, value: &str, salt: &str, tables: &[Forgotten], now: Timestamp) -> Value {
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let listed: Vec<Value> =
        tables.iter().map(|table| json!({"table": table.table, "rows": table.rows, "files": table.files, "digests": few(&table.digests)})).collect();
    let data = json!({"attribute": attribute, "salt": salt, "hash": person(attribute, value, salt), "rows": rows, "tables": listed});
    let message = format!("{rows} events that named one {attribute} were removed");
    event((4, "Delete"), "lake.forget", message, 1, tables.iter().map(|table| resource(&table.table)).collect(), data, now)
}

/// What a receipt says instead of the person: whoever knows the person can check it.
pub fn person(attribute: &str, value: &str, salt: &str) -> String {
    blake3::hash(format!("{salt}\n{attribute}\n{}", value.to_lowercase()).as_bytes()).to_hex().to_string()
}

/// The receipt of events mapped anew.
pub fn remapped(stream: &str, done: &Remapped, now: Timestamp) -> Value {
    let message = format!("{} events were mapped anew by {stream}", done.replaced);
    event((3, "Update"), "lake.remap", message, 1, vec![json!({"type": "stream", "name": stream, "uid": stream})], json!(done), now)
}

/// What a scrub found damaged; none when everything was whole.
pub fn damage(seen: &Scrubbed, now: Timestamp) -> Option<Value> {
    if seen.damaged.is_empty() {
        return None;
    }
    let lost: u64 = seen.damaged.iter().map(|damage| damage.rows_lost).sum();
    let message = format!("{} files of the lake were damaged, {lost} events are lost", seen.damaged.len());
    let severity = if lost > 0 { 4 } else { 2 };
    let resources = seen.damaged.iter().map(|damage| json!({"type": "file", "name": format!("{}/{}", damage.table, damage.path)})).collect();
    Some(event((99, "Scrub"), "lake.scrub", message, severity, resources, json!({"damaged": seen.damaged}), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_names_counts_and_files_but_not_the_person() {
        let tables = [Forgotten { table: "authentication".to_owned(), rows: 3, files: 1, digests: vec!["ab".repeat(32)] }];
        let receipt = forgotten("user.email_addr", "Ada@Example.com", "5a17", &tables, Timestamp(7));
        let text = receipt.to_string();
        assert!(text.contains(&"ab".repeat(32)) && !text.to_lowercase().contains("ada@example.com"), "{text}");
        assert_eq!(receipt["unmapped"]["hash"], person("user.email_addr", "ada@example.com", "5a17"), "checked by who knows");
        assert_ne!(receipt["unmapped"]["hash"], person("user.email_addr", "bob@example.com", "5a17"));
    }

    #[test]
    fn receipts_are_ocsf() {
        let expired = [Expired { table: "rejects".to_owned(), rows: 1, ..Expired::default() }];
        let seen = Scrubbed::default();
        assert_eq!((retention(&[], Timestamp(0)), damage(&seen, Timestamp(0))), (None, None));
        for receipt in [
            retention(&expired, Timestamp(5)).unwrap(),
            remapped("a/b", &Remapped::default(), Timestamp(5)),
            forgotten("user.name", "adam", "s", &[], Timestamp(5)),
        ] {
            let found = weft_ingest::schema::Validator::new().validate(&receipt);
            assert!(found.iter().all(|fault| fault.level() == weft_ingest::schema::Level::Warning), "{found:?}");
        }
    }
}
