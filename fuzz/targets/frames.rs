//! Frames of the log: whatever stands in a segment is a good frame, the end, or damage; the reader
//! finds the next good frame behind damage; and what was written is read back.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod log {
    #[allow(dead_code)]
    #[path = "../../crates/weft-lake/src/log/frame.rs"]
    mod frame;

    use bytes::Bytes;
    use frame::{Next, decode, encode, resync};

    const KEY: u32 = 7;
    const MAGIC: [u8; 4] = *b"wFr1";

    /// A payload as a frame whose checksum is right, so that what is behind the checksum is reached.
    fn framed(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
        let mut hasher = crc32fast::Hasher::new_with_initial(KEY);
        hasher.update(&length);
        hasher.update(payload);
        [&MAGIC, &length, &hasher.finalize().to_le_bytes(), payload].concat()
    }

    fn read(segment: &Bytes) -> usize {
        let (mut offset, mut frames) = (0, 0);
        loop {
            match decode(segment, offset, KEY) {
                Next::End => return frames,
                Next::Frame(frame, next) => {
                    assert!(next > offset && next <= segment.len());
                    let mut again = Vec::new();
                    if encode(&mut again, KEY, frame.seq, frame.dedupe, &frame.batch).is_some() {
                        let back = decode(&Bytes::from(again), 0, KEY);
                        assert!(matches!(back, Next::Frame(ref same, _) if same.batch == frame.batch), "what was written is not what is read");
                    }
                    (offset, frames) = (next, frames + 1);
                }
                Next::Damaged => match resync(segment, offset + 1, KEY) {
                    Some(found) if found > offset => offset = found,
                    _ => return frames,
                },
            }
        }
    }

    pub(crate) fn look(bytes: &[u8]) {
        read(&Bytes::copy_from_slice(bytes));
        read(&Bytes::from([framed(bytes), bytes.to_vec(), framed(bytes)].concat()));
    }
}

fuzz_target!(|bytes: &[u8]| log::look(bytes));
