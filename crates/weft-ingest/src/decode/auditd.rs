//! Linux audit records: `type=SYSCALL msg=audit(1604996384.965:93777): key=value …`.

use bumpalo::Bump;

use super::{Malformed, kv, syslog};
use crate::tree::Builder;

/// Fields that the kernel writes in hexadecimal when they hold a space, a quote or a control
/// character (audit_log_untrustedstring), and unquoted then.
const UNTRUSTED: [&str; 16] =
    ["name", "exe", "comm", "cwd", "proctitle", "cmd", "acct", "key", "path", "dir", "file", "vm", "data", "old-chain", "new-chain", "grp"];

/// `type time serial`, then the keys; those inside `msg='…'` at the same level.
pub fn decode<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let missing = || Malformed::form("`type=… msg=audit(time:serial):` is missing");
    let start = text.find("type=").ok_or_else(missing)?;
    let (head, body) = text.split_at_checked(start).ok_or_else(missing)?;
    if !head.trim().is_empty() {
        if let Some(node) = head.trim().strip_prefix("node=") {
            tree.pair("node", node.split(' ').next().unwrap_or(node));
        } else {
            let _message = syslog::strip(head, arena, tree);
        }
    }
    let (kind, rest) = body.strip_prefix("type=").and_then(|body| body.split_once(' ')).ok_or_else(missing)?;
    let (_, rest) = rest.split_once("audit(").ok_or_else(missing)?;
    let (stamp, rest) = rest.split_once(')').ok_or_else(missing)?;
    let (time, serial) = stamp.rsplit_once(':').ok_or_else(missing)?;
    tree.pair("type", kind);
    tree.pair("time", time);
    tree.pair("serial", serial);
    fields(rest.trim_start_matches(':').trim(), kind, arena, tree);
    Ok(())
}

fn fields<'a>(text: &'a str, kind: &str, arena: &'a Bump, tree: &mut Builder<'a>) {
    // ENRICHED format: the interpreted copies follow a group separator, with keys in capitals.
    let (plain, enriched) = text.split_once('\u{1d}').unwrap_or((text, ""));
    let (plain, inner) = match plain.split_once("msg='") {
        Some((before, inner)) => (before, inner.trim_end().trim_end_matches('\'')),
        None => (plain, ""),
    };
    for part in [plain, inner, enriched] {
        kv::pairs(part, arena, &mut |key, value| {
            let hex = (UNTRUSTED.contains(&key) || (kind.ends_with("EXECVE") && is_argument(key))).then(|| unhex(value, arena)).flatten();
            tree.pair(key, hex.unwrap_or(value));
        });
    }
}

/// `a0`, `a1`, … of EXECVE.
fn is_argument(key: &str) -> bool {
    key.strip_prefix('a').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// NUL separates arguments in `proctitle`; it reads as a space.
fn unhex<'a>(value: &str, arena: &'a Bump) -> Option<&'a str> {
    if value.len() < 2 || value.len() % 2 == 1 || !value.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        value.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect();
    let text = String::from_utf8(bytes?).ok()?;
    // A short run of digits is a number or a name far more often than encoded text.
    let encoded = text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'')) || !text.is_ascii();
    encoded.then(|| &*arena.alloc_str(text.trim_end_matches('\0').replace('\0', " ").as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(line: &str) -> serde_json::Value {
        let arena = Bump::new();
        let mut tree = Builder::default();
        tree.object();
        decode(line, &arena, &mut tree).unwrap();
        let mut out = Vec::new();
        crate::tree::write_json(&tree.finish(), 0, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn the_kernel_and_user_space_forms() {
        let event = json(r#"type=PROCTITLE msg=audit(1604996384.965:93777): proctitle=646400696620"#);
        assert_eq!((&event["type"], &event["proctitle"], &event["serial"]), (&"PROCTITLE".into(), &"dd if ".into(), &"93777".into()));
        let event = json(r#"type=USER_LOGIN msg=audit(1.0:2): pid=1 msg='op=login acct="ada" exe="/usr/sbin/sshd" addr=192.0.2.1 res=failed'"#);
        assert_eq!((&event["acct"], &event["res"], &event["exe"]), (&"ada".into(), &"failed".into(), &"/usr/sbin/sshd".into()));
        assert_eq!(json("type=PATH msg=audit(1.0:2): name=\"/tmp/a\" inode=12")["inode"], "12");
    }
}
