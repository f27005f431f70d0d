//! The extension `weft:` of a detection: what it finds is measured against what is usual.

use super::Fault;
use super::correlation::{thousandths, timespan};
use super::yaml::Node;

/// A measurement of the events that a detection finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// What is measured.
    pub kind: BehaviourKind,
    /// Fields that name the entity: a user, a host, a service account, a workload; none means all
    /// together.
    pub by: Vec<String>,
    /// How much history must be there before it speaks, and how long a value is remembered.
    pub learn_ms: i64,
}

/// What is measured. Numbers with a fraction are in thousandths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BehaviourKind {
    /// A value that the entity (and its peers) did not show within the look-back.
    FirstSeen {
        /// Fields whose value must be new.
        value: Vec<String>,
        /// Fields that name the peer group, for which it must be new as well.
        peers: Vec<String>,
    },
    /// So many events (or so large a sum) in a stretch of time as is not usual for the entity.
    Deviation {
        /// Length of a stretch.
        every_ms: i64,
        /// Field that is summed; none counts events.
        sum: Option<String>,
        /// Whether the same hour of earlier weeks is compared with.
        season: bool,
        /// Least robust score.
        score: i64,
        /// Least count or sum.
        least: i64,
    },
    /// A value that few entities of a population show.
    Rarity {
        /// Fields whose value is rare.
        value: Vec<String>,
        /// Largest share of the entities.
        share: i64,
        /// Least number of entities.
        population: usize,
    },
    /// Two places that are too far apart for the time between.
    Travel {
        /// Field with the address.
        address: String,
        /// Fastest credible speed, km/h.
        speed_kmh: i64,
        /// Shortest distance that counts, km.
        distance_km: i64,
    },
    /// A log-on along an edge that neither the source nor its like went before.
    Edge {
        /// Fields that name the destination.
        to: Vec<String>,
        /// Most sources alike that may know the destination.
        supporters: usize,
    },
    /// A source that takes another account than the ones it is used to.
    Switching {
        /// Fields that name the account.
        account: Vec<String>,
        /// Longest time since the account before.
        within_ms: i64,
        /// Most accounts that the source is used to.
        accounts: usize,
    },
    /// Contacts at regular intervals.
    Beacon {
        /// Fields that name the destination.
        to: Vec<String>,
        /// Contacts that are compared.
        count: usize,
        /// Largest relative spread of the intervals.
        jitter: i64,
        /// Shortest interval.
        least_ms: i64,
        /// Longest interval.
        most_ms: i64,
        /// Most sources that a destination may have.
        sources: usize,
    },
    /// Names below one registered domain that carry data.
    Tunnel {
        /// Field with the name that is asked for.
        name: String,
        /// Length of a stretch.
        every_ms: i64,
        /// Least number of different names.
        names: usize,
        /// Least mean entropy, bits a character.
        entropy: i64,
        /// Least bytes in the names.
        bytes: usize,
    },
}

/// What the extension knows.
const KINDS: &str = "first_seen, deviation, rarity, travel, edge, switching, beacon, tunnel";

/// Reads the `weft` section of a document, where there is one.
///
/// # Errors
/// The first fault with its line.
pub(super) fn parse(document: &Node) -> Result<Option<Behaviour>, Fault> {
    let Some(extension) = document.get("weft") else { return Ok(None) };
    let [(key, section)] = extension.entries() else {
        return Err(Fault::at(extension.line, format!("`weft` takes exactly one of {KINDS}")));
    };
    let (known, kind) = kind(key, section)?;
    let common = ["by", "learn"];
    if let Some((key, value)) = section.entries().iter().find(|(name, _)| !known.contains(&name.as_str()) && !common.contains(&name.as_str())) {
        return Err(Fault::at(
            value.line,
            format!("`{key}` is not known here; known are {}", known.iter().chain(&common).copied().collect::<Vec<_>>().join(", ")),
        ));
    }
    let by = section.texts("by")?;
    if by.is_empty() && !matches!(kind, BehaviourKind::FirstSeen { .. } | BehaviourKind::Tunnel { .. } | BehaviourKind::Deviation { .. }) {
        return Err(Fault::at(section.line, format!("`weft.{key}.by` is missing: the fields that name the entity")));
    }
    Ok(Some(Behaviour { kind, by, learn_ms: span(section, "learn", "14d")? }))
}

fn kind(key: &str, section: &Node) -> Result<(&'static [&'static str], BehaviourKind), Fault> {
    Ok(match key {
        "first_seen" => (&["value", "peers"], BehaviourKind::FirstSeen { value: fields(section, "value")?, peers: section.texts("peers")? }),
        "deviation" => (
            &["every", "sum", "season", "score", "least"],
            BehaviourKind::Deviation {
                every_ms: stretch(section)?,
                sum: section.text("sum")?,
                season: season(section)?,
                score: number(section, "score", "6")?,
                least: number(section, "least", "10")?,
            },
        ),
        "rarity" => (
            &["value", "share", "population"],
            BehaviourKind::Rarity {
                value: fields(section, "value")?,
                share: number(section, "share", "0.01")?,
                population: count(section, "population", "50")?,
            },
        ),
        "travel" => (
            &["address", "speed_kmh", "distance_km"],
            BehaviourKind::Travel {
                address: section.text("address")?.unwrap_or_else(|| "src_endpoint.ip".to_owned()),
                speed_kmh: number(section, "speed_kmh", "1000")? / 1_000,
                distance_km: number(section, "distance_km", "500")? / 1_000,
            },
        ),
        "edge" => (&["to", "supporters"], BehaviourKind::Edge { to: fields(section, "to")?, supporters: count(section, "supporters", "0")? }),
        "switching" => (
            &["account", "within", "accounts"],
            BehaviourKind::Switching {
                account: fields(section, "account")?,
                within_ms: span(section, "within", "1h")?,
                accounts: count(section, "accounts", "3")?,
            },
        ),
        "beacon" => (
            &["to", "count", "jitter", "least", "most", "sources"],
            BehaviourKind::Beacon {
                to: fields(section, "to")?,
                count: count(section, "count", "12")?.clamp(4, 48),
                jitter: number(section, "jitter", "0.2")?,
                least_ms: span(section, "least", "10s")?,
                most_ms: span(section, "most", "6h")?,
                sources: count(section, "sources", "5")?,
            },
        ),
        "tunnel" => (
            &["name", "every", "names", "entropy", "bytes"],
            BehaviourKind::Tunnel {
                name: section.text("name")?.unwrap_or_else(|| "query.hostname".to_owned()),
                every_ms: span(section, "every", "10m")?,
                names: count(section, "names", "40")?.clamp(2, 64),
                entropy: number(section, "entropy", "3.2")?,
                bytes: count(section, "bytes", "1000")?,
            },
        ),
        other => return Err(Fault::at(section.line, format!("`weft.{other}` is not known; known are {KINDS}"))),
    })
}

