//! Texts with holes that a record fills, and conditions on a record.
//!
//! A hole is `{SOURCE ?? SOURCE … | FILTER | FILTER …}`: the first source that is there, through filters.
//! Sources: `/path` in the record, `@/path` in what `each` found last (`@1/path` in what its first path
//! found), `^/path` in the whole document, `$1` what the first `*` of `file` stood for, `$source` the
//! instance, `'text'` itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::binary;
use super::path::Path;

/// Tables of a form: from a source's word to ours.
pub(super) type Maps = BTreeMap<String, BTreeMap<String, String>>;

/// What holes are filled from.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) root: &'a Value,
    pub(super) record: &'a Value,
    pub(super) each: &'a [&'a Value],
    pub(super) captures: &'a [String],
    pub(super) source: &'a str,
    pub(super) maps: &'a Maps,
}

#[derive(Debug, Clone)]
enum Source {
    Record(Path),
    Root(Path),
    /// The number of a path of `each`, from 1; 0 is the last.
    Each(usize, Path),
    Capture(usize),
    Instance,
    Literal(String),
}

#[derive(Debug, Clone)]
enum Filter {
    Lower,
    Upper,
    /// What stands after the first of these.
    After(String),
    /// What stands before the first of these.
    Before(String),
    /// What stands before the last of these.
    Head(String),
    /// The n-th part between these, from 1.
    Part(String, usize),
    Map(String),
    /// With this behind it.
    Then(String),
    /// The name of the domain of a distinguished name: `x.org` of `cn=y,dc=x,dc=org`.
    Dns,
    /// Where nothing came out of all before; stands last.
    Or(String),
    /// A security identifier, from base64 of its bytes or as it is written.
    Sid,
    /// A GUID, from base64 of its bytes or as it is written.
    Guid,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Hole(Vec<Source>, Vec<Filter>),
}

/// A compiled text.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (hole, after) = after.split_once('}').ok_or_else(|| format!("`{text}`: `{{` is not closed"))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(compile_hole(hole).map_err(|reason| format!("`{text}`: {reason}"))?);
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// The text, with the first value of each hole; nothing when a hole stays empty.
    pub(super) fn one(&self, scene: &Scene<'_>) -> Option<String> {
        self.all(scene).into_iter().next()
    }

    /// A text for each value of the hole that finds several.
    pub(super) fn all(&self, scene: &Scene<'_>) -> Vec<String> {
        let mut texts = vec![String::new()];
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => texts.iter_mut().for_each(|text| text.push_str(piece)),
                Piece::Hole(sources, filters) => {
                    let values = filled(sources, filters, scene);
                    texts = texts.iter().flat_map(|text| values.iter().map(move |value| format!("{text}{value}"))).collect();
                }
            }
        }
        texts
    }
}

fn filled(sources: &[Source], filters: &[Filter], scene: &Scene<'_>) -> Vec<String> {
    let found = sources.iter().map(|source| source.values(scene)).find(|values| !values.is_empty()).unwrap_or_default();
    // What comes last stands in for all values that came to nothing, not for each.
    let (filters, last) = match filters.split_last() {
        Some((Filter::Or(text), rest)) => (rest, Some(text)),
        _ => (filters, None),
    };
    let through = |value: String| filters.iter().try_fold(value, |value, filter| filter.apply(value, scene.maps));
    let values: Vec<String> = found.into_iter().filter_map(through).filter(|value| !value.is_empty()).collect();
    if values.is_empty() { last.cloned().into_iter().collect() } else { values }
}

impl Source {
    fn compile(source: &str) -> Result<Self, String> {
        let source = source.trim();
        if let Some(literal) = source.strip_prefix('\'') {
            return literal.strip_suffix('\'').map(|literal| Self::Literal(literal.to_owned())).ok_or_else(|| format!("{source} is not closed"));
        }
        if let Some(path) = source.strip_prefix('^') {
            return Ok(Self::Root(Path::compile(path)?));
        }
        if let Some(rest) = source.strip_prefix('@') {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, path) = rest.split_at_checked(digits).unwrap_or(("", rest));
            return Ok(Self::Each(number.parse().unwrap_or(0), Path::compile(path)?));
        }
        match source.strip_prefix('$') {
            Some("source") => Ok(Self::Instance),
            Some(number) => number.parse().map(Self::Capture).map_err(|_| format!("`{source}` is neither `$source` nor a number")),
            None => Ok(Self::Record(Path::compile(source)?)),
        }
    }

    fn values(&self, scene: &Scene<'_>) -> Vec<String> {
        let of = |path: &Path, value: &Value| path.texts(value).into_iter().filter(|text| !text.is_empty()).collect();
        match self {
            Self::Record(path) => of(path, scene.record),
            Self::Root(path) => of(path, scene.root),
            Self::Each(0, path) => scene.each.last().map(|value| of(path, value)).unwrap_or_default(),
            Self::Each(number, path) => scene.each.get(number - 1).map(|value| of(path, value)).unwrap_or_default(),
            Self::Capture(number) => number.checked_sub(1).and_then(|at| scene.captures.get(at)).cloned().into_iter().collect(),
            Self::Instance => Some(scene.source.to_owned()).filter(|source| !source.is_empty()).into_iter().collect(),
            Self::Literal(text) => vec![text.clone()],
        }
    }
}

fn compile_hole(hole: &str) -> Result<Piece, String> {
    let mut parts = hole.split(" | ");
    let sources = parts.next().unwrap_or_default().split("??").map(Source::compile).collect::<Result<_, _>>()?;
    Ok(Piece::Hole(sources, parts.map(Filter::compile).collect::<Result<_, _>>()?))
}

