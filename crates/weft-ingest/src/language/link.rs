//! Expressions to code: aliases, tables, captures and functions are found, paths get their slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use toml::Spanned;

use super::Trie;
use super::expr::{self, Const, Expr, Segment};
use super::file::MappingFile;
use super::words;
use crate::map::code::{Code, Table};
use crate::map::func::Func;
use crate::map::pattern::Pattern;

/// Aliases of aliases of …
const ALIAS_DEPTH_MAX: usize = 6;

/// Names that expressions of one mapping file may use.
#[derive(Default)]
pub struct Names {
    alias: BTreeMap<String, Vec<Vec<Segment>>>,
    tables: HashMap<String, Arc<Table>>,
}

impl Names {
    /// Of a file; faults are given with their byte offset.
    pub fn of(file: &MappingFile, fault: &mut impl FnMut(usize, String)) -> Self {
        let alias = file.alias.iter().map(|(name, paths)| (name.clone(), paths.iter().filter_map(|path| alias_path(path, fault)).collect())).collect();
        let tables = file.table.iter().map(|(name, rows)| (name.clone(), Arc::new(table(rows, fault)))).collect();
        Self { alias, tables }
    }
}

fn alias_path(path: &Spanned<String>, fault: &mut impl FnMut(usize, String)) -> Option<Vec<Segment>> {
    let text = path.get_ref();
    if text.is_empty() {
        return Some(Vec::new());
    }
    if let Some(word) = text.strip_prefix('~') {
        return word_path(word).or_else(|| {
            fault(path.span().start, format!("`{text}` has no letter or digit after `~`"));
            None
        });
    }
    match expr::parse(text) {
        Ok(Expr::Path(segments)) => Some(segments),
        _ => {
            fault(path.span().start, format!("`{text}` is not a path"));
            None
        }
    }
}

/// `~source_ip`: that end of a path in any spelling; `~*ip`: any key that ends so.
fn word_path(word: &str) -> Option<Vec<Segment>> {
    let text = words::fold(word);
    (!text.is_empty()).then(|| vec![Segment::Word { text, within: word.starts_with('*') }])
}

fn table(rows: &BTreeMap<String, Spanned<toml::Value>>, fault: &mut impl FnMut(usize, String)) -> Table {
    let mut table = Table::default();
    for (key, value) in rows {
        let Some(code) = constant(value.get_ref()) else {
            fault(value.span().start, format!("the value of `{key}` is neither text nor number"));
            continue;
        };
        if key == "*" {
            table.rest = Some(code);
        } else {
            table.rows.insert(key.to_ascii_lowercase(), code);
        }
    }
    table
}

fn constant(value: &toml::Value) -> Option<Code> {
    match value {
        toml::Value::String(text) => Some(Code::Text(text.as_str().into())),
        toml::Value::Integer(number) => Some(Code::Int(*number)),
        toml::Value::Float(number) => Some(Code::Float(*number)),
        toml::Value::Boolean(value) => Some(Code::Bool(*value)),
        _ => None,
    }
}

/// Regexes by their text: what many streams include is checked, and later compiled, once.
#[derive(Default)]
pub struct Patterns(HashMap<String, Arc<Pattern>>);

impl Patterns {
    /// The regex with this text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn get(&mut self, text: &str) -> Result<Arc<Pattern>, String> {
        if let Some(known) = self.0.get(text) {
            return Ok(Arc::clone(known));
        }
        let pattern = Arc::new(Pattern::new(text)?);
        self.0.insert(text.to_owned(), Arc::clone(&pattern));
        Ok(pattern)
    }
}

/// Turns expressions into code.
pub struct Linker<'l> {
    /// Names of the file.
    pub names: &'l Names,
    /// Paths of the program.
    pub trie: &'l mut Trie,
    /// Names of the event's captures.
    pub captures: &'l [String],
    /// Whether paths start at the item of an `each`.
    pub item: bool,
    /// Regexes that are known.
    pub patterns: &'l mut Patterns,
}

