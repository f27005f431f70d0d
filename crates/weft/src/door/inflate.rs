//! `Content-Encoding` of a request body, undone piece by piece within a ratio.

use std::io::Write;

use bytes::Bytes;

/// Compressed bytes given to the decoder at a time: bounds what one step can grow to.
const STEP_BYTES: usize = 4096;
/// Growth that every body may have, whatever its ratio: small bodies of zeros are honest.
const FREE_BYTES: u64 = 16 << 20;

/// Why a body could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Not an encoding that we know.
    #[error("`Content-Encoding: {0}` is not known; use `gzip`, `zstd` or none")]
    Unknown(String),
    /// The bytes are not what the header says.
    #[error("the body is not valid {0}")]
    Damaged(&'static str),
    /// A bomb, or near enough.
    #[error("the body unpacks to more than {0} times its size")]
    Ratio(u64),
}

/// Unpacks a stream of chunks.
pub struct Inflate {
    coder: Coder,
    read: u64,
    written: u64,
    ratio_max: u64,
}

enum Coder {
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

impl Inflate {
    /// For the value of the header, none for a plain body.
    ///
    /// # Errors
    /// [`InflateError::Unknown`].
    pub fn new(encoding: Option<&str>, ratio_max: u64) -> Result<Self, InflateError> {
        let coder = match encoding.map(str::trim).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "identity" => Coder::Plain,
            "gzip" | "x-gzip" => Coder::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            "zstd" => Coder::Zstd(Box::new(zstd::stream::write::Decoder::new(Vec::new()).map_err(|_| InflateError::Damaged("zstd"))?)),
            other => return Err(InflateError::Unknown(other.to_owned())),
        };
        Ok(Self { coder, read: 0, written: 0, ratio_max })
    }

    /// Unpacks one chunk, handing on what comes out in bounded pieces.
    ///
    /// # Errors
    /// Damage and ratio; what came out before was handed on.
    pub fn push(&mut self, chunk: Bytes, mut out: impl FnMut(Bytes)) -> Result<(), InflateError> {
        if matches!(self.coder, Coder::Plain) {
            self.written += chunk.len() as u64;
            out(chunk);
            return Ok(());
        }
        for step in chunk.chunks(STEP_BYTES) {
            self.read += step.len() as u64;
            let piece = self.coder.step(step)?;
            self.written += piece.len() as u64;
            if self.written > FREE_BYTES && self.written > self.read.saturating_mul(self.ratio_max) {
                return Err(InflateError::Ratio(self.ratio_max));
            }
            if !piece.is_empty() {
                out(Bytes::from(piece));
            }
        }
        Ok(())
    }

    /// The end of the body.
    ///
    /// # Errors
    /// The body ended in the middle.
    pub fn finish(self) -> Result<Option<Bytes>, InflateError> {
        let rest = match self.coder {
            Coder::Plain => return Ok(None),
            Coder::Gzip(mut decoder) => {
                decoder.try_finish().map_err(|_| InflateError::Damaged("gzip"))?;
                std::mem::take(decoder.get_mut())
            }
            Coder::Zstd(mut decoder) => {
                decoder.flush().map_err(|_| InflateError::Damaged("zstd"))?;
                std::mem::take(decoder.get_mut())
            }
        };
        Ok((!rest.is_empty()).then(|| Bytes::from(rest)))
    }

    /// Bytes that have come out.
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl Coder {
    fn step(&mut self, bytes: &[u8]) -> Result<Vec<u8>, InflateError> {
        match self {
            Self::Plain => Ok(bytes.to_vec()),
            Self::Gzip(decoder) => {
                decoder.write_all(bytes).map_err(|_| InflateError::Damaged("gzip"))?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Zstd(decoder) => {
                decoder.write_all(bytes).map_err(|_| InflateError::Damaged("zstd"))?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn unpack(encoding: &str, body: &Bytes, ratio: u64) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        let mut inflate = Inflate::new(Some(encoding), ratio)?;
        for piece in body.chunks(7) {
            inflate.push(Bytes::copy_from_slice(piece), |bytes| out.extend_from_slice(&bytes))?;
        }
        out.extend(inflate.finish()?.unwrap_or_default());
        Ok(out)
    }

    #[test]
    fn unpacks_what_it_knows_and_names_what_it_does_not() {
        let text = b"one\ntwo\n".repeat(1000);
        assert_eq!(unpack("gzip", &gzip(&text), 1000).unwrap(), text);
        assert_eq!(unpack("zstd", &zstd::encode_all(text.as_slice(), 1).unwrap().into(), 1000).unwrap(), text);
        assert_eq!(unpack("", &text.clone().into(), 1).unwrap(), text);
        assert_eq!(unpack("br", &Bytes::new(), 1).unwrap_err().to_string(), "`Content-Encoding: br` is not known; use `gzip`, `zstd` or none");
    }

    #[test]
    fn stops_at_bombs_and_damage() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(unpack("gzip", &bomb, 100).unwrap_err(), InflateError::Ratio(100));
        let mut cut = gzip(b"some text that is long enough").to_vec();
        cut.truncate(cut.len() - 6);
        assert_eq!(unpack("gzip", &cut.into(), 100).unwrap_err(), InflateError::Damaged("gzip"));
        assert_eq!(unpack("zstd", &Bytes::from_static(b"nonsense"), 100).unwrap_err(), InflateError::Damaged("zstd"));
    }
}
