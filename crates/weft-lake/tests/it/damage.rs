//! Bytes that rot: found, named, mended, and never answered with.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weft_lake::{Lake, Outcome, QueryOptions, ScrubOptions};

use crate::support::{ingest, map, number, open, raw};

/// Flips of the short form, and of the long one.
const FLIPS: usize = 120;
const FLIPS_LONG: usize = 3000;

const MEND: ScrubOptions = ScrubOptions { repair: true, copies: Vec::new(), pause: std::time::Duration::ZERO };
const SUM: &str = "SELECT count(*) * 1000000 + sum(n) FROM (SELECT n FROM authentication UNION ALL SELECT n FROM network_activity)";

async fn filled(dir: &Path) -> Lake {
    let (lake, _) = open(dir).await;
    for round in 0..3 {
        ingest(&lake, raw(round * 700..round * 700 + 700)).await;
        lake.commit().await.unwrap();
    }
    lake
}

fn files(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("lake")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path.to_string_lossy()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn data(dir: &Path) -> Vec<PathBuf> {
    files(dir, &|path| path.ends_with(".parquet") && path.contains("day="))
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn flip(path: &Path, dice: &mut Dice) -> Vec<u8> {
    let before = fs::read(path).unwrap();
    let mut bytes = before.clone();
    bytes[dice.below(before.len())] ^= 1 << dice.below(8);
    fs::write(path, bytes).unwrap();
    before
}

#[tokio::test]
async fn every_flip_is_found_named_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let all = files(dir.path(), &|path| !path.contains("/quarantine/"));
    let mut dice = Dice(88_172_645_463_325_252);
    let flips = if std::env::var("WEFT_FAULTS").is_ok_and(|value| value == "long") { FLIPS_LONG } else { FLIPS };
    let (mut silent, mut unmended) = (0, 0);
    for _ in 0..flips {
        let path = &all[dice.below(all.len())];
        let before = flip(path, &mut dice);
        let seen = lake.scrub(&MEND).await.unwrap();
        silent += usize::from(seen.damaged.len() != 1 || !path.ends_with(Path::new(&seen.damaged[0].path).file_name().unwrap()));
        unmended += usize::from(fs::read(path).unwrap() != before);
        fs::write(path, before).unwrap();
    }
    println!("fault|flipped files|one bit of {} data files and table logs, found, named and mended|{flips}|{silent}|{unmended}|see the control", all.len());
    assert_eq!((silent, unmended), (0, 0));
    assert!(lake.scrub(&MEND).await.unwrap().damaged.is_empty());
}

/// What a reader without digests makes of the same flips.
#[tokio::test]
async fn the_control_without_digests_does_not_see_them() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    drop(lake);
    let read = |path: &Path| -> Option<usize> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(fs::read(path).unwrap())).ok()?.build().ok()?;
        reader.map(|batch| batch.ok().map(|batch| batch.num_rows())).sum()
    };
    let mut dice = Dice(88_172_645_463_325_252);
    let all = data(dir.path());
    let silent = (0..FLIPS).filter(|_| {
        let path = &all[dice.below(all.len())];
        let before = flip(path, &mut dice);
        // A reader that panics is not silent either.
        let silent = std::panic::catch_unwind(|| read(path)).is_ok_and(|rows| rows.is_some());
        fs::write(path, before).unwrap();
        silent
    });
    let silent = silent.count();
    assert!(silent > FLIPS / 10, "the test cannot see a silent flip");
    println!("fault|flipped files, control|the same flips read without digests|{FLIPS}|0|0|{silent} of {FLIPS} unseen");
}

#[tokio::test]
async fn a_query_meets_a_flip_and_answers_right() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let right = number(&lake, SUM).await;
    drop(lake);
    let mut dice = Dice(4_101_842_887_655_102_017);
    for path in data(dir.path()) {
        let before = flip(&path, &mut dice);
        let (lake, _) = open(dir.path()).await;
        let everything = "SELECT count(*) FROM (SELECT * FROM authentication WHERE raw_data <> '' AND unmapped <> '') WHERE metadata.uid <> ''";
        assert_eq!((number(&lake, SUM).await, number(&lake, everything).await > 0), (right, true), "{}", path.display());
        drop(lake);
        fs::write(&path, before).unwrap();
    }
}

