//! Modifiers of a field: how its values are spelled and compared.
//!
//! <https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-appendix-modifiers.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fault;
use super::pattern::{self, Network, Order, Place, Test, TimePart};
use super::yaml::{Node, Yaml};

/// Spellings of one value with dashes; a command line switch has one or two.
const SPELLINGS_MAX: usize = 3_125;
const KNOWN: &str = "contains, startswith, endswith, all, cased, windash, re, i, m, s, cidr, exists, fieldref, expand, base64, base64offset, utf16, utf16le, utf16be, wide, lt, lte, gt, gte, neq, minute, hour, day, week, month, year";

/// The modifiers of one field, read.
#[derive(Debug, Default)]
pub(super) struct Modifiers {
    pub(super) place: Option<Place>,
    pub(super) all: bool,
    pub(super) negated: bool,
    pub(super) expand: bool,
    cased: bool,
    kind: Kind,
    flags: String,
    recode: Vec<Recode>,
    part: Option<TimePart>,
}

#[derive(Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Literal,
    Regex,
    Cidr,
    Exists,
    Compare(Order),
    Field,
}

/// A change of spelling, in the order written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Recode {
    Windash,
    Little,
    Big,
    Marked,
    Base64,
    Base64Offset,
}

pub(super) fn read<'a>(names: impl Iterator<Item = &'a str>, line: u64) -> Result<Modifiers, Fault> {
    let mut found = Modifiers::default();
    for name in names {
        match name {
            "contains" => found.place = Some(Place::Inside),
            "startswith" => found.place = Some(Place::Start),
            "endswith" => found.place = Some(Place::End),
            "all" => found.all = true,
            "neq" => found.negated = true,
            "expand" => found.expand = true,
            "cased" => found.cased = true,
            "windash" => found.recode.push(Recode::Windash),
            "wide" | "utf16le" => found.recode.push(Recode::Little),
            "utf16be" => found.recode.push(Recode::Big),
            "utf16" => found.recode.push(Recode::Marked),
            "base64" => found.recode.push(Recode::Base64),
            "base64offset" => found.recode.push(Recode::Base64Offset),
            "re" => found.kind = Kind::Regex,
            "i" | "m" | "s" if found.kind == Kind::Regex => found.flags.push_str(name),
            "i" | "m" | "s" => return Err(Fault::at(line, format!("the modifier `{name}` must follow `re`"))),
            "cidr" => found.kind = Kind::Cidr,
            "exists" => found.kind = Kind::Exists,
            "lt" => found.kind = Kind::Compare(Order::Less),
            "lte" => found.kind = Kind::Compare(Order::LessOrEqual),
            "gt" => found.kind = Kind::Compare(Order::Greater),
            "gte" => found.kind = Kind::Compare(Order::GreaterOrEqual),
            "fieldref" => found.kind = Kind::Field,
            other => match TimePart::of(other) {
                Some(part) => found.part = Some(part),
                None => return Err(Fault::at(line, format!("the modifier `{other}` is not known; known are {KNOWN}"))),
            },
        }
    }
    let mixed = match found.kind {
        Kind::Literal => None,
        Kind::Regex | Kind::Cidr | Kind::Exists | Kind::Compare(_) if found.place.is_some() => Some("`contains`, `startswith` and `endswith` are for texts"),
        Kind::Field => (!found.recode.is_empty()).then_some("`fieldref` compares with another field, which is not spelled differently"),
        _ => (!found.recode.is_empty()).then_some("encodings are for texts"),
    };
    match mixed {
        Some(reason) => Err(Fault::at(line, format!("these modifiers do not go together: {reason}"))),
        None => Ok(found),
    }
}

/// The tests of one value; several only where a modifier spells it in several ways.
pub(super) fn tests(asked: &Modifiers, keyword: bool, text: Option<&str>, item: &Node) -> Result<Vec<Test>, Fault> {
    let Some(text) = text else { return Ok(vec![Test::Absent]) };
    let place = asked.place.unwrap_or(if keyword { Place::Inside } else { Place::Whole });
    let wrong = |what: &str| Fault::at(item.line, format!("`{text}` is not {what}"));
    let number = || text.trim().parse::<f64>().map(f64::to_bits).map_err(|_| wrong("a number"));
    if let Some(part) = asked.part {
        let order = if let Kind::Compare(order) = asked.kind { order } else { Order::Equal };
        return Ok(vec![Test::Time(part, order, number()?)]);
    }
    Ok(vec![match &asked.kind {
        Kind::Literal if asked.recode.is_empty() => pattern::literal(text, place, asked.cased),
        Kind::Literal => return spelled(asked, text, place).map_err(|reason| Fault::at(item.line, reason)),
        Kind::Regex => Test::Regex(pattern::regex(text, &asked.flags).map_err(|reason| Fault::at(item.line, reason))?),
        Kind::Cidr => Test::Cidr(Network::parse(text).ok_or_else(|| wrong("a network such as 192.0.2.0/24"))?),
        Kind::Exists => match &item.value {
            Yaml::Bool(true) => Test::Present,
            Yaml::Bool(false) => Test::Absent,
            _ => return Err(wrong("true or false, which `exists` needs")),
        },
        Kind::Compare(order) => Test::Compare(*order, number()?),
        Kind::Field => Test::Field { place: asked.place.unwrap_or(Place::Whole), other: text.into(), cased: asked.cased },
    }])
}

