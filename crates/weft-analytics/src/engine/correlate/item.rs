//! One event, or one occurrence of a correlation below, as a group remembers it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::pool::{Pool, TextId};

/// 128 bits of an event's uid: the uid itself where it is one, else its hash.
pub(crate) type Id = (u64, u64);

/// How the uid of an item is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Name {
    /// 32 hexadecimal digits: the id itself.
    Hex,
    /// The same with the hyphens of a UUID.
    Uuid,
    /// Any other text.
    Text(TextId),
    /// An occurrence of the correlation below, in the group of this key.
    Below(TextId),
}

/// What a group remembers: 72 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Event time in milliseconds.
    pub(crate) time: i64,
    /// Identity.
    pub(crate) id: Id,
    /// How the identity is written.
    pub(crate) name: Name,
    /// Class of the event.
    pub(crate) class: u32,
    /// Which of the correlation's rules it met.
    pub(crate) member: u32,
    /// The counted value as a text of the pool, or a number in thousandths.
    pub(crate) value: i64,
    /// Of an occurrence, when its window begins.
    pub(crate) from: i64,
    /// Further fields that correlations above ask for.
    pub(crate) carried: TextId,
    /// What it is about.
    pub(crate) entities: TextId,
}

impl Item {
    /// INVARIANT: the order does not depend on the order of arrival.
    pub(crate) fn order(&self) -> (i64, u32, Id) {
        (self.time, self.member, self.id)
    }

    /// Lets go of its texts.
    pub(crate) fn release(&self, pool: &mut Pool, counts_values: bool) {
        if let Name::Text(id) | Name::Below(id) = self.name {
            pool.release(id);
        }
        if counts_values {
            pool.release(u32::try_from(self.value).unwrap_or(0));
        }
        pool.release(self.carried);
        pool.release(self.entities);
    }

    /// The uid as it was written.
    pub(crate) fn uid(&self, pool: &Pool) -> String {
        uid_of(self.id, self.name, pool)
    }
}

/// A uid as it was written.
pub(crate) fn uid_of((high, low): Id, name: Name, pool: &Pool) -> String {
    match name {
        Name::Hex => format!("{high:016x}{low:016x}"),
        Name::Uuid => format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff),
        Name::Text(id) | Name::Below(id) => pool.text(id).to_owned(),
    }
}

/// A uid before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uid<'a> {
    /// It is 128 bits.
    Bits(Id, bool),
    /// It is another text.
    Text(Id, &'a str),
}

impl<'a> Uid<'a> {
    /// Recognises lower-case hexadecimal and UUIDs, which most uids are.
    pub(crate) fn read(text: &'a str) -> Self {
        match (hex(text, false), hex(text, true)) {
            (Some(id), _) => Self::Bits(id, false),
            (_, Some(id)) => Self::Bits(id, true),
            _ => Self::Text(hash(&[text]), text),
        }
    }

    /// Its 128 bits.
    pub(crate) fn id(&self) -> Id {
        match self {
            Self::Bits(id, _) | Self::Text(id, _) => *id,
        }
    }

    /// Keeps it.
    pub(crate) fn name(&self, pool: &mut Pool) -> Name {
        match self {
            Self::Bits(_, false) => Name::Hex,
            Self::Bits(_, true) => Name::Uuid,
            Self::Text(_, text) => Name::Text(pool.hold(text)),
        }
    }
}

fn hex(text: &str, hyphens: bool) -> Option<Id> {
    if text.len() != if hyphens { 36 } else { 32 } {
        return None;
    }
    let (mut bits, mut digits) = (0_u128, 0);
    for (at, byte) in text.bytes().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'-' if hyphens && matches!(at, 8 | 13 | 18 | 23) => continue,
            _ => return None,
        };
        bits = bits << 4 | u128::from(digit);
        digits += 1;
    }
    (digits == 32).then_some(((bits >> 64) as u64, bits as u64))
}

/// 128 bits of texts; the same on every machine and at every start.
pub(crate) fn hash(parts: &[&str]) -> Id {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let bits = u128::from_be_bytes(bytes);
    ((bits >> 64) as u64, bits as u64)
}

/// An id as 32 hexadecimal digits.
pub(crate) fn digits(id: Id) -> String {
    let mut text = String::with_capacity(32);
    let _infallible = write!(text, "{:016x}{:016x}", id.0, id.1);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_come_back_as_they_were() {
        let mut pool = Pool::default();
        for text in [
            "00112233445566778899aabbccddeeff",
            "0e95725d-7320-415d-80f7-004da920fc11",
            "0E95725D-7320-415D-80F7-004DA920FC11",
            "id-1",
            "0e95725d7320-415d-80f7-004da920fc1122",
        ] {
            let uid = Uid::read(text);
            let item = Item { time: 0, id: uid.id(), name: uid.name(&mut pool), class: 0, member: 0, value: 0, from: 0, carried: 0, entities: 0 };
            assert_eq!(item.uid(&pool), text);
        }
        assert!(matches!(Uid::read("0e95725d-7320-415d-80f7-004da920fc11"), Uid::Bits(_, true)));
    }
}
