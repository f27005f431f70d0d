//! Lists of what is often reported and never bad, in the format of MISP's warning lists
//! (<https://github.com/MISP/misp-warninglists>): a value that is on one is no indicator.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::value::Network;
use super::{Gap, Kind, Value};

/// Most bytes of a list.
pub const LIST_BYTES_MAX: usize = 64 << 20;
/// Most entries of a list.
const ENTRIES_MAX: usize = 5_000_000;
/// Memory of one compiled expression, bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// One list as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct List {
    /// Its name.
    pub name: String,
    /// How its entries are compared.
    #[serde(rename = "type")]
    pub how: How,
    /// The entries.
    pub list: Vec<String>,
    /// MISP's types of attributes that it is for; all when there are none.
    #[serde(default)]
    pub matching_attributes: Vec<String>,
}

/// How the entries of a list are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The same value.
    String,
    /// The entry stands somewhere in the value.
    Substring,
    /// The same host, or one below it.
    Hostname,
    /// An address within.
    Cidr,
    /// An expression holds.
    Regex,
}

/// Reads one list.
///
/// # Errors
/// Why it is none.
pub fn parse(bytes: &[u8]) -> Result<List, String> {
    if bytes.len() > LIST_BYTES_MAX {
        return Err(format!("is longer than {LIST_BYTES_MAX} bytes"));
    }
    let list: List = serde_json::from_slice(bytes).map_err(|error| format!("is no warning list: {error}"))?;
    if list.list.len() > ENTRIES_MAX {
        return Err(format!("has more than {ENTRIES_MAX} entries"));
    }
    Ok(list)
}

/// Kinds as bits.
fn kinds(attributes: &[String]) -> u16 {
    let all =
        attributes.iter().flat_map(|attribute| attribute.split('|')).fold(0, |kinds, attribute| kinds | super::read::misp::kind(attribute).map_or(0, bit));
    match (all, attributes.is_empty()) {
        (_, true) => u16::MAX,
        (kinds, false) => kinds,
    }
}

fn bit(kind: Kind) -> u16 {
    1 << kind.number()
}

/// Several lists, ready to be asked.
#[derive(Debug, Default)]
pub struct Lists {
    names: Vec<String>,
    kinds: Vec<u16>,
    /// Texts in lower case, and what kind of comparison they are for.
    strings: HashMap<String, Vec<usize>>,
    hosts: HashMap<String, Vec<usize>>,
    /// By prefix length, the longest first.
    networks: BTreeMap<u8, HashMap<u128, Vec<usize>>>,
    substrings: Option<(AhoCorasick, Vec<usize>)>,
    regexes: Vec<(Regex, usize)>,
    gaps: Vec<Gap>,
}

