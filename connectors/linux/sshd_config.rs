//! The options of an SSH daemon: what `sshd -T` prints, or what its file says.

use std::collections::BTreeMap;

/// Most lines that are read; the longest real file has a few hundred.
const LINES_MAX: usize = 10_000;
/// What OpenSSH does where its file says nothing (sshd_config(5)), for the options that checks
/// look at.
const DEFAULTS: [(&str, &str); 6] = [
    ("permitrootlogin", "prohibit-password"),
    ("passwordauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("pubkeyauthentication", "yes"),
    ("x11forwarding", "no"),
    ("maxauthtries", "6"),
];

/// Effective options as `sshd -T` prints them: `name value`, names in lower case.
pub fn dump(text: &str) -> BTreeMap<String, String> {
    options(text)
}

/// Options of an `sshd_config` with OpenSSH's defaults where it says nothing.
///
/// `Match` blocks hold for some connections only and are left out, as is what `Include` names:
/// where `sshd -T` can be run, [`dump`] is the better source.
pub fn file(text: &str) -> BTreeMap<String, String> {
    let mut found = options(text);
    for (name, value) in DEFAULTS {
        found.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    found
}

/// The first value of an option is the one that counts.
fn options(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().take(LINES_MAX).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((name, value)) = line.split_once(|c: char| c.is_whitespace() || c == '=') else { continue };
        let name = name.to_lowercase();
        if name == "match" {
            break;
        }
        let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '=').trim().trim_matches('"');
        found.entry(name).or_insert_with(|| value.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_match_blocks_do_not() {
        let options = file("# a comment\nPermitRootLogin yes\npermitrootlogin no\nPasswordAuthentication=no\nMatch User ada\n  X11Forwarding yes\n");
        let get = |name: &str| options.get(name).map(String::as_str);
        assert_eq!(
            (get("permitrootlogin"), get("passwordauthentication"), get("x11forwarding"), get("permitemptypasswords")),
            (Some("yes"), Some("no"), Some("no"), Some("no"))
        );
    }

    #[test]
    fn a_dump_is_taken_as_it_is() {
        assert_eq!(dump("port 22\npermitrootlogin without-password\n").len(), 2);
        assert!(dump("").is_empty());
    }
}