impl Linker<'_> {
    /// The code of an expression.
    ///
    /// # Errors
    /// What is not known, for a person.
    pub fn link(&mut self, expr: &Expr) -> Result<Code, String> {
        Ok(match expr {
            Expr::Const(constant) => literal(constant),
            Expr::Path(segments) if self.item => Code::Item(segments.clone().into()),
            Expr::Path(segments) | Expr::Root(segments) => Code::Slots(self.slots(segments)?),
            Expr::Context(key) => Code::Context(*key),
            Expr::Capture(name) => Code::Capture(self.capture(name)?),
            Expr::List(items) => Code::List(self.all(items)?),
            Expr::Coalesce(parts) => Code::Coalesce(self.all(parts)?),
            Expr::Choice(parts) => {
                let [value, condition, otherwise] = &**parts;
                Code::Choice(Box::new([self.link(value)?, self.link(condition)?, self.link(otherwise)?]))
            }
            Expr::Call(name, arguments) => self.call(name, arguments)?,
            Expr::Not(inner) => Code::Not(Box::new(self.link(inner)?)),
            Expr::All(parts) => Code::All(self.all(parts)?),
            Expr::Any(parts) => Code::Any(self.all(parts)?),
            Expr::Compare(op, sides) => {
                let [left, right] = &**sides;
                Code::Compare(*op, Box::new([self.link(left)?, self.link(right)?]))
            }
            Expr::In(value, list) => Code::In(Box::new(self.link(value)?), list.iter().map(literal).collect()),
            Expr::Matches(value, text) => Code::Matches(Box::new(self.link(value)?), self.patterns.get(text)?),
        })
    }

    fn all(&mut self, parts: &[Expr]) -> Result<Box<[Code]>, String> {
        parts.iter().map(|part| self.link(part)).collect()
    }

    fn capture(&self, name: &str) -> Result<usize, String> {
        self.captures.iter().position(|capture| capture == name).ok_or_else(|| format!("`${name}` is not a group of this event's `match`"))
    }

    fn slots(&mut self, segments: &[Segment]) -> Result<Box<[u32]>, String> {
        let mut paths = Vec::new();
        self.expand(segments, ALIAS_DEPTH_MAX, &mut paths)?;
        Ok(paths.iter().map(|path| self.trie.slot(path)).collect())
    }

    fn expand(&self, segments: &[Segment], depth: usize, paths: &mut Vec<Vec<Segment>>) -> Result<(), String> {
        let alternatives = match segments.first() {
            Some(Segment::Key(name)) => self.names.alias.get(name),
            _ => None,
        };
        let (Some(alternatives), Some(rest)) = (alternatives, segments.get(1..)) else {
            paths.push(segments.to_vec());
            return Ok(());
        };
        for alternative in alternatives {
            let path: Vec<Segment> = alternative.iter().chain(rest).cloned().collect();
            // `id = ["event.id", "id"]`: the last one is the attribute, not the alias again.
            if path.first() == segments.first() || alternative.is_empty() {
                paths.push(path);
            } else if depth == 0 {
                return Err("aliases lead back to themselves".to_owned());
            } else {
                self.expand(&path, depth - 1, paths)?;
            }
        }
        Ok(())
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> Result<Code, String> {
        match (name, arguments) {
            ("table", [key, Expr::Path(table), rest @ ..]) if rest.len() < 2 => self.table(key, table, rest.first()),
            ("table", _) => Err("`table` wants a value, the name of a table, and perhaps a default".to_owned()),
            ("regex", [value, Expr::Const(Const::Text(text)), rest @ ..]) if rest.len() < 2 => {
                let group = match rest.first() {
                    None => 1,
                    Some(Expr::Const(Const::Int(group))) => usize::try_from(*group).map_err(|_| "a group number is not negative".to_owned())?,
                    Some(_) => return Err("the third argument of `regex` is the number of a group".to_owned()),
                };
                Ok(Code::Group(Box::new(self.link(value)?), self.patterns.get(text)?, group))
            }
            ("resub", [value, Expr::Const(Const::Text(text)), Expr::Const(Const::Text(with))]) => {
                Ok(Code::Replace(Box::new(self.link(value)?), self.patterns.get(text)?, with.as_str().into()))
            }
            ("resub", _) => Err("`resub` wants a value, a regex in quotes, and what to put in place of its matches (`$1` is a group)".to_owned()),
            ("regex", _) => Err("`regex` wants a value, a regex in quotes, and perhaps the number of a group".to_owned()),
            _ => {
                let (function, takes) = Func::named(name).ok_or_else(|| unknown_function(name))?;
                if !takes.contains(&arguments.len()) {
                    return Err(format!("`{name}` takes {} to {} arguments, not {}", takes.start(), takes.end(), arguments.len()));
                }
                Ok(Code::Call(function, self.all(arguments)?))
            }
        }
    }

    fn table(&mut self, key: &Expr, table: &[Segment], rest: Option<&Expr>) -> Result<Code, String> {
        let [Segment::Key(name)] = table else { return Err("the second argument of `table` is the name of a table".to_owned()) };
        let table = self.names.tables.get(name).cloned().ok_or_else(|| format!("there is no `[table.{name}]` in this file"))?;
        let found = Code::Table(Box::new(self.link(key)?), table);
        Ok(match rest {
            Some(rest) => Code::Coalesce([found, self.link(rest)?].into()),
            None => found,
        })
    }
}

fn literal(constant: &Const) -> Code {
    match constant {
        Const::Null => Code::Null,
        Const::Bool(value) => Code::Bool(*value),
        Const::Int(number) => Code::Int(*number),
        Const::Float(number) => Code::Float(*number),
        Const::Text(text) => Code::Text(text.as_str().into()),
    }
}

fn unknown_function(name: &str) -> String {
    let near: Vec<&str> = Func::NAMES.iter().copied().filter(|known| known.contains(name) || name.contains(known)).take(3).collect();
    if near.is_empty() { format!("there is no function `{name}`") } else { format!("there is no function `{name}`; did you mean `{}`?", near.join("`, `")) }
}
