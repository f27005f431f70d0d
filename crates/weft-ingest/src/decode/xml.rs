//! XML elements, among them the rendered form of a Windows event.
//!
//! No document type, no external entities: only the five predefined ones and character
//! references are known, so that nothing can be expanded to more than was written.

use bumpalo::Bump;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use weft_model::RejectCause;

use super::{DEPTH_MAX, Malformed, NODES_MAX};
use crate::tree::{Builder, Node};

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

/// The root element under its name.
pub fn decode<'a>(text: &str, arena: &'a Bump) -> Result<Vec<Node<'a>>, Malformed> {
    let root = parse(text)?;
    let mut tree = Builder::default();
    tree.object();
    tree.key(arena.alloc_str(&root.name));
    write(&root, arena, &mut tree);
    Ok(tree.finish())
}

/// What is in the root element, as the next value of a tree; false when it is no XML.
pub fn inside<'a>(text: &str, arena: &'a Bump, tree: &mut Builder<'a>) -> bool {
    match parse(text) {
        Ok(root) => {
            // An element `EventData` expanded at an attribute of that name reads as its content.
            write(&root, arena, tree);
            true
        }
        Err(_) => false,
    }
}

fn parse(text: &str) -> Result<Element, Malformed> {
    let malformed = |error: &dyn std::fmt::Display| Malformed::form(format!("it is not XML: {error}"));
    let mut reader = Reader::from_str(text);
    // Sysmon for Linux forgets the semicolon of an entity (`&lt unknown process&gt `).
    reader.config_mut().allow_dangling_amp = true;
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    loop {
        let event = reader.read_event().map_err(|error| malformed(&error))?;
        count += 1;
        if count > NODES_MAX || open.len() > DEPTH_MAX {
            return Err(Malformed::new(RejectCause::TooDeep, format!("it has more than {NODES_MAX} parts or nests deeper than {DEPTH_MAX}")));
        }
        match event {
            Event::Start(start) => open.push(element(&start)),
            Event::Empty(start) => {
                let done = element(&start);
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Ok(done),
                }
            }
            Event::End(_) => {
                let Some(done) = open.pop() else { return Err(malformed(&"an element ends that did not begin")) };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Ok(done),
                }
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(text) => append(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => append(&mut open, &entity(&reference.xml10_content())),
            Event::DocType(_) => return Err(malformed(&"a document type is not read")),
            Event::Eof => return Err(malformed(&"it ends before its root element does")),
            _ => {}
        }
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().flatten().map(|attribute| {
        let value = unescape(&attribute.value);
        (attribute.key.local_name().as_ref().to_owned(), value)
    });
    Element { name: start.local_name().as_ref().to_owned(), attributes: attributes.collect(), ..Element::default() }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        match after.split_once(';').filter(|(name, _)| name.len() <= 10) {
            Some((name, left)) => {
                plain.push_str(&entity(name));
                rest = left;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> String {
    let number =
        name.strip_prefix('#').map(|number| number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok()));
    match (name, number) {
        ("lt", _) => "<".to_owned(),
        ("gt", _) => ">".to_owned(),
        ("amp", _) => "&".to_owned(),
        ("quot", _) => "\"".to_owned(),
        ("apos", _) => "'".to_owned(),
        (_, Some(Some(code))) => char::from_u32(code).map(String::from).unwrap_or_default(),
        _ => format!("&{name};"),
    }
}

fn write<'a>(element: &Element, arena: &'a Bump, tree: &mut Builder<'a>) {
    let text = element.text.trim();
    if element.children.is_empty() && element.attributes.is_empty() {
        tree.text(arena.alloc_str(text));
        return;
    }
    tree.object();
    for (name, value) in element.attributes.iter().filter(|(name, _)| name != "xmlns") {
        tree.pair(arena.alloc_str(&format!("@{name}")), arena.alloc_str(value));
    }
    if !text.is_empty() {
        tree.pair("#text", arena.alloc_str(text));
    }
    let mut written: Vec<&str> = Vec::new();
    for child in &element.children {
        if let Some((_, name)) = child.attributes.iter().find(|(key, _)| key == "Name").filter(|_| child.name == "Data") {
            tree.pair(arena.alloc_str(name), arena.alloc_str(child.text.trim()));
            continue;
        }
        if written.contains(&child.name.as_str()) {
            continue;
        }
        written.push(&child.name);
        let same: Vec<&Element> = element.children.iter().filter(|other| other.name == child.name && !is_named(other)).collect();
        tree.key(arena.alloc_str(&child.name));
        if let [only] = same.as_slice() {
            write(only, arena, tree);
        } else {
            tree.array();
            same.iter().for_each(|each| write(each, arena, tree));
            tree.end();
        }
    }
    tree.end();
}

fn is_named(element: &Element) -> bool {
    element.name == "Data" && element.attributes.iter().any(|(key, _)| key == "Name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> serde_json::Value {
        let arena = Bump::new();
        let nodes = decode(text, &arena).unwrap();
        let mut out = Vec::new();
        crate::tree::write_json(&nodes, 0, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_rendered_event() {
        let event = json(
            r#"<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='P'/><EventID Qualifiers='0'>7</EventID></System><EventData><Data Name='A'>x &amp; &#x41;</Data><Data>u</Data><Data>v</Data></EventData></Event>"#,
        );
        assert_eq!(event["Event"]["System"]["Provider"]["@Name"], "P");
        assert_eq!(event["Event"]["System"]["EventID"]["#text"], "7");
        assert_eq!(event["Event"]["EventData"], serde_json::json!({"A": "x & A", "Data": ["u", "v"]}));
    }

    #[test]
    fn bombs_and_fragments_are_refused() {
        let arena = Bump::new();
        assert!(decode("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", &arena).is_err());
        assert!(decode("<a><b>", &arena).is_err());
        assert!(decode(&"<a>".repeat(200), &arena).is_err());
    }
}
