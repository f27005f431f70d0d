//! STIX 2.1 bundles and the envelopes of TAXII answers: indicators, and what they point at.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Known, Options, Sink, millis, pattern};
use crate::intel::{Facts, Indicator};

/// Most objects of a document.
const OBJECTS_MAX: usize = 20_000_000;
/// Types that indicators point at.
const TARGETS: [&str; 8] = ["malware", "intrusion-set", "threat-actor", "campaign", "tool", "attack-pattern", "infrastructure", "vulnerability"];

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    pattern: Option<String>,
    pattern_type: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    modified: Option<String>,
    confidence: Option<f64>,
    #[serde(default)]
    revoked: bool,
    relationship_type: Option<String>,
    source_ref: Option<String>,
    target_ref: Option<String>,
    #[serde(default)]
    external_references: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    source_name: String,
    external_id: Option<String>,
}

/// An indicator as it stands in a document.
struct Stated {
    id: String,
    name: String,
    pattern: String,
    facts: Facts,
    modified: i64,
}

/// What is gathered of a document.
#[derive(Default)]
struct Gathered {
    stated: HashMap<String, Stated>,
    /// Ids in the order in which they came.
    order: Vec<String>,
    revoked: HashMap<String, i64>,
    known: BTreeMap<String, Known>,
    indicates: HashMap<String, Vec<String>>,
    counts: BTreeMap<String, u64>,
    gaps: Vec<(String, String)>,
    objects: usize,
}

/// Reads a document object by object.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut gathered = Gathered::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Document { gathered: &mut gathered, options }.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| format!("is no STIX bundle: {error}"))?;
    gathered.give(sink)
}

struct Document<'g> {
    gathered: &'g mut Gathered,
    options: &'g Options,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `objects`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "objects" {
                map.next_value_seed(Objects { gathered: &mut *self.gathered, options: self.options })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Objects<'g> {
    gathered: &'g mut Gathered,
    options: &'g Options,
}

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        // Each object is read twice: one that is odd costs itself, not the document.
        while let Some(raw) = seq.next_element::<&serde_json::value::RawValue>()? {
            self.gathered.objects += 1;
            if self.gathered.objects > OBJECTS_MAX {
                return Err(serde::de::Error::custom(format!("more than {OBJECTS_MAX} objects; split it")));
            }
            match serde_json::from_str::<Object>(raw.get()) {
                Ok(object) => self.gathered.take(object, self.options),
                Err(error) => self.gathered.gaps.push((format!("object {}", self.gathered.objects), format!("is no STIX object: {error}"))),
            }
        }
        Ok(())
    }
}

impl Gathered {
    fn take(&mut self, object: Object, options: &Options) {
        *self.counts.entry(object.kind.clone()).or_default() += 1;
        match object.kind.as_str() {
            "indicator" => self.indicator(object, options),
            "relationship" if object.relationship_type.as_deref() == Some("indicates") => {
                if let (Some(source), Some(target)) = (object.source_ref, object.target_ref) {
                    self.indicates.entry(source).or_default().push(target);
                }
            }
            kind if TARGETS.contains(&kind) => {
                let attack = object
                    .external_references
                    .into_iter()
                    .find(|reference| reference.source_name.contains("attack"))
                    .and_then(|reference| reference.external_id);
                self.known.insert(object.id, Known { kind: object.kind, name: object.name, attack });
            }
            _ => {}
        }
    }

    /// Of several versions of an indicator the newest counts.
    fn indicator(&mut self, object: Object, options: &Options) {
        let modified = object.modified.as_deref().and_then(millis).unwrap_or(0);
        if self.stated.get(&object.id).is_some_and(|known| known.modified > modified) || self.revoked.get(&object.id).is_some_and(|known| *known > modified) {
            return;
        }
        self.stated.remove(&object.id);
        if object.revoked {
            self.revoked.insert(object.id, modified);
            return;
        }
        self.revoked.remove(&object.id);
        let kind = object.pattern_type.as_deref().unwrap_or("stix");
        let Some(pattern) = object.pattern.filter(|_| kind == "stix") else {
            let reason = if kind == "stix" { "has no pattern".to_owned() } else { format!("its pattern is one of `{kind}`, which is no STIX pattern") };
            self.gaps.push((object.id, reason));
            return;
        };
        let own = options.facts(options.confidence);
        let facts = Facts {
            confidence: object.confidence.map_or(own.confidence, |confidence| confidence.clamp(0.0, 100.0).round() as u8),
            from: object.valid_from.as_deref().and_then(millis).unwrap_or(own.from),
            until: object.valid_until.as_deref().and_then(millis).or(own.until),
            id: object.id.clone(),
            name: object.name.chars().take(200).collect(),
            ..Facts::default()
        };
        self.order.push(object.id.clone());
        self.stated.insert(object.id.clone(), Stated { id: object.id, name: object.name, pattern, facts, modified });
    }

    fn give(self, sink: &mut Sink<'_>) -> Result<(), String> {
        let Self { mut stated, order, revoked, known, indicates, counts, gaps, objects: _ } = self;
        gaps.into_iter().for_each(|(place, reason)| sink.gap(place, reason));
        counts.into_iter().filter(|(kind, _)| kind != "indicator").for_each(|(kind, count)| sink.writer.other(&kind, count));
        sink.writer.other("indicators that were revoked", revoked.len() as u64);
        sink.revoked.extend(revoked.into_keys());
        for id in order {
            let Some(mut stated) = stated.remove(&id) else { continue };
            for target in indicates.get(&id).into_iter().flatten() {
                match known.get(target).or_else(|| sink.known.get(target)) {
                    Some(Known { attack: Some(attack), kind, .. }) if kind == "attack-pattern" => stated.facts.techniques.push(attack.clone()),
                    Some(known) => stated.facts.indicates.push(format!("{} ({})", known.name, known.kind)),
                    None => stated.facts.indicates.push(target.clone()),
                }
            }
            stated.give(sink)?;
        }
        known.into_iter().for_each(|(id, known)| sink.writer.known(id, known));
        Ok(())
    }
}

impl Stated {
    fn give(self, sink: &mut Sink<'_>) -> Result<(), String> {
        let alternatives = match pattern::parse(&self.pattern) {
            Ok(alternatives) => alternatives,
            Err(reason) => {
                let name = if self.name.is_empty() { self.id } else { format!("{} ({})", self.id, self.name.chars().take(100).collect::<String>()) };
                sink.gap(name, reason);
                return Ok(());
            }
        };
        for (number, together) in alternatives.into_iter().enumerate() {
            let mut facts = self.facts.clone();
            if together.len() > 1 {
                facts.all_of = u8::try_from(together.len()).unwrap_or(u8::MAX);
                // Alternatives of one pattern are told apart by their facts.
                facts.name = if number > 0 { format!("{} (alternative {})", facts.name, number + 1) } else { facts.name };
            }
            for value in together {
                sink.add(&Indicator { value, facts: facts.clone() })?;
            }
        }
        Ok(())
    }
}
