//! Values to cells: what an attribute is, decides; what does not fit is not set.

use std::net::IpAddr;

use bumpalo::Bump;
use weft_model::Timestamp;
use weft_model::ocsf::Enum;

use super::columns::Cell;
use super::program::Convert;
use super::time;
use super::value::Val;

/// OCSF's id for what its enum does not list.
const OTHER: i64 = 99;

/// A cell, and that of its sibling where the value is one of an enum.
pub type Converted<'a> = (Cell<'a>, Option<Cell<'a>>);

impl Convert {
    /// The cell of a value.
    pub fn cell<'a>(&self, value: Val<'a>, received: i64, arena: &'a Bump) -> Option<Converted<'a>> {
        let cell = match self {
            Self::Id(values) => return id(values, value),
            Self::Caption(values) => return caption(values, value.text(arena)?),
            Self::Int => Cell::Int(value.int()?),
            Self::Port => Cell::Int(value.int().filter(|port| (0..=65_535).contains(port))?),
            Self::Float => Cell::Float(value.float()?),
            Self::Bool => Cell::Bool(value.bool()?),
            Self::Time => Cell::Int(timestamp(value, received)?),
            Self::Json => Cell::Text(value.json(arena)?),
            Self::Texts(each) => texts(each, value, received, arena)?,
            Self::Ints => {
                let numbers: Vec<i64> = value.items(arena).iter().filter_map(|item| item.int()).collect();
                Cell::Ints(arena.alloc_slice_copy(&numbers).get(..).filter(|numbers| !numbers.is_empty())?)
            }
            _ => Cell::Text(self.text(value, received, arena)?),
        };
        Some((cell, None))
    }

    fn text<'a>(&self, value: Val<'a>, received: i64, arena: &'a Bump) -> Option<&'a str> {
        if matches!(self, Self::Datetime) {
            return timestamp(value, received).map(|ms| &*arena.alloc_str(&Timestamp(ms).rfc3339()));
        }
        let text = value.text(arena)?;
        let fits = match self {
            Self::Name(values) => return values.names().iter().find(|name| name.eq_ignore_ascii_case(text)).map(|name| &**name),
            Self::Ip => text.parse::<IpAddr>().is_ok(),
            Self::Mac => return mac(text, arena),
            Self::Email => crate::schema::format::is_email(text),
            Self::Subnet => {
                text.split_once('/').is_some_and(|(base, length)| base.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok_and(|length| length <= 128))
            }
            _ => true,
        };
        fits.then_some(text)
    }
}

/// An epoch number is taken at its size; text in any shape. What has no date is no time.
pub fn timestamp(value: Val<'_>, received: i64) -> Option<i64> {
    let found = match value {
        Val::Int(number) => Some(time::epoch(number)),
        Val::Float(number) => time::epoch_float(number),
        Val::Text(text) => time::parse(text, received),
        _ => None,
    };
    found.filter(|ms| Timestamp::DATED.contains(ms))
}

fn id<'a>(values: &'static Enum, value: Val<'a>) -> Option<Converted<'a>> {
    let number = match value.int() {
        Some(number) => number,
        // A caption where an id is wanted is taken as the id it stands for.
        None => values.value_of(value.as_str()?)?,
    };
    let known = values.caption(number).map(|caption| (number, caption));
    let (number, caption) = known.or_else(|| values.caption(OTHER).map(|caption| (OTHER, caption)))?;
    Some((Cell::Int(number), Some(Cell::Text(caption))))
}

fn caption<'a>(values: &'static Enum, text: &'a str) -> Option<Converted<'a>> {
    match values.value_of(text) {
        Some(number) => Some((Cell::Text(values.caption(number).unwrap_or(text)), Some(Cell::Int(number)))),
        None => Some((Cell::Text(text), values.caption(OTHER).map(|_| Cell::Int(OTHER)))),
    }
}

fn texts<'a>(each: &Convert, value: Val<'a>, received: i64, arena: &'a Bump) -> Option<Cell<'a>> {
    let texts: Vec<&'a str> = value.items(arena).iter().filter_map(|item| each.text(*item, received, arena)).collect();
    (!texts.is_empty()).then(|| Cell::Texts(arena.alloc_slice_copy(&texts)))
}

/// Six bytes in hexadecimal, however they are separated, as `aa:bb:cc:dd:ee:ff`.
fn mac<'a>(text: &'a str, arena: &'a Bump) -> Option<&'a str> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let plain = text.len() == 17 && text.bytes().skip(2).step_by(3).all(|byte| byte == b':' || byte == b'-');
    if plain {
        return Some(text);
    }
    let pairs: Vec<&str> = digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    Some(arena.alloc_str(&pairs.join(":")))
}