impl Lists {
    /// Compiles lists; what of them cannot be used is a gap.
    pub fn of(lists: Vec<List>) -> Self {
        let (mut all, mut parts) = (Self::default(), Vec::new());
        for list in lists {
            let number = all.names.len();
            all.names.push(list.name.clone());
            all.kinds.push(kinds(&list.matching_attributes));
            for entry in list.list.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()) {
                match list.how {
                    How::String => all.string(entry, number),
                    How::Hostname => {
                        let host = entry.trim_start_matches("*.").trim_matches('.').to_lowercase();
                        all.hosts.entry(host).or_default().push(number);
                    }
                    How::Cidr => all.network(entry, number, &list.name),
                    How::Substring => parts.push((entry.to_lowercase(), number)),
                    How::Regex => all.regex(entry, number, &list.name),
                }
            }
        }
        let (texts, numbers): (Vec<String>, Vec<usize>) = parts.into_iter().unzip();
        if !texts.is_empty() {
            match AhoCorasick::new(&texts) {
                Ok(automaton) => all.substrings = Some((automaton, numbers)),
                Err(error) => all.gaps.push(Gap::new("substring", format!("the entries cannot be searched for: {error}"))),
            }
        }
        all
    }

    fn string(&mut self, entry: &str, number: usize) {
        // Addresses and domains are compared in canonical form, whatever the list writes.
        let canonical = Network::parse(entry).map(|network| network.to_string());
        self.strings.entry(canonical.unwrap_or_else(|| entry.to_lowercase())).or_default().push(number);
    }

    fn network(&mut self, entry: &str, number: usize, list: &str) {
        match Network::parse(entry) {
            Some(network) => self.networks.entry(network.prefix).or_default().entry(network.base).or_default().push(number),
            None => self.gaps.push(Gap::new(list, format!("`{entry}` is no network"))),
        }
    }

    /// `/…/i` as it is written in other languages.
    fn regex(&mut self, entry: &str, number: usize, list: &str) {
        let (body, flags) = match entry.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) {
            Some((body, flags)) => (body, flags),
            None => (entry, ""),
        };
        let mut builder = RegexBuilder::new(&body.replace("\\@", "@").replace("\\/", "/"));
        match builder.case_insensitive(flags.contains('i')).size_limit(REGEX_BYTES_MAX).build() {
            Ok(regex) => self.regexes.push((regex, number)),
            Err(error) => {
                let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
                self.gaps.push(Gap::new(list, format!("the expression `{entry}` cannot be used: {reason}")));
            }
        }
    }

    /// Names of the lists.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What of the lists could not be used.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The list that a value is on; a URL also when its host is, where the list compares hosts.
    pub fn on(&self, value: &Value) -> Option<usize> {
        let found = |numbers: &Vec<usize>| numbers.iter().copied().find(|number| self.is_for(*number, value.kind));
        if let Some(number) = self.strings.get(value.text.to_lowercase().as_str()).and_then(found) {
            return Some(number);
        }
        let host = match value.kind {
            Kind::Domain => Some(value.text.clone()),
            Kind::Url => value.within().filter(|host| host.kind == Kind::Domain).map(|host| host.text),
            _ => None,
        };
        if let Some(number) = host.as_deref().and_then(|host| names_above(host).find_map(|name| self.hosts.get(name).and_then(found))) {
            return Some(number);
        }
        if let Some(network) = value.network()
            && let Some(number) = self.within(network).and_then(found)
        {
            return Some(number);
        }
        if let Some((automaton, numbers)) = &self.substrings {
            let lower = value.text.to_lowercase();
            let mut hits = automaton.find_overlapping_iter(&lower).filter_map(|hit| numbers.get(hit.pattern().as_usize()).copied());
            if let Some(number) = hits.find(|number| self.is_for(*number, value.kind)) {
                return Some(number);
            }
        }
        self.regexes.iter().find(|(regex, number)| self.is_for(*number, value.kind) && regex.is_match(&value.text)).map(|(_, number)| *number)
    }

    fn is_for(&self, number: usize, kind: Kind) -> bool {
        self.kinds.get(number).is_some_and(|kinds| kinds & bit(kind) != 0)
    }

    /// Who lists a network that holds all of this one.
    fn within(&self, network: Network) -> Option<&Vec<usize>> {
        let mut around = self.networks.range(..=network.prefix).rev();
        around.find_map(|(prefix, same)| same.get(&Network::around(network.base, *prefix).base))
    }
}

fn names_above(host: &str) -> impl Iterator<Item = &str> {
    std::iter::once(0).chain(host.match_indices('.').map(|(at, _)| at + 1)).filter_map(|at| host.get(at..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        let list = |how: &str, entries: &str, attributes: &str| {
            parse(format!(r#"{{"name":"{how}","type":"{how}","version":1,"list":[{entries}],"matching_attributes":[{attributes}]}}"#).as_bytes()).unwrap()
        };
        Lists::of(vec![
            list("string", r#""d41d8cd98f00b204e9800998ecf8427e","www.known.example""#, r#""md5","domain""#),
            list("hostname", r#"".good.example","bank.example""#, r#""domain","url""#),
            list("cidr", r#""8.8.8.8/32","10.0.0.0/8","2001:db8::/32","broken""#, r#""ip-src""#),
            list("substring", r#""mailinator""#, r#""email-src""#),
            list("regex", r#""/^(soc|abuse)\\@.*$/i","/(?=x)/""#, ""),
        ])
    }

    fn on(kind: Kind, text: &str) -> Option<String> {
        let lists = lists();
        lists.on(&Value::observed(kind, text).unwrap()).and_then(|number| lists.names().get(number).cloned())
    }

    #[test]
    fn each_way_of_comparing_has_its_opposite() {
        for (kind, text, list) in [
            (Kind::Hash, "D41D8CD98F00B204E9800998ECF8427E", Some("string")),
            (Kind::Ja3, "d41d8cd98f00b204e9800998ecf8427e", None),
            (Kind::Domain, "www.known.example", Some("string")),
            (Kind::Domain, "a.www.known.example", None),
            (Kind::Domain, "a.good.example", Some("hostname")),
            (Kind::Domain, "notgood.example", None),
            (Kind::Url, "https://www.bank.example/login", Some("hostname")),
            (Kind::Ip, "8.8.8.8", Some("cidr")),
            (Kind::Ip, "8.8.8.9", None),
            (Kind::Ip, "10.1.0.0/16", Some("cidr")),
            (Kind::Ip, "8.0.0.0/8", None),
            (Kind::Ip, "2001:db8::7", Some("cidr")),
            (Kind::Email, "x@mailinator.com", Some("substring")),
            (Kind::Domain, "mailinator.com", None),
            (Kind::Email, "Abuse@any.example", Some("regex")),
        ] {
            assert_eq!(on(kind, text).as_deref(), list, "{text}");
        }
        let gaps: Vec<String> = lists().gaps().iter().map(|gap| gap.reason.clone()).collect();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
    }
}