/// Two wrong blocks of one group: more than the file can be mended from.
fn ruin(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for at in [100, 1100] {
        bytes[at] ^= 0xff;
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn what_cannot_be_mended_is_left_out_with_a_warning_and_the_loss_is_stated() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let (all, size) = (number(&lake, "SELECT count(*) FROM authentication").await, lake.tables().len());
    drop(lake);
    let path = data(dir.path()).into_iter().find(|path| path.to_string_lossy().contains("/authentication/")).unwrap();
    ruin(&path);
    let (lake, _) = open(dir.path()).await;
    let result = lake.session(QueryOptions::default()).collect("SELECT n, raw_data, metadata FROM authentication").await.unwrap();
    assert_eq!(result.rows() as i64, all - 300, "one of three files is left out");
    let [warning] = result.warnings.as_slice() else { panic!("{:?}", result.warnings) };
    assert!(warning.contains("its 300 rows are not in the answer"), "{warning}");
    assert_eq!((result.stats.files, result.stats.files_read), (3, 2));
    assert_eq!(lake.damages()[0].outcome, Outcome::Found);
    let network = lake.session(QueryOptions::default()).collect("SELECT n FROM network_activity").await.unwrap();
    assert!(network.warnings.is_empty() && network.rows() == 900);
    let seen = lake.scrub(&MEND).await.unwrap();
    let [damage] = seen.damaged.as_slice() else { panic!("{seen:?}") };
    assert_eq!((damage.outcome, damage.rows, damage.rows_lost), (Outcome::Lost, 300, 300), "{damage:?}");
    let kept = fs::read(dir.path().join("lake").join(damage.kept.as_ref().unwrap())).unwrap();
    assert!(kept.starts_with(b"PAR1"), "the damaged bytes are set aside");
    let result = lake.session(QueryOptions::default()).collect("SELECT n FROM authentication").await.unwrap();
    assert!(result.warnings.is_empty() && result.rows() as i64 == all - 300);
    assert!(lake.scrub(&MEND).await.unwrap().damaged.is_empty() && lake.damages().is_empty());
    assert_eq!(lake.tables().len(), size);
}

#[tokio::test]
async fn row_groups_without_damage_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    let logged = lake.append(raw(0..330_000), false).await.unwrap().logged.unwrap();
    let mapped = crate::support::map_every(logged.batch(), 1);
    lake.publish(logged, mapped).unwrap();
    lake.commit().await.unwrap();
    let all = number(&lake, "SELECT count(*) FROM authentication").await;
    let path = data(dir.path()).into_iter().find(|path| path.to_string_lossy().contains("/authentication/")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // Two neighbours in the same group of blocks: as many blocks apart as there are groups.
    let (blocks, block) = (bytes.len() as u64 / (16 << 10), 16 << 10);
    let apart = (blocks.div_ceil(128).max(1) * block) as usize;
    for groups in [apart, apart + 1, apart - block as usize, apart + block as usize] {
        bytes[4000] ^= 1;
        if 4000 + groups < bytes.len() {
            bytes[4000 + groups] ^= 2;
        }
    }
    bytes[4000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let seen = lake.scrub(&MEND).await.unwrap();
    let [damage] = seen.damaged.as_slice() else { panic!("{seen:?}") };
    assert_eq!((damage.outcome, damage.rows as i64), (Outcome::Salvaged, all), "{damage:?}");
    assert_eq!(damage.rows_lost, 131_072, "the first row group");
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication").await, all - 131_072);
    assert_eq!(number(&lake, "SELECT count(DISTINCT n) FROM authentication").await, all - 131_072);
}

#[tokio::test]
async fn a_missing_file_comes_back_from_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let right = number(&lake, SUM).await;
    let path = data(dir.path()).pop().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let within = path.strip_prefix(dir.path()).unwrap();
    fs::create_dir_all(copy.path().join(within).parent().unwrap()).unwrap();
    fs::rename(&path, copy.path().join(within)).unwrap();
    let told = lake.scrub(&ScrubOptions::default()).await.unwrap();
    assert_eq!((told.damaged[0].outcome, told.damaged[0].what.as_str()), (Outcome::Found, "it is missing"));
    let seen = lake.scrub(&ScrubOptions { copies: vec![copy.path().to_owned()], ..MEND }).await.unwrap();
    assert_eq!(seen.damaged[0].outcome, Outcome::Repaired);
    assert_eq!(number(&lake, SUM).await, right);
}

#[tokio::test]
async fn a_damaged_or_missing_commit_is_restored_before_the_table_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let right = number(&lake, SUM).await;
    drop(lake);
    for log in files(dir.path(), &|path| path.contains("_delta_log") && path.ends_with(".json")) {
        let before = fs::read(&log).unwrap();
        // A digit of a number: JSON all the same, and another table.
        let digit = before.iter().rposition(u8::is_ascii_digit).unwrap();
        let mut bytes = before.clone();
        bytes[digit] = if bytes[digit] == b'9' { b'1' } else { bytes[digit] + 1 };
        fs::write(&log, bytes).unwrap();
        let (lake, _) = open(dir.path()).await;
        assert_eq!((number(&lake, SUM).await, fs::read(&log).unwrap() == before), (right, true), "{}", log.display());
        drop(lake);
        fs::remove_file(&log).unwrap();
        let (lake, _) = open(dir.path()).await;
        assert_eq!((number(&lake, SUM).await, fs::read(&log).unwrap() == before), (right, true), "{}", log.display());
    }
}

#[tokio::test]
async fn digests_survive_a_checkpoint_of_the_tables_log() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    // Even and a multiple of seven: sign-ins all.
    for n in 0..53 {
        let logged = lake.append(raw(n * 14..n * 14 + 1), false).await.unwrap().logged.unwrap();
        let mapped = map(logged.batch());
        lake.publish(logged, mapped).unwrap();
        lake.commit().await.unwrap();
    }
    drop(lake);
    let checkpoints = files(dir.path(), &|path| path.contains("_delta_log") && path.contains("checkpoint"));
    assert!(checkpoints.len() >= 2, "{checkpoints:?}");
    let (lake, _) = open(dir.path()).await;
    let seen = lake.scrub(&ScrubOptions::default()).await.unwrap();
    assert_eq!((seen.without_digest, seen.damaged.len()), (0, 0), "{seen:?}");
    drop(lake);
    let mut dice = Dice(7);
    for path in checkpoints {
        let before = flip(&path, &mut dice);
        let (lake, _) = open(dir.path()).await;
        assert_eq!(number(&lake, "SELECT count(*) FROM events").await, 53);
        // What is not needed to load the table is found by the scrub.
        lake.scrub(&MEND).await.unwrap();
        assert!(fs::read(&path).unwrap() == before, "{}", path.display());
    }
}
