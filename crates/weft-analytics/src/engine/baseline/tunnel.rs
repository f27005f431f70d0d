//! Names below one registered domain that carry data: many, long, and like noise.
//!
//! Shannon entropy of the characters below the registered domain; the domain by the public suffix
//! list. Thresholds follow K. Born and D. Gustafson, *Detecting DNS Tunnels Using Character
//! Frequency Analysis* (2010): words of a language stay near 2.5 to 3 bits a character at this
//! length, encoded data above.

use serde::{Deserialize, Serialize};

use super::entity::EntityState;
use super::{Held, Mark, Memory, Verdict, digest, shown};
use crate::sigma::behaviour::{Behaviour, BehaviourKind};

/// Events that are named as evidence.
const MARKS_MAX: usize = 4;

/// The names of one domain in the present stretch of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Names {
    stretch: i64,
    told: bool,
    /// Different names, up to as many as are asked for.
    known: Vec<u64>,
    queries: u32,
    bytes: u64,
    /// Entropy times length, in bits.
    bits: f64,
    /// The largest number of different names of an earlier stretch.
    usual: u32,
    pub(super) marks: Vec<Mark>,
}

/// The registered domain of a name and what stands before it.
pub(super) fn registered(name: &str) -> Option<(&str, &str)> {
    let name = name.trim_end_matches('.');
    let domain = psl::domain_str(name)?;
    let before = name.strip_suffix(domain)?.trim_end_matches('.');
    (!before.is_empty()).then_some((domain, before))
}

/// Bits a character.
fn entropy(text: &str) -> f64 {
    let (mut counts, mut all) = ([0_u32; 256], 0.0);
    for byte in text.bytes().filter(|byte| *byte != b'.') {
        if let Some(count) = counts.get_mut(usize::from(byte.to_ascii_lowercase())) {
            *count += 1;
        }
        all += 1.0;
    }
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all).map(|share| -share * share.log2()).sum()
}

pub(super) fn judge(asked: &Behaviour, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let BehaviourKind::Tunnel { every_ms, names, entropy: least, bytes, .. } = asked.kind else { return None };
    let name = memory.pool.text(held.value).to_owned();
    let (domain, before) = registered(&name)?;
    let (stretch, mark) = (held.time.div_euclid(every_ms), memory.mark(held));
    let Some(EntityState::Names(known)) = memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) else { return None };
    if stretch != known.stretch {
        let usual = known.usual.max(u32::try_from(known.known.len()).unwrap_or(u32::MAX));
        let old = std::mem::replace(known, Box::new(Names { stretch, usual, ..Names::default() }));
        old.marks.iter().for_each(|mark| mark.release(&mut memory.pool));
    }
    known.marks.push(mark);
    if known.marks.len() > MARKS_MAX {
        known.marks.remove(0).release(&mut memory.pool);
    }
    known.queries = known.queries.saturating_add(1);
    let id = digest(&[before]);
    if known.known.len() < names && !known.known.contains(&id) {
        known.known.push(id);
        known.bytes += before.len() as u64;
        known.bits += entropy(before) * before.len() as f64;
    }
    let mean = known.bits / known.bytes.max(1) as f64;
    if known.told || known.known.len() < names || mean * 1_000.0 < least as f64 || known.bytes < bytes as u64 {
        return None;
    }
    known.told = true;
    let before = known.marks.clone();
    let (count, length) = (known.known.len(), known.bytes as f64 / known.known.len() as f64);
    let mut words = vec![
        format!("tunnel: {count} names below {domain} within {} min, {} queries", every_ms / 60_000, known.queries),
        format!("measured: {mean:.2} bits a character, {length:.0} characters a name, {} bytes", known.bytes),
        format!("baseline: at most {} names in an earlier stretch", known.usual),
    ];
    words.push(format!("asked by {}", shown(memory.entities.name(held.entity))));
    Some(Verdict { words, before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parted_at_the_registered_domain() {
        assert_eq!(registered("a.b.example.co.uk."), Some(("example.co.uk", "a.b")));
        assert_eq!(registered("example.com"), None);
        assert_eq!(registered("com"), None);
        assert!(entropy("aaaa") < 0.01 && (entropy("abcd") - 2.0).abs() < 1e-9);
        assert!(entropy("mzxw6ytboi2dgnjtgq3tsobr") > 3.5 && entropy("www.static") < 3.2);
    }
}
