//! A compiled stream: what is done with each record.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;
use weft_model::ocsf::Enum;
use weft_model::{ClassUid, StreamId};

use super::code::Code;
use super::columns::{Layout, Leaf};
use super::pattern::Pattern;
use crate::language::Trie;
use crate::language::expr::Segment;
use crate::language::file::{Form, Format};
use crate::language::origin::Origin;

/// All classes that mappings write, with their columns.
#[derive(Debug, Default)]
pub struct Classes {
    /// In order of uid.
    pub list: Vec<ClassColumns>,
}

/// Columns of one class.
#[derive(Debug)]
pub struct ClassColumns {
    /// The class.
    pub class: ClassUid,
    /// Its columns.
    pub layout: Layout,
    /// The same as Arrow schema.
    pub schema: SchemaRef,
    /// Leaves that are filled in for every event.
    pub common: Common,
}

/// Leaves that every class has.
#[derive(Debug, Default, Clone, Copy)]
#[expect(missing_docs, reason = "named after the attributes")]
pub struct Common {
    pub class_uid: Leaf,
    pub class_name: Leaf,
    pub category_uid: Leaf,
    pub category_name: Leaf,
    pub activity_id: Leaf,
    pub activity_name: Leaf,
    pub type_uid: Leaf,
    pub type_name: Leaf,
    pub severity_id: Leaf,
    pub severity: Leaf,
    pub time: Leaf,
    pub raw_data: Leaf,
    pub unmapped: Leaf,
    pub extra: Leaf,
    pub uid: Leaf,
    pub version: Leaf,
    pub product: Leaf,
    pub vendor: Leaf,
    pub profiles: Leaf,
    pub processed_time: Leaf,
    pub observables: Leaf,
    pub observable: ObservableLeaves,
}

/// Leaves of one element of `observables`.
#[derive(Debug, Default, Clone, Copy)]
#[expect(missing_docs, reason = "named after the attributes")]
pub struct ObservableLeaves {
    pub name: Leaf,
    pub type_id: Leaf,
    pub kind: Leaf,
    pub value: Leaf,
}

/// A stream, compiled.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub stream: StreamId,
    /// Vendor and product of its connector: what an event is of whose mapping does not say it.
    pub maker: (String, String),
    /// Whether it claims whatever has its form, so that others are asked first.
    pub generic: bool,
    /// How a record is read; the first that fits it.
    pub formats: Vec<Format>,
    /// Column names for CSV without a header, with the separator.
    pub columns: Vec<String>,
    /// Column separator for CSV.
    pub delimiter: Delimiter,
    /// Keys of arrays that carry records in a document.
    pub records: Vec<String>,
    /// Texts that are parsed in place.
    pub expand: Vec<(Vec<Segment>, Form)>,
    /// All paths.
    pub trie: Trie,
    /// What tells its records from all others, as written.
    pub recognise_text: Option<String>,
    /// Kinds of events, in order; then the fall-backs.
    pub plans: Vec<Plan>,
    /// Which plans to try.
    pub dispatch: Dispatch,
}

/// What separates columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// The first of tab, comma, space in the first line.
    Auto,
    /// This one.
    Char(char),
}

/// One kind of event.
#[derive(Debug)]
pub struct Plan {
    /// Place of the class in [`Classes`].
    pub class: usize,
    /// Constants of the class.
    pub names: Arc<ClassNames>,
    /// Condition.
    pub when: Option<Code>,
    /// Condition with captures.
    pub capture: Option<Capture>,
    /// Texts that mean absent.
    pub absent: Arc<[String]>,
    /// What is set.
    pub object: ObjectPlan,
    /// Profiles by the flag of their attributes.
    pub profiles: Vec<(u128, String)>,
    /// The plan for records that do not satisfy this one: a base event.
    pub fallback: Option<usize>,
    /// Where it stands, in a traced compilation.
    pub trace: Option<Box<PlanTrace>>,
}

/// Where a plan stands.
#[derive(Debug, Default)]
pub struct PlanTrace {
    /// OCSF class.
    pub class: String,
    /// Its event in the mapping file.
    pub place: String,
    /// The parts of its condition, in order.
    pub conditions: Vec<Origin>,
    /// Its condition with captures.
    pub capture: Option<Origin>,
}