impl Filter {
    fn compile(filter: &str) -> Result<Self, String> {
        let words: Vec<&str> = filter.split_whitespace().collect();
        let plain = |word: &str| word.trim_matches('\'').to_owned();
        Ok(match words.as_slice() {
            ["lower"] => Self::Lower,
            ["upper"] => Self::Upper,
            ["after", mark] => Self::After(plain(mark)),
            ["before", mark] => Self::Before(plain(mark)),
            ["head", mark] => Self::Head(plain(mark)),
            ["part", mark, number] => Self::Part(plain(mark), number.parse().map_err(|_| format!("`{filter}`: wanted is `part MARK NUMBER`"))?),
            ["then", end] => Self::Then(plain(end)),
            ["dns"] => Self::Dns,
            ["map", table] => Self::Map((*table).to_owned()),
            ["or", text] => Self::Or(plain(text)),
            ["sid"] => Self::Sid,
            ["guid"] => Self::Guid,
            _ => return Err(format!("`{filter}` is no filter; there are lower, upper, after, before, head, part, then, dns, map, or, sid, guid")),
        })
    }

    fn apply(&self, value: String, maps: &Maps) -> Option<String> {
        match self {
            Self::Or(_) => Some(value),
            Self::Lower => Some(value.to_lowercase()),
            Self::Upper => Some(value.to_uppercase()),
            Self::After(mark) => value.split_once(mark.as_str()).map(|(_, after)| after.to_owned()),
            Self::Before(mark) => value.split(mark.as_str()).next().map(str::to_owned),
            Self::Head(mark) => value.rsplit_once(mark.as_str()).map(|(head, _)| head.to_owned()),
            Self::Part(mark, number) => value.split(mark.as_str()).nth(number.checked_sub(1)?).map(str::to_owned),
            Self::Map(table) => maps.get(table)?.get(&value).cloned(),
            Self::Then(end) => Some(value + end),
            Self::Dns => domain(&value),
            Self::Sid => binary::sid(&value),
            Self::Guid => binary::guid(&value),
        }
    }
}

/// The `dc` parts of a distinguished name (RFC 2247), with dots between.
fn domain(name: &str) -> Option<String> {
    let parts = name.split(',').filter_map(|part| part.split_once('=')).filter(|(kind, _)| kind.trim().eq_ignore_ascii_case("dc"));
    let labels: Vec<&str> = parts.map(|(_, label)| label.trim()).collect();
    (!labels.is_empty()).then(|| labels.join("."))
}

/// Conditions, all of which must hold: `SOURCE`, `!SOURCE`, `SOURCE = VALUE`, `SOURCE != VALUE`,
/// `SOURCE ~ TEXT` (contains), `SOURCE !~ TEXT`, `SOURCE & BITS` (one of them is set). Compared without case.
#[derive(Debug, Clone, Default)]
pub(super) struct When(Vec<(Source, Test)>);

#[derive(Debug, Clone)]
enum Test {
    There,
    Absent,
    Is(String),
    IsNot(String),
    Has(String),
    HasNot(String),
    Bits(u64),
}

impl When {
    pub(super) fn compile(conditions: &[String]) -> Result<Self, String> {
        let one = |condition: &String| {
            let test = |source: &str, test: fn(String) -> Test, value: &str| Ok((Source::compile(source)?, test(value.trim().to_lowercase())));
            if let Some((source, value)) = condition.split_once(" != ") {
                test(source, Test::IsNot, value)
            } else if let Some((source, value)) = condition.split_once(" = ") {
                test(source, Test::Is, value)
            } else if let Some((source, value)) = condition.split_once(" !~ ") {
                test(source, Test::HasNot, value)
            } else if let Some((source, bits)) = condition.split_once(" & ") {
                let bits = bits.trim().parse().map_err(|_| format!("`{condition}`: `{bits}` is no number"))?;
                Ok((Source::compile(source)?, Test::Bits(bits)))
            } else if let Some((source, value)) = condition.split_once(" ~ ") {
                test(source, Test::Has, value)
            } else if let Some(source) = condition.strip_prefix('!') {
                Ok((Source::compile(source)?, Test::Absent))
            } else {
                Ok((Source::compile(condition)?, Test::There))
            }
        };
        conditions.iter().map(one).collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn holds(&self, scene: &Scene<'_>) -> bool {
        self.0.iter().all(|(source, test)| test.holds(source, scene))
    }

    /// Whether one of them holds.
    pub(super) fn any(&self, scene: &Scene<'_>) -> bool {
        self.0.iter().any(|(source, test)| test.holds(source, scene))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Test {
    fn holds(&self, source: &Source, scene: &Scene<'_>) -> bool {
        let there = || match source {
            Source::Record(path) => path.one(scene.record).is_some(),
            Source::Root(path) => path.one(scene.root).is_some(),
            Source::Each(0, path) => scene.each.last().is_some_and(|value| path.one(value).is_some()),
            Source::Each(number, path) => scene.each.get(number - 1).is_some_and(|value| path.one(value).is_some()),
            _ => !source.values(scene).is_empty(),
        };
        let any = |fits: &dyn Fn(&str) -> bool| source.values(scene).iter().any(|value| fits(&value.to_lowercase()));
        match self {
            Self::There => there(),
            Self::Absent => !there(),
            Self::Is(wanted) => any(&|value| value == wanted),
            Self::IsNot(other) => !any(&|value| value == other),
            Self::HasNot(part) => !any(&|value| value.contains(part.as_str())),
            Self::Bits(bits) => any(&|value| value.parse::<u64>().is_ok_and(|value| value & bits != 0)),
            Self::Has(part) => any(&|value| value.contains(part.as_str())),
        }
    }
}
