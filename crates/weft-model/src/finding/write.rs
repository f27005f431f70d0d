//! A finding as an OCSF event: written straight to text, because a mesh under attack makes thousands a second.

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::{Entity, Evidence, Finding, Technique};

/// OCSF Detection Finding (class 2004).
#[derive(Serialize)]
pub(super) struct Event<'f> {
    activity_id: u8,
    category_uid: u8,
    class_uid: u32,
    type_uid: u32,
    severity_id: i64,
    status_id: u8,
    time: i64,
    message: &'f str,
    metadata: Metadata,
    finding_info: Info<'f>,
    evidences: [Data<'f>; 1],
    observables: &'f [Entity],
}

#[derive(Serialize)]
struct Metadata {
    version: &'static str,
    uid: String,
    correlation_uid: String,
    product: Product,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
}

#[derive(Serialize)]
struct Info<'f> {
    uid: &'f str,
    title: &'f str,
    analytic: Analytic<'f>,
    #[serde(serialize_with = "related")]
    related_events: &'f [Evidence],
    #[serde(serialize_with = "attacks")]
    attacks: &'f [Technique],
}

#[derive(Serialize)]
struct Analytic<'f> {
    uid: &'f str,
    name: &'f str,
    type_id: u8,
}

#[derive(Serialize)]
struct Related<'f> {
    uid: &'f str,
    type_uid: u32,
    time: i64,
}

#[derive(Serialize)]
struct Data<'f> {
    data: Matched<'f>,
}

#[derive(Serialize)]
struct Matched<'f> {
    matched: &'f [String],
}

impl<'f> Event<'f> {
    pub(super) fn of(finding: &'f Finding) -> Self {
        let activity_id = if finding.update { 2 } else { 1 };
        Self {
            activity_id,
            category_uid: 2,
            class_uid: 2004,
            type_uid: 200_400 + u32::from(activity_id),
            severity_id: finding.severity_id,
            status_id: 1,
            time: finding.time.0,
            message: &finding.title,
            metadata: Metadata {
                version: "1.8.0",
                uid: finding.event_uid(),
                correlation_uid: finding.trace().as_str().to_owned(),
                product: Product { name: "Weft", vendor_name: "Weft" },
            },
            finding_info: Info {
                uid: &finding.uid,
                title: &finding.title,
                analytic: Analytic { uid: &finding.analytic_uid, name: &finding.title, type_id: 1 },
                related_events: &finding.evidence,
                attacks: &finding.techniques,
            },
            evidences: [Data { data: Matched { matched: &finding.matched } }],
            observables: &finding.entities,
        }
    }
}

fn related<S: Serializer>(evidence: &&[Evidence], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(evidence.iter().map(|event| Related { uid: &event.uid, type_uid: event.class.0 * 100, time: event.time.0 }))
}

fn attacks<S: Serializer>(techniques: &&[Technique], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(techniques.len()))?;
    techniques.iter().try_for_each(|technique| list.serialize_element(&technique.to_ocsf()))?;
    list.end()
}