/// A value in all its spellings. What is only dashed keeps its wildcards; what is encoded has none.
fn spelled(asked: &Modifiers, text: &str, place: Place) -> Result<Vec<Test>, String> {
    if asked.recode.iter().all(|step| *step == Recode::Windash) {
        return Ok(windash(text)?.iter().map(|spelled| pattern::literal(spelled, place, asked.cased)).collect());
    }
    let Some(plain) = pattern::plain(text) else { return Err(format!("`{text}` holds a wildcard, which cannot be encoded; escape it with `\\`")) };
    let mut all = vec![plain.into_bytes()];
    for step in &asked.recode {
        all = all.into_iter().map(|bytes| recoded(*step, bytes)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    }
    // Bytes that are no text stand for the characters of the same number, as tools show them.
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|broken| broken.into_bytes().into_iter().map(char::from).collect());
    Ok(all.into_iter().map(|bytes| pattern::exact(&text(bytes), place, asked.cased)).collect())
}

fn recoded(step: Recode, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let text = || String::from_utf8_lossy(&bytes).into_owned();
    let wide = |swap: fn(u16) -> [u8; 2]| text().encode_utf16().flat_map(swap).collect::<Vec<u8>>();
    Ok(match step {
        Recode::Windash => windash(&text())?.into_iter().map(String::into_bytes).collect(),
        Recode::Little => vec![wide(u16::to_le_bytes)],
        Recode::Big => vec![wide(u16::to_be_bytes)],
        Recode::Marked => vec![[&[0xff, 0xfe], wide(u16::to_le_bytes).as_slice()].concat(), [&[0xfe, 0xff], wide(u16::to_be_bytes).as_slice()].concat()],
        Recode::Base64 => vec![STANDARD.encode(&bytes).into_bytes()],
        Recode::Base64Offset => (0..3).map(|offset| base64_at(&bytes, offset)).collect(),
    })
}

/// What of the base64 of a longer text is sure to be there, when `bytes` begin `offset` bytes into a
/// group of three: characters that neighbours take part in are cut off.
fn base64_at(bytes: &[u8], offset: usize) -> Vec<u8> {
    let encoded = STANDARD.encode([b"   ".get(..offset).unwrap_or_default(), bytes].concat());
    let from = [0, 2, 3].get(offset).copied().unwrap_or(0);
    let cut = [0, 3, 2].get((bytes.len() + offset) % 3).copied().unwrap_or(0);
    encoded.as_bytes().get(from..encoded.len().saturating_sub(cut)).unwrap_or_default().to_vec()
}

/// The spellings of a command line switch: each `-` that begins a word also as `/` and as the three
/// longer dashes, each on its own.
fn windash(value: &str) -> Result<Vec<String>, String> {
    const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];
    let mut all = vec![String::new()];
    let mut before = ' ';
    for c in value.chars() {
        if c == '-' && !before.is_alphanumeric() && before != '_' {
            all = all.iter().flat_map(|begun| DASHES.map(|dash| format!("{begun}{dash}"))).collect();
        } else {
            all.iter_mut().for_each(|begun| begun.push(c));
        }
        before = c;
        if all.len() > SPELLINGS_MAX {
            return Err(format!("`{value}` has more than {SPELLINGS_MAX} spellings with other dashes; split it"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes() {
        assert_eq!(windash(" -a b-c").unwrap(), [" -a b-c", " /a b-c", " –a b-c", " —a b-c", " ―a b-c"]);
        assert_eq!(windash("-a -b").unwrap().len(), 25);
        assert!(windash(&"-a ".repeat(9)).is_err());
    }

    #[test]
    fn base64_is_found_at_every_offset() {
        let needle = b"/bin/bash";
        for offset in 0..3 {
            let whole = STANDARD.encode([&b"xyz"[..offset], needle, b"tail"].concat());
            let part = String::from_utf8(base64_at(needle, offset)).unwrap();
            assert!(part.len() > 8 && whole.contains(&part), "{whole} {part}");
        }
    }
}
