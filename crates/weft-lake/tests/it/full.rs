//! A disk of 20 MB that fills up: nothing exits, reads go on, and work with the first free byte.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use weft_lake::{Lake, LakeError, LogError};
use weft_model::RawBatch;

use crate::support::{map, number, open, raw, replay};

/// A file system of its own, unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    /// None, with one line, where mounting is not permitted.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=20m", "weft-test"]).arg(dir.path()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("fault|full disk of the lake|not tried here: it needs the right to mount a tmpfs|0|0|0|none");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.path()).output();
    }
}

/// Three records, one of which is long and random enough to take its place on the disk.
fn heavy(n: u64) -> RawBatch {
    let mut batch = raw(n * 7..n * 7 + 3);
    let mut random = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise = std::iter::repeat_with(|| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 32) as u8
    });
    batch.records[2].bytes = Bytes::from(noise.take(100_000).collect::<Vec<_>>());
    batch
}

async fn seen(lake: &Lake) -> i64 {
    number(lake, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM rejects)").await
}

#[tokio::test]
async fn a_full_disk_is_not_an_end() {
    let Some(disk) = Small::mount() else { return };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 13 << 20]).unwrap();
    let (lake, _) = open(disk.path()).await;
    let (mut acknowledged, mut refused, mut batches) = (0, 0, 0);
    // Goes on against the full disk for a while: each attempt is refused, none ends the log.
    while refused < 20 {
        match lake.append(heavy(batches), false).await {
            Ok(appended) => {
                let logged = appended.logged.unwrap();
                let mapped = map(logged.batch());
                lake.publish(logged, mapped).unwrap();
                acknowledged += 3;
            }
            Err(LogError::Full) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        batches += 1;
        assert!(batches < 1000, "the disk does not fill up");
    }
    assert_eq!(seen(&lake).await, acknowledged, "reads go on");
    assert!(
        matches!(lake.commit().await, Err(LakeError::Full { .. } | LakeError::Log(LogError::Full | LogError::Write { .. }))),
        "no place for the tables either"
    );
    assert_eq!(seen(&lake).await, acknowledged, "and still do");
    std::fs::remove_file(&ballast).unwrap();
    let logged = lake.append(heavy(batches), false).await.unwrap().logged.unwrap();
    let mapped = map(logged.batch());
    lake.publish(logged, mapped).unwrap();
    acknowledged += 3;
    lake.commit().await.unwrap();
    assert_eq!(seen(&lake).await, acknowledged, "with the first free byte it goes on");
    drop(lake);
    let (lake, recovery) = open(disk.path()).await;
    replay(&lake, &recovery, map);
    assert_eq!(seen(&lake).await, acknowledged, "nothing acknowledged is lost, nothing refused is there");
    assert_ne!(seen(&lake).await, acknowledged + 3 * refused, "the control that takes a refusal for an acknowledgement loses");
    let control = format!("taking a refusal for an acknowledgement loses {}", 3 * refused);
    println!("fault|full disk of the lake|20 MB, filled until {refused} appends were refused|{batches}|0|0|{control}");
}
