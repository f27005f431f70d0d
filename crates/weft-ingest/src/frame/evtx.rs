//! EVTX: binary Windows event logs. Each record becomes its event as JSON.

use bytes::Bytes;
use evtx::{EvtxParser, ParserSettings};
use weft_model::RejectCause;

use super::Piece;

/// First bytes of a file.
pub(super) const MAGIC: &[u8] = b"ElfFile\0";

/// Gives each record, by its record number; a damaged one is a fault.
pub(super) fn records(bytes: Vec<u8>, take: &mut dyn FnMut(Piece)) {
    let settings = ParserSettings::new().num_threads(1).indent(false);
    let mut parser = match EvtxParser::from_buffer(bytes) {
        Ok(parser) => parser.with_configuration(settings),
        Err(error) => {
            take(Piece::Fault { at: 0, cause: RejectCause::Container, message: format!("the EVTX file is damaged: {error}"), raw: Bytes::new() });
            return;
        }
    };
    for (number, record) in (0_u64..).zip(parser.records_json()) {
        take(match record {
            Ok(record) => Piece::Record { at: record.event_record_id, bytes: Bytes::from(record.data) },
            Err(error) => Piece::Fault {
                at: number,
                cause: RejectCause::Container,
                message: format!("record {number} of the EVTX file is damaged: {error}"),
                raw: Bytes::new(),
            },
        });
    }
}
