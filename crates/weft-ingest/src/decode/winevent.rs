//! The text form in which Windows events are shown: `Key=Value` lines, then `Message=` with
//! indented sections.

use bumpalo::Bump;

use super::Malformed;
use crate::tree::Builder;

/// Lines of one record.
const LINES_MAX: usize = 4096;

/// The keys; `Message.Section.Label`, `Message.Label`; `message_title`; `timestamp`.
pub fn decode<'a>(text: &'a str, _arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    if !text.contains("EventCode=") {
        return Err(Malformed::form("`EventCode=` is missing"));
    }
    let (head, message) = text.split_once("\nMessage=").map_or((text, None), |(head, message)| (head, Some(message)));
    for line in head.lines().take(LINES_MAX).map(str::trim) {
        match line.split_once('=') {
            Some((key, value)) if !key.contains(' ') => tree.pair(key, value),
            _ if line.starts_with(|c: char| c.is_ascii_digit()) => tree.pair("timestamp", line),
            _ => {}
        }
    }
    if let Some(message) = message {
        tree.pair("message_title", message.lines().next().unwrap_or("").trim());
        sections(message, tree);
    }
    Ok(())
}

/// A line that ends in a colon opens a section; deeper lines are its labels.
fn sections<'a>(message: &'a str, tree: &mut Builder<'a>) {
    tree.key("Message");
    tree.object();
    let mut open = false;
    for line in message.lines().skip(1).take(LINES_MAX) {
        let label = line.trim();
        let Some((name, value)) = label.split_once(':').filter(|(name, _)| !name.is_empty() && name.len() <= 64) else {
            continue;
        };
        let indented = line.starts_with(['\t', ' ']);
        let value = value.trim();
        if value.is_empty() && !indented {
            if open {
                tree.end();
            }
            tree.key(name.trim());
            tree.object();
            open = true;
            continue;
        }
        if !indented && open {
            tree.end();
            open = false;
        }
        tree.pair(name.trim(), value);
    }
    if open {
        tree.end();
    }
    tree.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_labels() {
        let text = "03/12/2021 10:48:14 AM\nLogName=Security\nEventCode=4688\nMessage=A new process has been created.\n\nCreator Subject:\n\tAccount Name:\t\tAdministrator\n\nProcess Information:\n\tNew Process Name:\tC:\\Windows\\reg.exe\n\nToken Elevation Type indicates: something";
        let arena = Bump::new();
        let mut tree = Builder::default();
        tree.object();
        decode(text, &arena, &mut tree).unwrap();
        let mut out = Vec::new();
        crate::tree::write_json(&tree.finish(), 0, &mut out);
        let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(event["Message"]["Creator Subject"]["Account Name"], "Administrator");
        assert_eq!(event["Message"]["Process Information"]["New Process Name"], "C:\\Windows\\reg.exe");
        assert_eq!((&event["timestamp"], &event["EventCode"]), (&"03/12/2021 10:48:14 AM".into(), &"4688".into()));
    }
}
