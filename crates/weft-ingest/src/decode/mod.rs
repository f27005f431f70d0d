//! Text of a record to a tree of nodes, one module a form.
//!
//! Total: what is not of the form is [`Malformed`] with the reason; depth and number of nodes are
//! bounded before any parser sees the text.

mod auditd;
mod cef;
mod csv;
mod expand;
mod json;
mod kv;
mod prose;
mod syslog;
mod winevent;
mod xml;
mod zeek;

use bumpalo::Bump;
use weft_model::{Context, RawBatch, RejectCause};

use crate::language::file::Format;
use crate::map::Scratch;
use crate::map::program::{Delimiter, Program};
use crate::tree::{Builder, Nodes};

pub use expand::expand;

/// Nodes of one record.
pub const NODES_MAX: usize = 1 << 20;
/// Objects and arrays within one another.
pub const DEPTH_MAX: usize = 100;

/// Why a record is not of its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Kind.
    pub cause: RejectCause,
    /// For a person.
    pub message: String,
}

impl Malformed {
    /// With its reason.
    pub fn new(cause: RejectCause, message: String) -> Self {
        Self { cause, message }
    }

    pub(crate) fn form(message: impl Into<String>) -> Self {
        Self::new(RejectCause::Malformed, message.into())
    }
}

/// What a form needs to know of its stream.
#[derive(Debug, Clone, Copy)]
pub struct Form<'f> {
    /// Column names.
    pub columns: &'f [String],
    /// Column separator.
    pub delimiter: Option<Delimiter>,
}

/// The record as text, with the byte order mark that may be there.
///
/// # Errors
/// Where it is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        Malformed::new(RejectCause::Encoding, format!("it is not UTF-8 from byte {valid} on"))
    })
}

/// The text without its byte order mark.
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Whether the text is a JSON object.
pub fn is_json(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

/// The first of `formats` that the text can be.
pub fn fitting(formats: &[Format], text: &str, context: &Context) -> Format {
    let first = formats.first().copied().unwrap_or(Format::Json);
    if formats.len() == 1 {
        return first;
    }
    let json = is_json(text);
    let fits = |format: &&Format| if json { format.reads_json() } else { !matches!(format, Format::Json | Format::Ocsf) && may_be(**format, text, context) };
    formats.iter().find(fits).copied().unwrap_or(first)
}

impl Format {
    /// Whether records of this form may be JSON objects.
    pub fn reads_json(self) -> bool {
        matches!(self, Self::Json | Self::Ocsf | Self::Zeek | Self::Evtx | Self::Csv)
    }
}

/// Whether a text that is not JSON can be of a form, by a cheap look.
pub fn may_be(format: Format, text: &str, context: &Context) -> bool {
    let header = context.header.as_deref();
    match format {
        Format::Json | Format::Ocsf => false,
        Format::Zeek => header.is_some_and(|header| header.starts_with('#')),
        Format::Cef => text.contains("CEF:"),
        Format::Leef => text.contains("LEEF:"),
        Format::Auditd => text.contains("audit(") && text.contains("type="),
        Format::WineventText => text.contains("EventCode="),
        Format::Evtx | Format::Xml => {
            text.trim_ascii_start().starts_with('<') && !text.trim_ascii_start().trim_start_matches('<').starts_with(|c: char| c.is_ascii_digit())
        }
        Format::Csv => header.is_none_or(|header| !header.starts_with('#')) && text.contains([',', '\t', ' ', ';']),
        Format::Syslog => syslog::may_be(text),
        Format::Kv => text.contains('='),
        Format::Text => true,
    }
}

/// Whether the first line of a source names the columns of a stream.
pub fn is_csv_header(line: &str, form: Form<'_>) -> bool {
    csv::is_header(line, form)
}

/// Whether a line looks like a header of separated columns, whatever the stream.
pub fn csv_header(line: &str) -> bool {
    csv::is_plain_header(line)
}

/// The tree of a JSON object.
///
/// # Errors
/// Where it is none, or nests too deep.
pub fn json<'a>(text: &str, scratch: &mut Scratch, arena: &'a Bump) -> Result<&'a Nodes<'a>, Malformed> {
    json::decode(text, scratch, arena)
}

/// What a JSON object gets from its surroundings: Zeek's says in the file name which log it is of.
pub fn named<'a>(format: Format, nodes: &'a Nodes<'a>, context: &'a Context, arena: &'a Bump) -> &'a Nodes<'a> {
    if format == Format::Zeek { zeek::name(nodes, context, arena) } else { nodes }
}

/// The tree of a record of a stream.
///
/// # Errors
/// Where it is not of the stream's form.
pub fn decode<'a>(
    format: Format,
    program: &'a Program,
    text: &'a str,
    raw: &'a RawBatch,
    scratch: &mut Scratch,
    arena: &'a Bump,
) -> Result<&'a Nodes<'a>, Malformed> {
    decode_as(format, Form { columns: &program.columns, delimiter: Some(program.delimiter) }, text, raw, scratch, arena)
}

/// The tree of a record of a form.
///
/// # Errors
/// Where it is not of that form.
pub fn decode_as<'a>(
    format: Format,
    form: Form<'_>,
    text: &'a str,
    raw: &'a RawBatch,
    scratch: &mut Scratch,
    arena: &'a Bump,
) -> Result<&'a Nodes<'a>, Malformed> {
    let received = raw.received.0;
    if format.reads_json() && is_json(text) {
        return Ok(named(format, json(text, scratch, arena)?, &raw.context, arena));
    }
    let mut tree = Builder::default();
    tree.object();
    match format {
        Format::Json | Format::Ocsf => return Err(Malformed::form("it is not a JSON object")),
        Format::Zeek => zeek::decode(text, &raw.context, arena, &mut tree)?,
        Format::Cef => cef::cef(text, received, arena, &mut tree)?,
        Format::Leef => cef::leef(text, received, arena, &mut tree)?,
        Format::Auditd => auditd::decode(text, arena, &mut tree)?,
        Format::WineventText => winevent::decode(text, arena, &mut tree)?,
        Format::Evtx | Format::Xml => return Ok(arena.alloc_slice_copy(&xml::decode(text, arena)?)),
        Format::Csv => csv::decode(text, &raw.context, form, arena, &mut tree)?,
        Format::Syslog => syslog::decode(text, arena, &mut tree)?,
        Format::Kv => kv::decode(text, arena, &mut tree)?,
        Format::Text => tree.pair("message", text),
    }
    Ok(arena.alloc_slice_copy(&tree.finish()))
}
