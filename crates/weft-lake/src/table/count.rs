//! Rows that are really in the data files, against what the table says of them.

use futures::{StreamExt as _, stream};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;

use super::DataFile;
use crate::ledger::off;

/// Bytes at the end of a file that are read first; most footers fit.
const FOOTER_BYTES: u64 = 64 << 10;
/// Files looked at together.
const READS: usize = 8;

/// One line for each file whose rows are not those that the table names, with its place.
pub(crate) async fn miscounted(store: &dyn ObjectStore, table: &str, files: &[DataFile]) -> Vec<String> {
    let look = |file: &DataFile| {
        let (path, size, rows) = (format!("{table}/{}", file.path), file.size, file.rows);
        async move {
            match rows_in(store, &path, size).await {
                Ok(found) if found == rows => None,
                Ok(found) => Some(format!("file `{path}` holds {found} rows, its table says {rows}: {}", off(rows, found))),
                Err(message) => Some(format!("file `{path}` with {rows} rows cannot be read: {message}")),
            }
        }
    };
    stream::iter(files.iter().map(look)).buffered(READS).filter_map(|fault| async move { fault }).collect().await
}

async fn rows_in(store: &dyn ObjectStore, path: &str, size: u64) -> Result<u64, String> {
    let path = StorePath::from(path);
    let mut reader = ParquetMetaDataReader::new();
    let mut length = FOOTER_BYTES.min(size);
    loop {
        let end = store.get_range(&path, size - length..size).await.map_err(|error| error.to_string())?;
        match reader.try_parse_sized(&end, size) {
            Ok(()) => break,
            Err(ParquetError::NeedMoreData(more)) if (more as u64) > length && (more as u64) <= size => length = more as u64,
            Err(error) => return Err(error.to_string()),
        }
    }
    let footer = reader.finish().map_err(|error| error.to_string())?;
    Ok(u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0))
}