fn fields(section: &Node, key: &str) -> Result<Vec<String>, Fault> {
    let fields = section.texts(key)?;
    if fields.is_empty() { Err(Fault::at(section.line, format!("`{key}` is missing: the fields that are looked at"))) } else { Ok(fields) }
}

fn line(section: &Node, key: &str) -> u64 {
    section.get(key).map_or(section.line, |node| node.line)
}

fn span(section: &Node, key: &str, usual: &str) -> Result<i64, Fault> {
    let text = section.text(key)?.unwrap_or_else(|| usual.to_owned());
    timespan(&text).ok_or_else(|| Fault::at(line(section, key), format!("`{text}` is not a time span such as {usual}")))
}

/// A baseline remembers weeks of stretches; shorter ones would not fit.
fn stretch(section: &Node) -> Result<i64, Fault> {
    let every_ms = span(section, "every", "1h")?;
    let week_ms = 7 * 24 * 3_600_000;
    let fits = every_ms >= 3_600_000 && week_ms % every_ms == 0;
    if fits { Ok(every_ms) } else { Err(Fault::at(line(section, "every"), "`every` must be 1h or longer and divide a week, such as 1h, 6h, 1d, 1w")) }
}

fn number(section: &Node, key: &str, usual: &str) -> Result<i64, Fault> {
    let text = section.text(key)?.unwrap_or_else(|| usual.to_owned());
    thousandths(&text)
        .filter(|number| *number >= 0)
        .ok_or_else(|| Fault::at(line(section, key), format!("`{key}` must be a number such as {usual}, not `{text}`")))
}

fn count(section: &Node, key: &str, usual: &str) -> Result<usize, Fault> {
    let text = section.text(key)?.unwrap_or_else(|| usual.to_owned());
    text.parse().map_err(|_| Fault::at(line(section, key), format!("`{key}` must be a whole number such as {usual}, not `{text}`")))
}

fn season(section: &Node) -> Result<bool, Fault> {
    match section.text("season")?.as_deref() {
        None | Some("hour_of_week") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(Fault::at(line(section, "season"), format!("`season` must be hour_of_week or none, not `{other}`"))),
    }
}

impl Behaviour {
    /// Every field that it reads.
    pub fn fields(&self) -> Vec<&str> {
        let own: Vec<&str> = match &self.kind {
            BehaviourKind::FirstSeen { value, peers } => value.iter().chain(peers).map(String::as_str).collect(),
            BehaviourKind::Deviation { sum, .. } => sum.iter().map(String::as_str).collect(),
            BehaviourKind::Rarity { value: fields, .. }
            | BehaviourKind::Edge { to: fields, .. }
            | BehaviourKind::Switching { account: fields, .. }
            | BehaviourKind::Beacon { to: fields, .. } => fields.iter().map(String::as_str).collect(),
            BehaviourKind::Travel { address, .. } => vec![address],
            BehaviourKind::Tunnel { name, .. } => vec![name],
        };
        self.by.iter().map(String::as_str).chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Behaviour>, String> {
        parse(&super::super::yaml::read(text).unwrap().remove(0)).map_err(|fault| fault.reason)
    }

    #[test]
    fn what_is_left_out_is_as_documented() {
        let behaviour = read("weft: {deviation: {by: user.name, least: 20}}").unwrap().unwrap();
        assert_eq!(behaviour.by, ["user.name"]);
        assert_eq!(behaviour.kind, BehaviourKind::Deviation { every_ms: 3_600_000, sum: None, season: true, score: 6_000, least: 20_000 });
        assert_eq!(behaviour.learn_ms, 14 * 86_400_000);
        assert_eq!(read("title: x").unwrap(), None);
    }

    #[test]
    fn faults_say_what_is_known() {
        assert!(read("weft: {first_sein: {value: x}}").unwrap_err().contains("known are first_seen"));
        assert!(read("weft: {first_seen: {by: x}}").unwrap_err().contains("`value` is missing"));
        assert!(read("weft: {rarity: {value: x}}").unwrap_err().contains("`weft.rarity.by` is missing"));
        assert!(read("weft: {rarity: {value: x, by: y, least: 3}}").unwrap_err().contains("`least` is not known here; known are value, share"));
        assert!(read("weft: {beacon: {to: x, by: y, jitter: much}}").unwrap_err().contains("`jitter` must be a number"));
        assert!(read("weft: {first_seen: {value: x}, rarity: {value: x}}").unwrap_err().contains("exactly one of"));
    }
}
