//! Raw records with placeholders: `{{t:syslog}}`, `{{people.email}}`, `{{num:1024-65535#port}}`.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{{t}}` `{{t:SHAPE}}` `{{t-90s:SHAPE}}` `{{t+250ms:SHAPE}}` | the time of the record |
//! | `{{TABLE.COLUMN}}` | a cell of one row of the table, the same row throughout the block |
//! | `{{num:LOW-HIGH}}` | a whole number, both ends included |
//! | `{{hex:N}}` `{{HEX:N}}` `{{id:N}}` `{{key:N}}` `{{uuid}}` | random text: hexadecimal, letters and digits, base 32, UUID |
//! | `{{one:a\|b\|c}}` | one of them |
//! | `{{n}}` | how often the block was repeated before |
//!
//! `#name` at the end keeps the value: the same name is the same text for the rest of the block, in the
//! attack for the rest of the attack.

use std::collections::HashMap;

use super::instant::Shape;
use super::random::Random;
use super::story::Table;

/// A record with its placeholders.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Slot { kind: Kind, name: Option<String> },
}

#[derive(Debug, Clone)]
enum Kind {
    Time { shift_ms: i64, shape: Shape },
    Cell { table: String, column: String },
    Number { low: u64, high: u64 },
    Letters { alphabet: &'static str, length: usize },
    Uuid,
    One(Vec<String>),
    Repeat,
}

/// What was said before: named values, and the row that was chosen of each table.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    values: HashMap<String, String>,
    rows: HashMap<String, usize>,
}

/// What a record is written with.
pub(super) struct Scene<'s> {
    pub(super) at_ms: i64,
    pub(super) repeat: u64,
    pub(super) tables: &'s HashMap<String, Table>,
}

impl Template {
    /// Reads the placeholders.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub(super) fn parse(text: &str, tables: &HashMap<String, Table>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            // `{{{uuid}}}` is a placeholder in braces.
            let (brace, after) = after.strip_prefix('{').map_or(("", after), |after| ("{", after));
            let Some((slot, after)) = after.split_once("}}") else { return Err(format!("`{{{{{after}` has no end")) };
            pieces.push(Piece::Text(format!("{before}{brace}")));
            let (body, name) = slot.split_once('#').map_or((slot, None), |(body, name)| (body, Some(name.to_owned())));
            let kind = Kind::parse(body, tables).ok_or_else(|| format!("`{{{{{slot}}}}}` is not a placeholder"))?;
            pieces.push(Piece::Slot { kind, name });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The record.
    pub(super) fn write(&self, scene: &Scene<'_>, memory: &mut Memory, random: &mut Random) -> String {
        let mut whole = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Slot { kind, name: None } => whole.push_str(&kind.write(scene, memory, random)),
                Piece::Slot { kind, name: Some(name) } => {
                    let value = memory.values.get(name).cloned().unwrap_or_else(|| kind.write(scene, memory, random));
                    whole.push_str(&value);
                    memory.values.insert(name.clone(), value);
                }
            }
        }
        whole
    }
}

const HEX: &str = "0123456789abcdef";
const HEX_UPPER: &str = "0123456789ABCDEF";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE62: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Kind {
    fn parse(body: &str, tables: &HashMap<String, Table>) -> Option<Self> {
        let (word, argument) = body.split_once(':').unwrap_or((body, ""));
        let letters = |alphabet| argument.parse().ok().map(|length| Self::Letters { alphabet, length });
        match word {
            "hex" => letters(HEX),
            "HEX" => letters(HEX_UPPER),
            "id" => letters(BASE62),
            "key" => letters(BASE32),
            "uuid" => Some(Self::Uuid),
            "n" => Some(Self::Repeat),
            "one" => Some(Self::One(argument.split('|').map(str::to_owned).collect())),
            "num" => {
                let (low, high) = argument.split_once('-')?;
                Some(Self::Number { low: low.parse().ok()?, high: high.parse().ok()? })
            }
            _ if word == "t" || word.starts_with("t+") || word.starts_with("t-") => {
                Some(Self::Time { shift_ms: shift(word.strip_prefix('t')?)?, shape: Shape::named(argument)? })
            }
            _ => {
                let (table, column) = word.split_once('.')?;
                tables.get(table)?.has(column).then(|| Self::Cell { table: table.to_owned(), column: column.to_owned() })
            }
        }
    }

    fn write(&self, scene: &Scene<'_>, memory: &mut Memory, random: &mut Random) -> String {
        match self {
            Self::Time { shift_ms, shape } => shape.write(scene.at_ms.saturating_add(*shift_ms)),
            Self::Number { low, high } => random.between(*low, *high).to_string(),
            Self::Letters { alphabet, length } => random.text(alphabet, *length),
            Self::Uuid => {
                let part = |random: &mut Random, length| random.text(HEX, length);
                format!("{}-{}-4{}-a{}-{}", part(random, 8), part(random, 4), part(random, 3), part(random, 3), part(random, 12))
            }
            Self::One(words) => random.one(words).cloned().unwrap_or_default(),
            Self::Repeat => scene.repeat.to_string(),
            Self::Cell { table, column } => {
                let Some(rows) = scene.tables.get(table) else { return String::new() };
                let row = *memory.rows.entry(table.clone()).or_insert_with(|| usize::try_from(random.below(rows.len() as u64)).unwrap_or(0));
                rows.cell(row, column).unwrap_or_default().to_owned()
            }
        }
    }
}

/// `+90s`, `-250ms`, `+2h`, or nothing.
fn shift(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    i64::try_from(super::story::duration_ms(text.get(1..)?)?).ok().map(|ms| sign * ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str, memory: &mut Memory) -> String {
        let tables = HashMap::from([("people".to_owned(), Table::of(&["name", "ip"], &[&["Ada", "10.0.0.1"], &["Bo", "10.0.0.2"]]))]);
        let scene = Scene { at_ms: 1_709_194_509_007, repeat: 3, tables: &tables };
        Template::parse(text, &tables).unwrap().write(&scene, memory, &mut Random::of(1, 2, 3))
    }

    #[test]
    fn one_row_throughout() {
        let line = write("{{people.name}} {{people.ip}}", &mut Memory::default());
        assert!(["Ada 10.0.0.1", "Bo 10.0.0.2"].contains(&line.as_str()), "{line}");
    }

    #[test]
    fn a_name_keeps_its_value() {
        let mut memory = Memory::default();
        let first = write("{{hex:8#session}}", &mut memory);
        assert_eq!(write("{{hex:8#session}}-{{hex:8#session}}", &mut memory), format!("{first}-{first}"));
    }

    #[test]
    fn time_may_be_shifted() {
        assert_eq!(write("{{t-9s:seconds}} {{t+1h:syslog}} {{n}}", &mut Memory::default()), "2024-02-29T08:15:00Z Feb 29 09:15:09 3");
    }

    #[test]
    fn braces_around_a_placeholder_stay() {
        assert_eq!(write("{{{num:5-5}}}", &mut Memory::default()), "{5}");
    }

    #[test]
    fn what_is_no_placeholder_is_a_fault() {
        for text in ["{{nobody.name}}", "{{num:5}}", "{{t:stardate}}", "{{t", "{{}}"] {
            assert!(Template::parse(text, &HashMap::new()).is_err(), "{text}");
        }
    }
}
