//! The forms of OCSF's text types, as the schema states them. Types for which it states none
//! (host names, URLs, paths, hashes since 1.8) are not checked.

use std::net::IpAddr;
use weft_model::ocsf::Type;

/// What a text of this type should look like, if it does not.
pub(super) fn expected(type_: Type, text: &str) -> Option<&'static str> {
    let (holds, expectation) = match type_ {
        Type::Ip => (is_ip(text), "an IPv4 or IPv6 address"),
        Type::Subnet => (is_subnet(text), "a network as `address/prefix`"),
        Type::Mac => (is_mac(text), "a MAC address as `18:36:F3:98:4F:9A`"),
        Type::Email => (is_email(text), "an e-mail address"),
        Type::Uuid => (is_uuid(text), "a UUID"),
        Type::Datetime => (is_datetime(text), "a time as `2026-01-31T23:20:50.520Z`"),
        Type::Bytestring => (is_base64(text), "base 64"),
        _ => return None,
    };
    (!holds).then_some(expectation)
}

fn is_ip(text: &str) -> bool {
    let text = text.trim();
    let address = text.split_once('%').map_or(text, |(address, _zone)| address);
    address.parse::<IpAddr>().is_ok()
}

fn is_subnet(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    match (address.parse::<IpAddr>(), prefix.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => bits <= 32,
        (Ok(IpAddr::V6(_)), Ok(bits)) => bits <= 128,
        _ => false,
    }
}

fn is_mac(text: &str) -> bool {
    text.len() == 17 && text.bytes().enumerate().all(|(place, byte)| if place % 3 == 2 { matches!(byte, b':' | b'-') } else { byte.is_ascii_hexdigit() })
}

/// A mail address as the schema wants it: a name, `@`, and a domain with a dot.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let Some((host, rest)) = domain.split_once('.') else { return false };
    let label = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    !local.is_empty()
        && !local.bytes().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'@' | b'<' | b'>'))
        && !host.is_empty()
        && !rest.is_empty()
        && label(domain)
}

fn is_uuid(text: &str) -> bool {
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    text.len() == 36 && text.bytes().enumerate().all(|(place, byte)| if matches!(place, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// RFC 3339 as OCSF has it: the zone may be missing, a space may not stand for `T`.
fn is_datetime(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked(19) else { return false };
    let form = |pattern: &str, text: &str| {
        pattern.len() == text.len() && pattern.bytes().zip(text.bytes()).all(|(form, byte)| if form == b'0' { byte.is_ascii_digit() } else { form == byte })
    };
    if !form("0000-00-00T00:00:00", &date_time.to_ascii_uppercase()) {
        return false;
    }
    let number = |from: usize| date_time.get(from..from + 2).and_then(|digits| digits.parse::<u8>().ok()).unwrap_or(u8::MAX);
    if !(1..=12).contains(&number(5)) || !(1..=31).contains(&number(8)) || number(11) > 24 || number(14) > 59 || number(17) > 60 {
        return false;
    }
    let zone = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|first: char| first.is_ascii_digit()) => fraction.trim_start_matches(|digit: char| digit.is_ascii_digit()),
        Some(_) => return false,
        None => rest,
    };
    zone.is_empty() || zone.eq_ignore_ascii_case("z") || form("+00:00", zone) || form("-00:00", zone)
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let of = |extra: [u8; 2]| digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte));
    text.len().is_multiple_of(4) && padding <= 2 && (of([b'+', b'/']) || of([b'-', b'_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_from_what_only_looks_like_them() {
        let cases: [(Type, &[&str], &[&str]); 7] = [
            (Type::Ip, &["192.168.200.24", "2001:db8::1", "fe80::1%eth0", " 10.0.0.1 "], &["", "1.2.3", "1.2.3.256", "host", "1.2.3.4:80"]),
            (Type::Subnet, &["192.168.1.0/24", "2001:db8::/64"], &["192.168.1.0", "192.168.1.0/33", "x/24"]),
            (Type::Mac, &["18:36:F3:98:4F:9A", "18-36-f3-98-4f-9a"], &["18:36:F3:98:4F", "1836.f398.4f9a", "18:36:F3:98:4F:9G"]),
            (
                Type::Email,
                &["john_doe@example.com", "a.b+c@sub.example.org"],
                &["john", "john@localhost", "@example.com", "John <john@example.com>", "a b@example.com"],
            ),
            (Type::Uuid, &["123e4567-e89b-12d3-a456-426614174000", "{123E4567-E89B-12D3-A456-426614174000}"], &["123e4567e89b12d3a456426614174000", "x"]),
            (
                Type::Datetime,
                &["2024-09-10T23:20:50.520Z", "2024-09-10T23:20:50.520789Z", "2024-09-10t23:20:50+02:00", "2024-09-10T23:20:50"],
                &["2024-13-10T23:20:50Z", "2024-09-10", "2024-09-10T23:20:50.Z", "2024-09-10T23:20:50 UTC", "20é4-09-10T23:20:50Z", "2024-09-10 23:20:50Z"],
            ),
            (Type::Bytestring, &["", "AAEC", "AA==", "-_-_"], &["AAE", "AA=A", "A+-A", "===="]),
        ];
        for (type_, right, wrong) in cases {
            for text in right {
                assert_eq!(expected(type_, text), None, "{type_:?} {text}");
            }
            for text in wrong {
                assert!(expected(type_, text).is_some(), "{type_:?} {text}");
            }
        }
        assert_eq!(expected(Type::Hostname, "anything at all"), None);
    }
}
