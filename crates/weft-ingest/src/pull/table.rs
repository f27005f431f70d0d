//! TOML read so that every fault is told at once, with its place.

use toml::de::{DeTable, DeValue};

use crate::language::Faults;

pub(super) type Table<'a> = DeTable<'a>;

/// Reads one file.
pub(super) struct Reader<'t> {
    pub(super) faults: Faults<'t>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { faults: Faults::new(file, text) }
    }

    /// Notes keys that nobody reads, which are mostly misspelt ones.
    pub(super) fn known(&mut self, table: &Table<'_>, section: &str, names: &[&str]) {
        for key in table.keys().filter(|key| !names.contains(&key.get_ref().as_ref())) {
            let place = if section.is_empty() { String::new() } else { format!(" in `[{section}]`") };
            self.faults.add(key.span().start, format!("unknown key `{}`{place}; known: {}", key.get_ref(), names.join(", ")));
        }
    }

    fn wrong(&mut self, at: usize, name: &str, wanted: &str) {
        self.faults.add(at, format!("`{name}` must be {wanted}"));
    }

    pub(super) fn text(&mut self, table: &Table<'_>, name: &str) -> Option<(usize, String)> {
        let item = table.get(name)?;
        match item.get_ref().as_str() {
            Some(text) => Some((item.span().start, text.to_owned())),
            None => {
                self.wrong(item.span().start, name, "text in quotes");
                None
            }
        }
    }

    pub(super) fn must(&mut self, table: &Table<'_>, at: usize, section: &str, name: &str) -> Option<(usize, String)> {
        if table.get(name).is_none() {
            self.faults.add(at, format!("`[{section}]` needs `{name}`"));
        }
        self.text(table, name)
    }

    pub(super) fn number(&mut self, table: &Table<'_>, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let item = table.get(name)?;
        let value = item.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            self.wrong(item.span().start, name, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        value
    }

    pub(super) fn boolean(&mut self, table: &Table<'_>, name: &str) -> bool {
        let Some(item) = table.get(name) else { return false };
        let value = item.get_ref().as_bool();
        if value.is_none() {
            self.wrong(item.span().start, name, "`true` or `false`");
        }
        value.unwrap_or_default()
    }

    pub(super) fn numbers(&mut self, table: &Table<'_>, name: &str) -> Option<Vec<u16>> {
        let item = table.get(name)?;
        let number = |one: &DeValue<'_>| one.as_integer().and_then(|number| u16::from_str_radix(number.as_str(), number.radix()).ok());
        let all: Option<Vec<u16>> = item.get_ref().as_array().and_then(|items| items.iter().map(|one| number(one.get_ref())).collect());
        if all.is_none() {
            self.wrong(item.span().start, name, "a list of whole numbers");
        }
        all
    }

    /// One text or a list of them.
    pub(super) fn texts(&mut self, table: &Table<'_>, name: &str) -> Vec<(usize, String)> {
        let Some(item) = table.get(name) else { return Vec::new() };
        if let Some(text) = item.get_ref().as_str() {
            return vec![(item.span().start, text.to_owned())];
        }
        let one = |item: &toml::Spanned<DeValue<'_>>| Some((item.span().start, item.get_ref().as_str()?.to_owned()));
        let all: Option<Vec<_>> = item.get_ref().as_array().and_then(|items| items.iter().map(one).collect());
        if all.is_none() {
            self.wrong(item.span().start, name, "text in quotes, or a list of such");
        }
        all.unwrap_or_default()
    }

    /// Names with texts.
    pub(super) fn pairs(&mut self, table: &Table<'_>, name: &str) -> Vec<(usize, String, String)> {
        let Some(item) = table.get(name) else { return Vec::new() };
        let Some(found) = item.get_ref().as_table() else {
            self.wrong(item.span().start, name, "a table of names with texts");
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (key, value) in found {
            match value.get_ref().as_str() {
                Some(text) => pairs.push((value.span().start, key.get_ref().to_string(), text.to_owned())),
                None => self.wrong(value.span().start, key.get_ref(), "text in quotes"),
            }
        }
        pairs
    }

    pub(super) fn table<'d, 'a>(&mut self, table: &'d Table<'a>, name: &str) -> Option<(usize, &'d Table<'a>)> {
        let item = table.get(name)?;
        let found = item.get_ref().as_table();
        if found.is_none() {
            self.wrong(item.span().start, name, &format!("a section `[{name}]`"));
        }
        found.map(|found| (item.span().start, found))
    }

    pub(super) fn tables<'d, 'a>(&mut self, table: &'d Table<'a>, name: &str) -> Vec<(usize, &'d Table<'a>)> {
        let Some(item) = table.get(name) else { return Vec::new() };
        let one = |item: &'d toml::Spanned<DeValue<'a>>| Some((item.span().start, item.get_ref().as_table()?));
        let found: Option<Vec<_>> = item.get_ref().as_array().and_then(|items| items.iter().map(one).collect());
        if found.is_none() {
            self.wrong(item.span().start, name, &format!("sections `[[{name}]]`"));
        }
        found.unwrap_or_default()
    }
}
