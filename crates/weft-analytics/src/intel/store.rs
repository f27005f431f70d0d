//! All indicators of all sources, for looking up.
//!
//! ```text
//! exact:    [ hash 96 bits | facts 32 bits ]  in order, 16 bytes an indicator
//! places:   where the entries begin whose hash begins with these bits
//! filter:   whether the hash is there at all, one cache line
//! networks: by length of prefix
//! ```
//! Values are not kept: what is looked up is what was found. Two values that share 96 bits of a keyed
//! hash would be taken for one another; among ten million that happens to one look-up in 10^21.

use super::filter::Filter;
use super::networks::Networks;
use super::value::{Network, number};
use super::{Facts, Kind, Value};

/// Bits of an entry that name the facts.
const FACTS_BITS: u32 = 32;
/// Entries that share a place, on average.
const PLACE_ENTRIES: usize = 32;

/// Facts with the source that states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Name of the source.
    pub source: std::sync::Arc<str>,
    /// What it says.
    pub facts: Facts,
}

/// Indicators on their way into an [`Intel`].
#[derive(Debug, Default)]
pub struct Build {
    exact: Vec<u128>,
    networks: Vec<(Network, u32)>,
    facts: Vec<Held>,
}

impl Build {
    /// Makes room.
    pub fn reserve(&mut self, indicators: usize) {
        self.exact.reserve_exact(indicators);
    }

    /// Takes facts in; the number is for [`add`](Self::add).
    pub fn facts(&mut self, held: Held) -> u32 {
        self.facts.push(held);
        u32::try_from(self.facts.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes an indicator in; `text` is in canonical form.
    pub fn add(&mut self, kind: Kind, text: &str, facts: u32) {
        if kind == Kind::Ip && text.contains('/') {
            self.networks.extend(Network::parse(text).map(|network| (network, facts)));
        } else {
            self.exact.push(entry(super::value::hash(kind, text), facts));
        }
    }

    /// Done: what is asked from now on.
    pub fn finish(self) -> Intel {
        let Self { mut exact, networks, facts } = self;
        exact.sort_unstable();
        exact.dedup();
        exact.shrink_to_fit();
        let filter = Filter::of(exact.len(), exact.iter().copied());
        let bits = (exact.len() / PLACE_ENTRIES).max(1).ilog2();
        let mut places = Vec::with_capacity((1 << bits) + 1);
        places.push(0);
        for place in 1..(1_u128 << bits) {
            let from = places.last().map_or(0, |from: &u32| *from as usize);
            let rest = exact.get(from..).unwrap_or_default();
            // Neighbours are near: what is counted here is counted once.
            let within = rest.iter().take_while(|entry| bits_of(**entry, bits) < place).count();
            places.push(u32::try_from(from + within).unwrap_or(u32::MAX));
        }
        places.push(u32::try_from(exact.len()).unwrap_or(u32::MAX));
        Intel { exact, places, bits, filter, networks: Networks::of(networks), facts }
    }
}

fn entry(hash: u128, facts: u32) -> u128 {
    (hash >> FACTS_BITS << FACTS_BITS) | u128::from(facts)
}

fn bits_of(entry: u128, bits: u32) -> u128 {
    if bits == 0 { 0 } else { entry >> (128 - bits) }
}

/// All indicators, unchanging: another one takes its place as a whole.
#[derive(Debug, Default)]
pub struct Intel {
    exact: Vec<u128>,
    places: Vec<u32>,
    bits: u32,
    filter: Filter,
    networks: Networks,
    facts: Vec<Held>,
}

/// Size of an [`Intel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Exact indicators.
    pub exact: usize,
    /// Their bytes.
    pub exact_bytes: usize,
    /// Bytes of filter and places.
    pub filter_bytes: usize,
    /// Networks.
    pub networks: usize,
    /// Their bytes.
    pub network_bytes: usize,
}

impl Intel {
    /// Whether nothing can match.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.networks.len() == 0
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        Size {
            exact: self.exact.len(),
            exact_bytes: size_of_val(self.exact.as_slice()),
            filter_bytes: self.filter.bytes() + size_of_val(self.places.as_slice()),
            networks: self.networks.len(),
            network_bytes: self.networks.bytes(),
        }
    }

    /// Facts by number.
    pub fn held(&self, facts: u32) -> Option<&Held> {
        self.facts.get(facts as usize)
    }

    /// Every indicator that an observed value meets: itself, its longest network, the domains above
    /// it. `each` gets the indicator and the number of the facts.
    pub fn meets(&self, value: &Value, each: &mut dyn FnMut(Kind, &str, u32)) {
        match value.kind {
            Kind::Domain => {
                for name in value.domains() {
                    self.exact(Kind::Domain, name, each);
                }
            }
            Kind::Ip => {
                self.exact(Kind::Ip, &value.text, each);
                if self.networks.len() > 0
                    && let Ok(address) = value.text.parse().map(number)
                    && let Some((network, all)) = self.networks.longest(address)
                {
                    let text = network.to_string();
                    all.for_each(|facts| each(Kind::Ip, &text, facts));
                }
            }
            kind => self.exact(kind, &value.text, each),
        }
    }

    /// Whether just this indicator is held, a network too.
    pub fn holds(&self, value: &Value) -> bool {
        match value.network().filter(|network| !network.is_address()) {
            Some(network) => self.networks.exactly(network).next().is_some(),
            None => !self.entries(value.hash()).is_empty(),
        }
    }

    fn exact(&self, kind: Kind, text: &str, each: &mut dyn FnMut(Kind, &str, u32)) {
        for entry in self.entries(super::value::hash(kind, text)) {
            each(kind, text, (*entry & u128::from(u32::MAX)) as u32);
        }
    }

    fn entries(&self, hash: u128) -> &[u128] {
        if !self.filter.may_hold(hash) {
            return &[];
        }
        let wanted = entry(hash, 0);
        let place = usize::try_from(bits_of(wanted, self.bits)).unwrap_or(usize::MAX - 1);
        let (Some(from), Some(to)) = (self.places.get(place), self.places.get(place + 1)) else { return &[] };
        let near = self.exact.get(*from as usize..*to as usize).unwrap_or_default();
        let rest = near.get(near.partition_point(|entry| *entry < wanted)..).unwrap_or_default();
        rest.get(..rest.partition_point(|entry| entry >> FACTS_BITS == wanted >> FACTS_BITS)).unwrap_or_default()
    }
}