/// Texts and numbers that are the same for every event of a class.
#[derive(Debug)]
pub struct ClassNames {
    /// `class_uid`
    pub class_uid: i64,
    /// `class_name`
    pub class_name: String,
    /// `category_uid`
    pub category_uid: i64,
    /// `category_name`
    pub category_name: String,
    /// `activity_id`, `activity_name`, `type_name`
    pub activities: Vec<(i64, String, String)>,
}

/// A regex whose named groups are captures.
#[derive(Debug)]
pub struct Capture {
    /// The text.
    pub on: Code,
    /// The regex.
    pub pattern: Arc<Pattern>,
    /// Number of the group of each capture.
    pub groups: Vec<usize>,
}

/// What is set in one event or element.
#[derive(Debug, Default)]
pub struct ObjectPlan {
    /// Leaves.
    pub assigns: Vec<Assign>,
    /// Lists of objects.
    pub lists: Vec<ListPlan>,
    /// Ids that are 0 where their object is there and nothing set them.
    pub completions: Vec<Completion>,
    /// What must be there together, innermost objects first.
    pub rules: Vec<Rule>,
    /// Where each of `assigns` stands, in a traced compilation; else empty.
    pub origins: Vec<Origin>,
    /// Paths of `lists`, likewise.
    pub list_paths: Vec<String>,
}

/// One leaf.
#[derive(Debug)]
pub struct Assign {
    /// Which.
    pub leaf: Leaf,
    /// To what.
    pub code: Code,
    /// As what.
    pub convert: Convert,
    /// What its presence means to rules.
    pub flags: u128,
    /// The caption of an id, or the id of a caption.
    pub sibling: Option<(Leaf, u128)>,
    /// Name and type id of the observable that it is.
    pub observable: Option<(Arc<str>, i64)>,
    /// Whether it is worth keeping an element for: not a constant.
    pub informs: bool,
    /// Whether it can carry an attribute of the record over whole, see [`Code::carries`].
    pub carries: bool,
}

/// A list of objects.
#[derive(Debug)]
pub struct ListPlan {
    /// Which.
    pub leaf: Leaf,
    /// What its presence means to rules.
    pub flags: u128,
    /// Elements by number.
    pub fixed: Vec<ObjectPlan>,
    /// Elements for each item.
    pub each: Vec<EachPlan>,
}

/// Elements for each item.
#[derive(Debug)]
pub struct EachPlan {
    /// The source.
    pub from: Code,
    /// Condition.
    pub when: Option<Code>,
    /// The element.
    pub element: ObjectPlan,
}

/// An id that is 0 where nothing sets it.
#[derive(Debug)]
pub struct Completion {
    /// The object is there.
    pub when: u128,
    /// The id is not.
    pub unless: u128,
    /// The id.
    pub leaf: Leaf,
    /// Its value.
    pub value: i64,
    /// Its caption.
    pub caption: Option<(Leaf, String)>,
    /// What the id means to rules.
    pub flags: u128,
}

/// What must be there together.
#[derive(Debug)]
pub struct Rule {
    /// Applies where this object is there; 0 is the event or element itself.
    pub when: u128,
    /// All of these.
    pub all: u128,
    /// One of these, if not 0.
    pub any: u128,
    /// Exactly one of these, if not 0.
    pub one: u128,
}

/// What a value is made.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named after the OCSF types")]
pub enum Convert {
    Text,
    Ip,
    Mac,
    Email,
    Subnet,
    Datetime,
    Json,
    Int,
    Port,
    Float,
    Bool,
    Time,
    /// An id; its caption goes to the sibling.
    Id(&'static Enum),
    /// One of some names, in any case.
    Name(&'static Enum),
    /// A caption; its id goes to the sibling.
    Caption(&'static Enum),
    /// A list of texts, each so.
    Texts(Box<Convert>),
    /// A list of numbers.
    Ints,
}

/// Which plans can fit a record, by the value that most of their conditions compare.
#[derive(Debug, Default)]
pub struct Dispatch {
    /// What they compare.
    pub key: Option<Code>,
    /// Plans by value, in order.
    pub by_value: HashMap<String, Box<[usize]>>,
    /// Plans for any other value.
    pub rest: Box<[usize]>,
}
