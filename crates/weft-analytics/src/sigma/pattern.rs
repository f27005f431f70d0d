//! What one value of a rule asks of one field.

use std::net::IpAddr;

pub use super::regular::{Expression, regex};
pub use super::timepart::TimePart;

/// A question to one value of a field; equal questions are asked once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// Compares with a literal.
    Literal {
        /// Where in the value.
        place: Place,
        /// The literal; lower case unless `cased`.
        text: Box<str>,
        /// Whether case counts.
        cased: bool,
    },
    /// Compares with a literal that has wildcards in the middle.
    Glob {
        /// The literal; lower case unless `cased`.
        pieces: Vec<Piece>,
        /// Whether case counts.
        cased: bool,
    },
    /// Searches with a regular expression.
    Regex(Expression),
    /// An address in a network.
    Cidr(Network),
    /// Compares as a number; the bound as bits of an `f64`.
    Compare(Order, u64),
    /// Compares a part of a time, in UTC; the number as bits of an `f64`.
    Time(TimePart, Order, u64),
    /// The field is there.
    Present,
    /// The field is not there.
    Absent,
    /// Compares with another field of the same event.
    Field {
        /// Where in the value.
        place: Place,
        /// The other field, as the rule names it.
        other: Box<str>,
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
    /// Without a word.
    Equal,
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
            Self::Equal => value == bound,
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
        text.trim().parse().is_ok_and(|address| self.has(address))
    }

    /// Whether `address` lies inside.
    pub fn has(&self, address: IpAddr) -> bool {
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

/// A piece of a value with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// This text.
    Text(Box<str>),
    /// `*`
    Any,
    /// `?`
    One,
}

/// A value with Sigma's wildcards (`*`, `?`, escaped by `\`) as a test; `place` comes from the
/// modifiers.
pub fn literal(value: &str, place: Place, cased: bool) -> Test {
    let mut pieces = split(value);
    if matches!(place, Place::Inside | Place::End) {
        pieces.insert(0, Piece::Any);
    }
    if matches!(place, Place::Inside | Place::Start) {
        pieces.push(Piece::Any);
    }
    pieces.dedup_by(|a, b| matches!((a, b), (Piece::Any, Piece::Any)));
    let fold = |text: &str| if cased { text.into() } else { text.to_lowercase().into() };
    let (place, text): (Place, Box<str>) = match pieces.as_slice() {
        [] => (Place::Whole, "".into()),
        [Piece::Any] => return Test::Present,
        [Piece::Text(text)] => (Place::Whole, fold(text)),
        [Piece::Any, Piece::Text(text)] => (Place::End, fold(text)),
        [Piece::Text(text), Piece::Any] => (Place::Start, fold(text)),
        [Piece::Any, Piece::Text(text), Piece::Any] => (Place::Inside, fold(text)),
        _ => {
            let folded = pieces.into_iter().map(|piece| if let Piece::Text(text) = piece { Piece::Text(fold(&text)) } else { piece });
            return Test::Glob { pieces: folded.collect(), cased };
        }
    };
    Test::Literal { place, text, cased }
}

/// A text without wildcards as a test.
pub fn exact(text: &str, place: Place, cased: bool) -> Test {
    Test::Literal { place, text: if cased { text.into() } else { text.to_lowercase().into() }, cased }
}

/// The text of a value without its escapes; `None` where it holds a wildcard.
pub fn plain(value: &str) -> Option<String> {
    match split(value).as_slice() {
        [] => Some(String::new()),
        [Piece::Text(text)] => Some(text.to_string()),
        _ => None,
    }
}

/// A backslash escapes `*`, `?` and itself; before anything else it is a backslash.
fn split(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let piece = match c {
            '\\' => {
                text.push(chars.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or(c));
                continue;
            }
            '*' => Piece::Any,
            '?' => Piece::One,
            _ => {
                text.push(c);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text).into()));
        }
        pieces.push(piece);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    pieces
}

/// Whether the pieces can be filled so that they are `value`. Goes back to the last `*` only, so
/// that the work is at most the product of both lengths.
pub fn glob(pieces: &[Piece], value: &str) -> bool {
    let (mut at, mut rest) = (0, value);
    let mut star: Option<(usize, &str)> = None;
    loop {
        let ahead = match pieces.get(at) {
            Some(Piece::Any) => {
                if at + 1 == pieces.len() {
                    return true;
                }
                star = Some((at + 1, rest));
                Some(rest)
            }
            Some(Piece::One) => {
                let mut chars = rest.chars();
                chars.next().map(|_| chars.as_str())
            }
            Some(Piece::Text(text)) => rest.strip_prefix(&**text),
            None if rest.is_empty() => return true,
            None => None,
        };
        if let Some(ahead) = ahead {
            (at, rest) = (at + 1, ahead);
            continue;
        }
        // Where a text follows the star, its next place is looked for at once.
        let Some((after, from)) = star else { return false };
        let mut chars = from.chars();
        if chars.next().is_none() {
            return false;
        }
        let mut next = chars.as_str();
        if let Some(Piece::Text(text)) = pieces.get(after) {
            let Some(place) = next.find(&**text) else { return false };
            next = next.get(place..).unwrap_or_default();
        }
        star = Some((after, next));
        (at, rest) = (after, next);
    }
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
        assert_eq!(plain("a\\*\\b"), Some("a*\\b".to_owned()));
        assert_eq!(plain("a*b"), None);
    }

    #[test]
    fn wildcards_in_the_middle() {
        let holds = |pattern: &str, value: &str| match literal(pattern, Place::Whole, false) {
            Test::Glob { pieces, .. } => glob(&pieces, value),
            other => panic!("{other:?}"),
        };
        for (pattern, value) in
            [("a?c*e", "abcde"), ("a?c*e", "aécde"), ("a*b*c", "abbc"), ("*ab*ab*", "xababx"), ("a*b?", "abbx"), ("?*b", "ab"), ("a?", "ab")]
        {
            assert!(holds(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [("a?c*e", "abde"), ("a*b*c", "ac"), ("a*b*c", "abcd"), ("*ab*ab*", "xabx"), ("a*b?", "ab"), ("?*b", "b"), ("a?", "a")] {
            assert!(!holds(pattern, value), "{pattern} {value}");
        }
        // Many stars over a long value that never matches must end soon.
        assert!(!holds(&"a*".repeat(40), &format!("{}b", "b".repeat(100_000))));
        assert!(!holds(&format!("{}b", "*a".repeat(40)), &"a".repeat(20_000)));
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
}
