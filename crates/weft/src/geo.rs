//! Where addresses are: a database in MaxMind's format that the user names.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{MaxMindDbError, Reader, geoip2};
use weft_analytics::{Engine, Location, Places};

use crate::cli::{self, Fault};
use crate::home::Home;

/// Radius of a place for which the database states none, km: that of a middle-sized country.
const RADIUS_KM: f64 = 100.0;

/// An open database.
struct Database(Reader<Vec<u8>>);

impl Places for Database {
    fn locate(&self, address: IpAddr) -> Option<Location> {
        let city = self.0.lookup(address).ok()?.decode::<geoip2::City<'_>>().ok()??;
        let names = [city.city.names.english, city.country.names.english, city.country.iso_code];
        Some(Location {
            latitude: city.location.latitude?,
            longitude: city.location.longitude?,
            radius_km: city.location.accuracy_radius.map_or(RADIUS_KM, f64::from),
            name: names.into_iter().flatten().take(2).collect::<Vec<_>>().join(", "),
        })
    }
}

fn open(path: &Path) -> Result<Arc<dyn Places>, Fault> {
    let told = |what: String| Fault::misuse(format!("`{}` {what}; see `[analytics] geoip` in weft.toml", path.display()));
    let reader = Reader::open_readfile(path).map_err(|error| match error {
        MaxMindDbError::Io(error) => told(format!("cannot be read: {error}")),
        error => told(format!("is not a GeoIP database in MaxMind's format: {error}")),
    })?;
    Ok(Arc::new(Database(reader)))
}

/// Gives the rules what they need to know of places; without a database, tells which are off.
///
/// # Errors
/// The database that the configuration names cannot be read.
pub fn equip(engine: &mut Engine, home: &Home) -> Result<(), Fault> {
    give_places(engine, home)?;
    for (rule, reason) in engine.off() {
        tracing::info!("the rule `{}` is off: {}", rule.title, reason.trim_start_matches("it is off: "));
    }
    Ok(())
}

/// The same, and tells nothing.
///
/// # Errors
/// As [`equip`].
pub fn give_places(engine: &mut Engine, home: &Home) -> Result<(), Fault> {
    if let Some(path) = &home.config.analytics.geoip {
        engine.set_places(&open(path)?);
    }
    Ok(())
}

/// Whether the database that the configuration names can be read.
///
/// # Errors
/// It cannot.
pub fn check(home: &Home) -> Result<(), Fault> {
    home.config.analytics.geoip.as_deref().map_or(Ok(()), |path| open(path).map(drop))
}

/// Tells what the bounds of memory cost, where they did.
pub fn tell_pressure(engine: &Engine) {
    let pressure = engine.pressure();
    if pressure.evicted > 0 {
        cli::say(&format!("{} events or values were forgotten, because the memory of a rule was full; findings may be missing", pressure.evicted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.mmdb");
        std::fs::write(&file, b"not a database").unwrap();
        assert!(format!("{:?}", open(&file).err().unwrap()).contains("MaxMind"));
    }

    /// The format is specified at <https://maxmind.github.io/MaxMind-DB/>: a search tree of one
    /// node (IPv4, records of 24 bits), 16 bytes, the data, a marker, the metadata.
    #[test]
    fn a_database_says_where_an_address_is() {
        let text = |text: &str| [&[0x40 | text.len() as u8][..], text.as_bytes()].concat();
        let double = |value: f64| [&[0x68][..], &value.to_be_bytes()].concat();
        let map = |entries: u8| vec![0xe0 | entries];
        let short = |value: u16| [&[0xa2][..], &value.to_be_bytes()].concat();
        let long = |value: u32| [&[0xc4][..], &value.to_be_bytes()].concat();
        let data = [
            map(2),
            text("city"),
            map(1),
            text("names"),
            map(1),
            text("en"),
            text("Berlin"),
            text("location"),
            map(3),
            text("latitude"),
            double(52.5),
            text("longitude"),
            double(13.4),
            text("accuracy_radius"),
            short(20),
        ]
        .concat();
        // Left (0.0.0.0/1) is the record at offset 0, right is nothing.
        let tree = [0, 0, 1 + 16, 0, 0, 1];
        let array = |items: u8| vec![items, 0x04];
        let metadata = [
            b"\xab\xcd\xefMaxMind.com".to_vec(),
            map(9),
            text("binary_format_major_version"),
            short(2),
            text("binary_format_minor_version"),
            short(0),
            text("build_epoch"),
            vec![0x08, 0x02, 0, 0, 0, 0, 0, 0, 0, 1],
            text("database_type"),
            text("Test-City"),
            text("description"),
            map(0),
            text("ip_version"),
            short(4),
            text("languages"),
            array(0),
            text("node_count"),
            long(1),
            text("record_size"),
            short(24),
        ]
        .concat();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("city.mmdb");
        std::fs::write(&file, [&tree[..], &[0; 16], &data, &metadata].concat()).unwrap();
        let places = open(&file).unwrap();
        let found = places.locate("8.8.8.8".parse().unwrap()).unwrap();
        assert_eq!((found.latitude, found.longitude, found.radius_km, found.name.as_str()), (52.5, 13.4, 20.0, "Berlin"));
        assert_eq!(places.locate("192.0.2.1".parse().unwrap()), None);
    }
}
