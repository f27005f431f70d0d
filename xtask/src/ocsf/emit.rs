//! Writes the compiled schema, each attribute and each enum once.

use super::compile::{Attribute, Compiled, Structure};
use std::collections::BTreeMap;
use std::fmt::Write;

/// BLAKE3 of a text, as the header names it.
pub(super) fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(32).collect()
}

/// The tables: a header, then enums (`e`), attributes (`a`), objects (`o`) and classes (`c`).
pub(super) fn emit(version: &str, declaration: &str, compiled: &Compiled) -> String {
    let all = || compiled.objects.iter().chain(&compiled.classes).flat_map(|structure| &structure.attributes);
    let enums = numbered(all().map(|attribute| attribute.values.clone()).filter(|values| !values.is_empty()));
    let attributes = numbered(all().cloned());
    let mut body = String::new();
    for values in by_number(&enums) {
        body.push('e');
        for (value, caption) in values {
            let _ = write!(body, "\t{value}={caption}");
        }
        body.push('\n');
    }
    for attribute in by_number(&attributes) {
        emit_attribute(&mut body, attribute, &enums);
    }
    for object in &compiled.objects {
        let _ = write!(body, "o\t{}\t{}\t{}", object.name, object.caption, optional(object.observable));
        emit_members(&mut body, object, &attributes);
    }
    for class in &compiled.classes {
        let flag = if class.deprecated { "d" } else { "-" };
        let _ = write!(body, "c\t{}\t{}\t{}\t{}\t{}\t{flag}", class.name, class.caption, class.uid, class.category, class.category_caption);
        emit_members(&mut body, class, &attributes);
    }
    format!("ocsf\t{version}\t{}\t{}\n{body}", digest(declaration), digest(&body))
}

fn emit_attribute(body: &mut String, attribute: &Attribute, enums: &BTreeMap<Vec<(String, String)>, usize>) {
    let array = if attribute.is_array { "[]" } else { "" };
    let type_ = attribute.object.as_ref().map_or_else(|| attribute.type_.clone(), |object| format!("@{object}"));
    let flags = format!("{}{}", attribute.requirement, if attribute.deprecated { "d" } else { "" });
    let _ = writeln!(
        body,
        "a\t{}\t{type_}{array}\t{flags}\t{}\t{}\t{}\t{}",
        attribute.name,
        optional(enums.get(&attribute.values)),
        attribute.sibling.as_deref().unwrap_or("-"),
        if attribute.profiles.is_empty() { "-".to_owned() } else { attribute.profiles.join(",") },
        optional(attribute.observable),
    );
}

fn emit_members(body: &mut String, structure: &Structure, attributes: &BTreeMap<Attribute, usize>) {
    let list = |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(",") };
    let members: Vec<String> = structure.attributes.iter().filter_map(|attribute| attributes.get(attribute)).map(usize::to_string).collect();
    let _ = writeln!(body, "\t{}\t{}\t{}", list(&structure.at_least_one), list(&structure.just_one), members.join(" "));
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Each distinct item with its number, in the items' own order, so that a change moves few lines.
fn numbered<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut map: BTreeMap<T, usize> = items.map(|item| (item, 0)).collect();
    for (number, slot) in map.values_mut().enumerate() {
        *slot = number;
    }
    map
}

fn by_number<T>(map: &BTreeMap<T, usize>) -> impl Iterator<Item = &T> {
    map.keys()
}
