//! What can be known to be wrong with a hunt before it runs.

use weft_model::{attack, ocsf};

use super::{File, Hunt, Question};

/// Shortest time between two scheduled runs.
const EVERY_MIN_MS: i64 = 60_000;

pub(super) fn whole(name: String, file: File) -> (Option<Hunt>, Vec<String>) {
    let mut faults = Vec::new();
    let mut span = |what: &str, text: &str| {
        milliseconds(text).unwrap_or_else(|| {
            faults.push(format!("`{what}` is `{text}`, not a time such as `30m`, `12h` or `7d`"));
            0
        })
    };
    let (every, look_back, history) = (
        file.schedule.as_deref().map(|text| span("schedule", text)),
        span("look_back", &file.look_back),
        file.history.as_deref().map_or(0, |text| span("history", text)),
    );
    faults.extend(every.filter(|every| (1..EVERY_MIN_MS).contains(every)).map(|_| "`schedule` is at least `1m`".to_owned()));
    for (what, text) in [("title", &file.title), ("hypothesis", &file.hypothesis)] {
        faults.extend(text.trim().is_empty().then(|| format!("`{what}` is empty")));
    }
    for (what, list) in [("references", &file.references), ("false_positives", &file.false_positives)] {
        faults.extend(list.is_empty().then(|| format!("`{what}` is empty: say where it comes from, and what else looks like it")));
    }
    let severity_id = severity(&file.severity).unwrap_or_else(|| {
        faults.push(format!("`severity` is `{}`, not informational, low, medium, high or critical", file.severity));
        0
    });
    faults.extend(file.attack.iter().filter(|id| attack::by_id(id).is_none()).map(|id| format!("ATT&CK {} has no technique `{id}`", attack::version())));
    let needs = needs(&file.needs, &mut faults);
    let question = question(file.sql, file.rule, &needs, &mut faults);
    let hunt = question.map(|question| Hunt {
        name,
        title: file.title,
        hypothesis: file.hypothesis.trim().to_owned(),
        severity_id,
        every_ms: every,
        look_back_ms: look_back,
        history_ms: history,
        techniques: file.attack,
        needs,
        references: file.references,
        false_positives: file.false_positives,
        question,
    });
    (hunt, faults)
}

/// Tables and fields exist in the schema.
fn needs(table: &toml::Table, faults: &mut Vec<String>) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    if table.is_empty() {
        faults.push("`[needs]` names no table".to_owned());
    }
    for (class, fields) in table {
        let Some(known) = ocsf::schema().class_by_name(class) else {
            faults.push(format!("OCSF {} has no class `{class}`", ocsf::schema().version()));
            continue;
        };
        let fields: Vec<String> = fields.as_array().into_iter().flatten().filter_map(|field| field.as_str().map(str::to_owned)).collect();
        if fields.is_empty() {
            faults.push(format!("`{class}` in `[needs]` is no list of fields"));
        }
        let wrong = fields.iter().filter_map(|field| ocsf::schema().resolve(known.uid, field).err());
        faults.extend(wrong.map(|error| format!("`needs.{class}`: {error}")));
        all.push((class.clone(), fields));
    }
    all
}

fn question(sql: Option<String>, rule: Option<String>, needs: &[(String, Vec<String>)], faults: &mut Vec<String>) -> Option<Question> {
    match (sql, rule) {
        (Some(sql), None) => {
            let lower = sql.to_lowercase();
            for place in ["{since}", "{until}"] {
                faults.extend((!sql.contains(place)).then(|| format!("`sql` does not say `{place}`: it would look at all time")));
            }
            faults.extend(
                needs.iter().filter(|(table, _)| !has_word(&lower, table)).map(|(table, _)| format!("`sql` does not ask the table `{table}` that it needs")),
            );
            for must in ["time", "evidence"] {
                faults.extend((!has_word(&lower, must)).then(|| format!("`sql` gives no column `{must}`")));
            }
            Some(Question::Sql(sql))
        }
        (None, Some(rule)) => {
            let (rules, found) = crate::sigma::rule::parse(&rule);
            faults.extend(found.iter().map(|fault| format!("`rule`, line {}: {}", fault.line, fault.reason)));
            faults.extend((rules.is_empty() && found.is_empty()).then(|| "`rule` holds no Sigma rule".to_owned()));
            Some(Question::Rule(rule))
        }
        _ => {
            faults.push("there must be either `sql` or `rule`".to_owned());
            None
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn severity(word: &str) -> Option<i64> {
    Some(match word {
        "informational" => 1,
        "low" => 2,
        "medium" => 3,
        "high" => 4,
        "critical" => 5,
        _ => return None,
    })
}

fn milliseconds(text: &str) -> Option<i64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(at)?;
    let unit = match unit {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(unit).filter(|ms| *ms > 0)
}
