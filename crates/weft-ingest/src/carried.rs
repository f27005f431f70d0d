//! Records within records: forwarders, queues and log stores put what they carry into an attribute
//! of their own record, as text or as an object.
//!
//! Only STREAM `auto` looks: where no stream claims the outer record, the first inner one that a
//! stream claims is mapped instead, and the outer one stays whole in `raw_data`.

use bumpalo::Bump;

use crate::decode::{self, Malformed};
use crate::map::Scratch;
use crate::recognise::{Given, Read};
use crate::registry::Registry;
use crate::tree::{self, Node, Nodes};

/// Carriers within carriers: a forwarder behind a syslog relay behind a queue.
const DEPTH_MAX: usize = 3;

/// Shorter texts carry no record.
const CARRIED_BYTES_MIN: usize = 24;

/// Where carriers keep what they carry, the surest first.
const CARRIERS: [&[&str]; 23] = [
    &["event", "original"],
    &["log", "original"],
    &["attributes", "log.record.original"],
    &["message"],
    &["_raw"],
    &["raw"],
    &["raw_log"],
    &["raw_event"],
    &["log"],
    &["msg"],
    &["MESSAGE"],
    &["Message"],
    &["line"],
    &["body"],
    &["payload"],
    &["jsonPayload"],
    &["_source"],
    &["event"],
    &["record"],
    &["detail"],
    &["data"],
    &["result"],
    &["properties"],
];

impl Registry {
    /// The stream that claims a record, or what the record carries, with the tree that it is mapped from.
    ///
    /// # Errors
    /// When none does, or the record cannot be read in any form.
    pub fn recognise<'a>(&'a self, given: Given<'a>, scratch: &mut Scratch, arena: &'a Bump) -> Result<Read<'a>, Malformed> {
        self.at_depth(given, 0, scratch, arena)
    }

    fn at_depth<'a>(&'a self, given: Given<'a>, depth: usize, scratch: &mut Scratch, arena: &'a Bump) -> Result<Read<'a>, Malformed> {
        let (outer, nodes) = if decode::is_json(given.text) {
            let nodes = decode::json(given.text, scratch, arena)?;
            (self.object(nodes, given, scratch, arena), nodes)
        } else {
            let read = self.text(given, scratch, arena)?;
            let nodes = read.nodes;
            (Ok(read), nodes)
        };
        if outer.as_ref().is_ok_and(|read| !read.program.generic) || depth >= DEPTH_MAX {
            return outer;
        }
        self.carried(nodes, given, depth, scratch, arena).map_or(outer, Ok)
    }

    /// A JSON object as it stands.
    fn object<'a>(&'a self, nodes: &'a Nodes<'a>, given: Given<'a>, scratch: &mut Scratch, arena: &'a Bump) -> Result<Read<'a>, Malformed> {
        let program = self.claimed(self.recogniser.claim(nodes, given, arena, &mut scratch.slots)?)?;
        let context = &given.batch.context;
        let format = decode::fitting(&program.formats, "{", context);
        Ok(Read { program, format, nodes: decode::named(format, nodes, context, arena) })
    }

    fn text<'a>(&'a self, given: Given<'a>, scratch: &mut Scratch, arena: &'a Bump) -> Result<Read<'a>, Malformed> {
        let program = self.claimed(self.recogniser.claim_text(given, scratch, arena)?)?;
        let format = decode::fitting(&program.formats, given.text, &given.batch.context);
        Ok(Read { program, format, nodes: decode::decode(format, program, given.text, given.batch, scratch, arena)? })
    }

    /// The first inner record that a particular stream claims.
    fn carried<'a>(&'a self, nodes: &'a Nodes<'a>, given: Given<'a>, depth: usize, scratch: &mut Scratch, arena: &'a Bump) -> Option<Read<'a>> {
        if depth >= DEPTH_MAX {
            return None;
        }
        CARRIERS.iter().find_map(|path| {
            let place = path.iter().try_fold(0, |at, key| tree::get(nodes, at, key)).or_else(|| tree::get(nodes, 0, &path.join(".")))?;
            let inner = match nodes.get(place)? {
                Node::String(text) if text.len() >= CARRIED_BYTES_MIN => self.at_depth(Given { text, ..given }, depth + 1, scratch, arena),
                Node::Object { .. } => {
                    let nodes = nodes.get(place..tree::after(nodes, place))?;
                    let inner = self.object(nodes, given, scratch, arena);
                    if inner.as_ref().is_ok_and(|read| !read.program.generic) {
                        inner
                    } else {
                        return self.carried(nodes, given, depth + 1, scratch, arena);
                    }
                }
                _ => return None,
            };
            inner.ok().filter(|read| !read.program.generic)
        })
    }

    fn claimed(&self, place: usize) -> Result<&crate::map::program::Program, Malformed> {
        self.programs.get(place).ok_or_else(|| Malformed::form("no stream claims it"))
    }
}
