//! The few SQL texts that pages need, each from values that are escaped here.

use crate::filter::Predicate;

/// Columns that every class has and that the list shows, in the order in which it reads them.
pub(crate) const ROW_COLUMNS: &str =
    "metadata['uid'] AS uid, time, class_uid, class_name, activity_name, severity_id, status, message, metadata['product']['name'] AS product, observables";

/// A text literal.
pub(crate) fn literal(text: &str) -> String {
    let text: String = text.chars().filter(|c| *c != '\0').collect();
    format!("'{}'", text.replace('\'', "''"))
}

/// A text inside a LIKE pattern, so that it stands for itself.
pub(crate) fn like_escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// A dotted OCSF path as nested struct access.
pub(crate) fn identifier_path(path: &str) -> String {
    let mut parts = path.split('.');
    let head = format!("\"{}\"", parts.next().unwrap_or_default().replace('"', "\"\""));
    parts.fold(head, |sql, part| format!("{sql}[{}]", literal(part)))
}

/// A time range and a filter over one table, as the text behind `WHERE`.
pub(crate) fn condition(from: Option<i64>, to: Option<i64>, filter: &Predicate) -> String {
    let mut parts = Vec::new();
    parts.extend(from.map(|from| format!("time >= {from}")));
    parts.extend(to.map(|to| format!("time < {to}")));
    match filter {
        Predicate::True => {}
        Predicate::False => parts.push("FALSE".to_owned()),
        Predicate::Sql(sql) => parts.push(format!("({sql})")),
    }
    if parts.is_empty() { "TRUE".to_owned() } else { parts.join(" AND ") }
}

/// Where rows come from: the view that holds all classes, or only those tables that have the
/// fields in question.
pub(crate) struct From {
    /// Table or view, and the condition in it.
    pub(crate) parts: Vec<(String, String)>,
}

impl From {
    /// The same projection of every part, put together.
    pub(crate) fn select(&self, projection: &str) -> String {
        let selects: Vec<_> =
            self.parts.iter().map(|(table, condition)| format!("SELECT {projection} FROM {} WHERE {condition}", identifier_path(table))).collect();
        if selects.is_empty() { format!("SELECT {projection} FROM events WHERE FALSE") } else { selects.join(" UNION ALL ") }
    }

    /// A page of the list.
    pub(crate) fn rows(&self, limit: usize) -> String {
        format!("SELECT * FROM ({}) AS page ORDER BY time DESC, uid DESC LIMIT {limit}", self.select(ROW_COLUMNS))
    }

    /// Counts by bucket and severity.
    pub(crate) fn histogram(&self, from: i64, width: i64) -> String {
        let inner = self.select(&format!("(time - {from}) / {width} AS bucket, severity_id"));
        format!("SELECT bucket, severity_id, count(*) AS n FROM ({inner}) AS h GROUP BY bucket, severity_id")
    }

    /// The most frequent values of a column.
    pub(crate) fn top_values(&self, path: &str, limit: usize) -> String {
        let inner = self.select(&format!("{} AS value", identifier_path(path)));
        format!("SELECT value, count(*) AS n FROM ({inner}) AS f WHERE value IS NOT NULL GROUP BY value ORDER BY n DESC, value LIMIT {limit}")
    }

    /// The most frequent entities.
    pub(crate) fn top_entities(&self, type_ids: &[i64], limit: usize) -> String {
        let inner = self.select("unnest(observables) AS o");
        let types: Vec<_> = type_ids.iter().map(i64::to_string).collect();
        let only = if types.is_empty() { String::new() } else { format!(" AND o['type_id'] IN ({})", types.join(", ")) };
        format!(
            "SELECT o['value'] AS value, o['type'] AS kind, count(*) AS n FROM ({inner}) AS f WHERE o['value'] IS NOT NULL{only} GROUP BY o['value'], o['type'] ORDER BY n DESC, value LIMIT {limit}"
        )
    }
}
