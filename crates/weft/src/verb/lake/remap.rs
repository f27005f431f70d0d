//! `weft lake remap`: events of a stream mapped anew from their raw records.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use weft_ingest::Mapper;
use weft_lake::Anew;
use weft_model::{Context, Mapping as _, Position, RawBatch, RawRecord, RecordId, StreamId, Timestamp};

use super::{Open, range, told};
use crate::cli::{self, Fault, Outcome, Output};
use crate::door::{now, unknown_stream};
use crate::home::Home;
use crate::life;

/// Maps anew.
///
/// # Errors
/// Unknown stream, a home in use, storage that fails.
pub(super) async fn run(home: &Home, remap: &cli::Remap, out: &mut Output) -> Result<Outcome, Fault> {
    let (since, until) = range(remap.since.as_ref(), remap.until.as_ref())?;
    let open = Open::of(home).await?;
    let registry = Arc::clone(&open.stand().registry);
    let stream = StreamId::from(remap.stream.as_str());
    let Some(maker) = registry.program(&stream).map(|program| program.maker.clone()) else {
        open.close().await?;
        return Err(Fault::misuse(unknown_stream(&remap.stream, &registry.streams().cloned().collect())));
    };
    let anew = Remapper { mapper: Mapper::new(registry), stream, maker };
    let done = open.lake().remap(since, until, Arc::new(move |_, batch| anew.anew(batch))).await.map_err(Fault::failed)?;
    if done.replaced > 0 {
        open.keep(Some(life::remapped(&remap.stream, &done, now()))).await?;
    }
    open.close().await?;
    out.rows(&told(&done)?)?;
    Ok(Outcome::Done)
}

struct Remapper {
    mapper: Mapper,
    stream: StreamId,
    maker: (String, String),
}

/// A text column at a path.
fn at(batch: &RecordBatch, path: &[&str]) -> Option<ArrayRef> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(Arc::clone(batch.column_by_name(first)?), |array, name| array.as_struct_opt()?.column_by_name(name).cloned())
}

fn text(column: Option<&ArrayRef>, row: usize) -> Option<&str> {
    weft_model::event::text(column?, row)
}

impl Remapper {
    /// Rows of the stream's tool whose raw record the mapping takes become what it makes of them.
    fn anew(&self, batch: &RecordBatch) -> Anew {
        let (uids, raw) = (at(batch, &["metadata", "uid"]), at(batch, &["raw_data"]));
        let (vendors, products) = (at(batch, &["metadata", "product", "vendor_name"]), at(batch, &["metadata", "product", "name"]));
        let processed = at(batch, &["metadata", "processed_time"]);
        let mut keep = vec![true; batch.num_rows()];
        let mut arrivals: BTreeMap<i64, Vec<(usize, RawRecord)>> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            let is_of_tool = text(products.as_ref(), row) == Some(&self.maker.1) || text(vendors.as_ref(), row) == Some(&self.maker.0);
            let (Some(raw), true) = (text(raw.as_ref(), row), is_of_tool) else { continue };
            let arrival = processed.as_ref().and_then(|column| column.as_primitive_opt::<Int64Type>()).filter(|column| column.is_valid(row));
            let record = RawRecord { id: self.id(text(uids.as_ref(), row), raw), bytes: Bytes::copy_from_slice(raw.as_bytes()) };
            arrivals.entry(arrival.map_or(0, |column| column.value(row))).or_default().push((row, record));
        }
        let mut events = Vec::new();
        for (received, rows) in arrivals {
            let records = rows.iter().map(|(_, record)| record.clone()).collect();
            let raw = RawBatch {
                source: "lake".into(),
                stream: self.stream.clone(),
                context: Context::default(),
                next: Position::default(),
                received: Timestamp(received),
                records,
            };
            let mapped = self.mapper.map(&raw);
            let refused: HashSet<RecordId> = mapped.rejects.iter().map(|reject| reject.id).collect();
            for (row, record) in rows {
                if let Some(keep) = keep.get_mut(row) {
                    *keep = refused.contains(&record.id);
                }
            }
            events.extend(mapped.batches);
        }
        Anew { keep, events }
    }

    /// The id that the record had, so that an event without an id of its own keeps its uid.
    fn id(&self, uid: Option<&str>, raw: &str) -> RecordId {
        let known = uid.filter(|uid| uid.len() == 32).and_then(|uid| u128::from_str_radix(uid, 16).ok());
        known.map_or_else(|| RecordId::of(&self.stream, uid.unwrap_or_default().as_bytes(), raw.as_bytes()), RecordId)
    }
}
