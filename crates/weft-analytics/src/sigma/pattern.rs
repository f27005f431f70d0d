//! What one value of a rule asks of one field.

use std::net::IpAddr;

/// A question to one value of a field; equal questions are asked once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// Compares with a literal.
    Literal {
        /// Where in the value.
        place: Place,
        /// The literal; lower case unless `cased`.
        text: String,
        /// Whether case counts.
        cased: bool,
    },
    /// Searches with a regular expression (also for wildcards inside a literal).
    Regex(String),
    /// An address in a network.
    Cidr(Network),
    /// Compares as a number; the bound as bits of an `f64`.
    Compare(Order, u64),
    /// The field is there.
    Present,
    /// The field is not there.
    Absent,
    /// Compares with another field of the same event.
    Field {
        /// Where in the value.
        place: Place,
        /// The other field, as the rule names it.
        other: String,
        /// Whether case counts.
        cased: bool,
    },
}

/// Where a literal must stand in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// It is all of it.
    Whole,
    /// Anywhere.
    Inside,
    /// First.
    Start,
    /// Last.
    End,
}

/// Numeric comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
}

/// An IPv4 or IPv6 network; IPv4 as IPv4-mapped IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    bits: u128,
    mask: u128,
    four: bool,
}

impl Place {
    /// Whether `needle` stands here in `value`.
    pub fn holds(self, value: &str, needle: &str) -> bool {
        match self {
            Self::Whole => value == needle,
            Self::Inside => value.contains(needle),
            Self::Start => value.starts_with(needle),
            Self::End => value.ends_with(needle),
        }
    }
}

impl Order {
    /// Whether `value` is on the asked side of `bound`.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
        }
    }
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.trim().parse().ok()?;
        let (bits, four) = bits(address);
        let width = if four { 32 } else { 128 };
        let length: u32 = length.map_or(Some(width), |length| length.trim().parse().ok()).filter(|length| *length <= width)?;
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        Some(Self { bits: bits & mask, mask, four })
    }

    /// Whether the address that `text` is lies inside.
    pub fn holds(&self, text: &str) -> bool {
        let Ok(address) = text.trim().parse() else { return false };
        let (bits, four) = bits(address);
        four == self.four && bits & self.mask == self.bits
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), true),
        IpAddr::V6(address) => (address.to_bits(), false),
    }
}

enum Part {
    Text(String),
    Any,
    One,
}

/// A value with Sigma's wildcards (`*`, `?`, escaped by `\`) as a test; `place` comes from the
/// modifiers.
pub fn literal(value: &str, place: Place, cased: bool) -> Test {
    let mut parts = split(value);
    if matches!(place, Place::Inside | Place::End) {
        parts.insert(0, Part::Any);
    }
    if matches!(place, Place::Inside | Place::Start) {
        parts.push(Part::Any);
    }
    parts.dedup_by(|a, b| matches!((a, b), (Part::Any, Part::Any)));
    let fold = |text: &str| if cased { text.to_owned() } else { text.to_lowercase() };
    let (place, text) = match parts.as_slice() {
        [] => (Place::Whole, String::new()),
        [Part::Any] => return Test::Present,
        [Part::Text(text)] => (Place::Whole, fold(text)),
        [Part::Any, Part::Text(text)] => (Place::End, fold(text)),
        [Part::Text(text), Part::Any] => (Place::Start, fold(text)),
        [Part::Any, Part::Text(text), Part::Any] => (Place::Inside, fold(text)),
        parts => return Test::Regex(glob(parts, cased)),
    };
    Test::Literal { place, text, cased }
}

/// A backslash escapes `*`, `?` and itself; before anything else it is a backslash.
fn split(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let part = match c {
            '\\' => {
                text.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or(c));
                continue;
            }
            '*' => Part::Any,
            '?' => Part::One,
            _ => {
                text.push(c);
                continue;
            }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(part);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

fn glob(parts: &[Part], cased: bool) -> String {
    let mut source = String::from(if cased { "(?s)^" } else { "(?si)^" });
    for part in parts {
        match part {
            Part::Text(text) => source.push_str(&regex::escape(text)),
            Part::Any => source.push_str(".*"),
            Part::One => source.push('.'),
        }
    }
    source.push('$');
    source
}

/// The spellings of a command line switch: `-`, `/` and the three longer dashes, wherever one
/// begins a word.
pub fn windash(value: &str) -> Vec<String> {
    ['-', '/', '–', '—', '―'].into_iter().fold(vec![value.to_owned()], |mut all, dash| {
        let mut before = ' ';
        let spelled: String = value
            .chars()
            .map(|c| {
                let begins = matches!(c, '-' | '/') && !before.is_alphanumeric() && before != '_';
                before = c;
                if begins { dash } else { c }
            })
            .collect();
        if !all.contains(&spelled) {
            all.push(spelled);
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(place: Place, text: &str) -> Test {
        Test::Literal { place, text: text.into(), cased: false }
    }

    #[test]
    fn wildcards_at_the_ends_are_places() {
        assert_eq!(literal("*\\Cmd.exe", Place::Whole, false), lit(Place::End, "\\cmd.exe"));
        assert_eq!(literal("a*", Place::Whole, false), lit(Place::Start, "a"));
        assert_eq!(literal("*a*", Place::Inside, false), lit(Place::Inside, "a"));
        assert_eq!(literal("a\\*", Place::Whole, false), lit(Place::Whole, "a*"));
        assert_eq!(literal("**", Place::Whole, false), Test::Present);
        assert_eq!(literal("a?c*e", Place::Whole, false), Test::Regex("(?si)^a.c.*e$".into()));
    }

    #[test]
    fn networks() {
        let network = Network::parse("10.0.0.0/8").unwrap();
        assert!(network.holds("10.255.1.2") && network.holds("::ffff:10.0.0.1"));
        assert!(!network.holds("11.0.0.1") && !network.holds("::a00:1") && !network.holds("x"));
        assert!(Network::parse("0.0.0.0/0").unwrap().holds("1.2.3.4"));
        assert!(Network::parse("::/0").unwrap().holds("fe80::1"));
        assert!(Network::parse("10.0.0.0/33").is_none());
    }

    #[test]
    fn dashes() {
        assert_eq!(windash(" -a b-c"), [" -a b-c", " /a b-c", " –a b-c", " —a b-c", " ―a b-c"]);
    }
}
