//! Two places that are too far apart for the time between them.
//!
//! Great-circle distance by the haversine formula (R. W. Sinnott, *Virtues of the Haversine*, Sky
//! and Telescope 68, 1984) on a sphere of 6,371 km.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::entity::EntityState;
use super::{Held, Mark, Memory, Verdict};

/// Mean radius of the Earth, km (IUGG).
const EARTH_KM: f64 = 6_371.0;

/// Where an address is.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Within how many kilometres.
    pub radius_km: f64,
    /// For a person.
    pub name: String,
}

/// Port: where addresses are. A database that the user names answers it.
pub trait Places: Send + Sync {
    /// The place of an address; none when it is not known.
    fn locate(&self, address: IpAddr) -> Option<Location>;
}

/// The last place of an entity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    latitude: f64,
    longitude: f64,
    radius_km: f64,
    name: String,
    pub(super) mark: Mark,
}

pub(super) fn judge(speed_kmh: i64, distance_km: i64, memory: &mut Memory, places: &dyn Places, held: &Held) -> Option<Verdict> {
    let address: IpAddr = memory.pool.text(held.value).parse().ok()?;
    let here = places.locate(address)?;
    let place = Place { latitude: here.latitude, longitude: here.longitude, radius_km: here.radius_km, name: here.name.clone(), mark: memory.mark(held) };
    let Some(EntityState::Place(slot)) = memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) else { return None };
    let before = slot.replace(Box::new(place))?;
    memory.late_release.push(before.mark.clone());
    let far = distance(before.latitude, before.longitude, here.latitude, here.longitude);
    // The radii are given away: both may be at their near edges.
    let km = (far - before.radius_km - here.radius_km).max(0.0);
    let hours = (held.time - before.mark.time).max(1_000) as f64 / 3_600_000.0;
    if km < distance_km as f64 || km / hours <= speed_kmh as f64 {
        return None;
    }
    let words = vec![
        format!("travel: {} to {}, {km:.0} km in {:.0} min, {:.0} km/h", before.name, here.name, hours * 60.0, km / hours),
        format!(
            "baseline: at most {speed_kmh} km/h over at least {distance_km} km count as possible; entity: {}",
            super::shown(memory.entities.name(held.entity))
        ),
    ];
    Some(Verdict { words, before: vec![before.mark] })
}

/// Kilometres between two points.
fn distance(lat_a: f64, lon_a: f64, lat_b: f64, lon_b: f64) -> f64 {
    let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let chord = half(lat_b - lat_a) + lat_a.to_radians().cos() * lat_b.to_radians().cos() * half(lon_b - lon_a);
    2.0 * EARTH_KM * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_distances() {
        let km = |a: (f64, f64), b: (f64, f64)| super::distance(a.0, a.1, b.0, b.1).round();
        assert_eq!(km((52.52, 13.405), (52.52, 13.405)), 0.0);
        assert_eq!(km((0.0, 0.0), (0.0, 180.0)), 20_015.0);
        assert!((km((51.5074, -0.1278), (40.7128, -74.006)) - 5_570.0).abs() < 5.0, "London to New York");
    }
}
