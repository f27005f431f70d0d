//! Values of indicators and observables in the one form in which they are compared.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use siphasher::sip128::SipHasher13;
use url::Url;

use super::Kind;

/// Longest value.
pub const VALUE_BYTES_MAX: usize = 8192;
/// Widest networks that are taken: wider ones mean everybody.
const V4_PREFIX_MIN: u8 = 8;
const V6_PREFIX_MIN: u8 = 16;
/// Key of the hash: it stays, since indexes of the lake are kept in its terms.
const HASH_KEY: (u64, u64) = (0x7765_6674_2d69_6e74, 0x656c_2d6b_6579_2d31);

/// A value of one kind, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// Kind.
    pub kind: Kind,
    /// Lower case where case means nothing; a network with its prefix length; a URL without scheme
    /// `http(s)`, default port, user and fragment.
    pub text: String,
}

/// A network: the address with all host bits zero, IPv4 as the mapped IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// Prefix length counted in 128 bits.
    pub prefix: u8,
    /// Address.
    pub base: u128,
}

impl Network {
    /// The network of this length around an address.
    pub fn around(address: u128, prefix: u8) -> Self {
        let prefix = prefix.min(128);
        let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - u32::from(prefix)) };
        Self { prefix, base: address & mask }
    }

    /// Reads `10.0.0.0/8`, or an address as the network of itself.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse::<u8>().ok().filter(|length| *length <= most)?,
            None => most,
        };
        // IPv4 stands in ::ffff:0:0/96.
        let prefix = if address.is_ipv4() { length + 96 } else { length };
        Some(Self::around(number(address), prefix))
    }

    /// Whether this network holds all of another one.
    pub fn holds(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && Self::around(other.base, self.prefix) == *self
    }

    /// Whether it is one address.
    pub fn is_address(&self) -> bool {
        self.prefix == 128
    }

    pub(super) fn is_v4(&self) -> bool {
        self.prefix >= 96 && self.base >> 32 == 0xffff
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.base).to_canonical();
        match (self.is_address(), self.is_v4()) {
            (true, _) => write!(f, "{address}"),
            (false, true) => write!(f, "{address}/{}", self.prefix - 96),
            (false, false) => write!(f, "{}/{}", Ipv6Addr::from(self.base), self.prefix),
        }
    }
}

/// An address as a number; IPv4 as the mapped IPv6 address.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

impl Value {
    /// A value of a known kind as an indicator.
    ///
    /// # Errors
    /// Why it is none, for a person.
    pub fn indicator(kind: Kind, text: &str) -> Result<Self, String> {
        let text = fanged(text);
        let value = Self::observed(kind, &text).ok_or_else(|| format!("`{}` is no {}", shown(&text), kind.name()))?;
        match kind {
            Kind::Ip => match value.network() {
                Some(net) if net.prefix < if net.is_v4() { V4_PREFIX_MIN + 96 } else { V6_PREFIX_MIN } => Err(format!(
                    "`{}` is too wide a network: shorter than /{V4_PREFIX_MIN} (IPv4) or /{V6_PREFIX_MIN} (IPv6) it would mean everybody",
                    value.text
                )),
                _ => Ok(value),
            },
            Kind::Domain if registrable(&value.text).is_none() => Err(format!("`{}` is a public suffix, below which everybody registers names", value.text)),
            _ => Ok(value),
        }
    }

    /// A value of an unknown kind as an indicator, by its looks.
    ///
    /// # Errors
    /// Why it is none, for a person.
    pub fn guess(text: &str) -> Result<Self, String> {
        let text = fanged(text);
        let kinds: &[Kind] = if text.contains("://") {
            &[Kind::Url]
        } else if text.contains('@') && !text.contains('/') {
            &[Kind::Email]
        } else if Network::parse(&text).is_some() || address_of(&text).is_some() {
            &[Kind::Ip]
        } else if text.contains('/') {
            &[Kind::Url]
        } else {
            &[Kind::Hash, Kind::Ja4, Kind::Domain]
        };
        for kind in kinds {
            if Self::observed(*kind, &text).is_some() {
                return Self::indicator(*kind, &text);
            }
        }
        Err(format!("`{}` is of no kind that is known", shown(&text)))
    }

    /// A value as an event has it; none when it is not of this kind.
    pub fn observed(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > VALUE_BYTES_MAX {
            return None;
        }
        let text = match kind {
            Kind::Ip => Network::parse(text).or_else(|| address_of(text))?.to_string(),
            Kind::Domain => domain(text)?,
            Kind::Url => url(text)?,
            Kind::Email => email(text)?,
            Kind::Hash | Kind::Certificate => hex(text, &[32, 40, 56, 64, 96, 128])?,
            Kind::Ja3 | Kind::Ja3s => hex(text, &[32])?,
            Kind::Ja4 => ja4(text)?,
            Kind::UserAgent => text.to_owned(),
        };
        Some(Self { kind, text })
    }

    /// The network that it is.
    pub fn network(&self) -> Option<Network> {
        if self.kind == Kind::Ip { Network::parse(&self.text) } else { None }
    }

    /// What it is looked up by.
    pub fn hash(&self) -> u128 {
        hash(self.kind, &self.text)
    }

    /// The host of a URL, the domain of an e-mail address: values that are named with it.
    pub fn within(&self) -> Option<Self> {
        let host = match self.kind {
            Kind::Url => {
                let rest = self.text.split_once("://").map_or(self.text.as_str(), |(_, rest)| rest);
                let host = rest.split(['/', '?']).next()?;
                if let Some(v6) = host.strip_prefix('[') { v6.split(']').next()? } else { host.split(':').next()? }
            }
            Kind::Email => self.text.rsplit_once('@')?.1,
            _ => return None,
        };
        Self::observed(Kind::Ip, host).or_else(|| Self::observed(Kind::Domain, host))
    }

    /// The domain and all domains above it, down to the one that somebody registered.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let least = if self.kind == Kind::Domain { registrable(&self.text).map_or(usize::MAX, str::len) } else { usize::MAX };
        let starts = std::iter::once(0).chain(self.text.match_indices('.').map(|(at, _)| at + 1));
        starts.filter_map(|at| self.text.get(at..)).take_while(move |name| name.len() >= least)
    }
}

/// What a value of this kind is looked up by.
pub fn hash(kind: Kind, text: &str) -> u128 {
    let (k0, k1) = HASH_KEY;
    SipHasher13::new_with_keys(k0, k1 ^ u64::from(kind.number())).hash(text.as_bytes()).as_u128()
}

/// The domain that somebody registered, of a name below a public suffix.
fn registrable(name: &str) -> Option<&str> {
    psl::domain_str(name)
}

/// What reports write so that nobody follows it: `hxxp://evil[.]com`.
fn fanged(text: &str) -> String {
    let text = text.trim().trim_matches(['"', '\'', '`']).trim();
    let mut plain = text.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":").replace("[@]", "@").replace("[at]", "@").replace("[://]", "://");
    for (defanged, scheme) in [("hxxps:", "https:"), ("hxxp:", "http:")] {
        if let Some(rest) = plain.get(..defanged.len()).filter(|start| start.eq_ignore_ascii_case(defanged)).and_then(|_| plain.get(defanged.len()..)) {
            plain = format!("{scheme}{rest}");
        }
    }
    plain
}

/// `1.2.3.4:443` and `[::1]:443` mean the address.
fn address_of(text: &str) -> Option<Network> {
    let socket: std::net::SocketAddr = text.parse().ok()?;
    Some(Network::around(number(socket.ip()), 128))
}

fn domain(text: &str) -> Option<String> {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        match url::Host::parse(text).ok()? {
            url::Host::Domain(name) => name,
            url::Host::Ipv4(_) | url::Host::Ipv6(_) => return None,
        }
    };
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let labels = name.contains('.') && name.len() <= 253 && name.split('.').all(label);
    // The last label of a name is never a number: that is an address.
    let named = name.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    (labels && named).then_some(name)
}

fn url(text: &str) -> Option<String> {
    let parsed = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) }.ok()?;
    let host = parsed.host_str()?.trim_end_matches('.');
    let mut plain = String::with_capacity(text.len());
    if !matches!(parsed.scheme(), "http" | "https") {
        plain.push_str(parsed.scheme());
        plain.push_str("://");
    }
    plain.push_str(host);
    // The port that the scheme means anyway is none already.
    if let Some(port) = parsed.port().filter(|port| !matches!(port, 80 | 443)) {
        plain.push_str(&format!(":{port}"));
    }
    plain.push_str(parsed.path());
    if let Some(query) = parsed.query() {
        plain.push('?');
        plain.push_str(query);
    }
    Some(plain)
}

fn email(text: &str) -> Option<String> {
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(inner, _)| inner);
    let (local, host) = inner.trim().rsplit_once('@')?;
    let fits = !local.is_empty() && !local.contains(char::is_whitespace);
    fits.then(|| domain(host)).flatten().map(|host| format!("{}@{host}", local.to_lowercase()))
}

fn hex(text: &str, lengths: &[usize]) -> Option<String> {
    let plain = text.bytes().all(|b| b.is_ascii_hexdigit());
    if plain {
        return lengths.contains(&text.len()).then(|| text.to_ascii_lowercase());
    }
    // Certificates' digests are often written in pairs.
    let joined: String = text.split(':').collect();
    let paired = text.contains(':') && joined.bytes().all(|b| b.is_ascii_hexdigit()) && lengths.contains(&joined.len());
    paired.then(|| joined.to_ascii_lowercase())
}

/// `t13d1516h2_8daaf6152771_e5627efa2ab1`, and the raw and server forms of it.
fn ja4(text: &str) -> Option<String> {
    let mut parts = text.split('_');
    let first = parts.next()?;
    let fits = (2..=5).contains(&text.split('_').count())
        && (7..=12).contains(&first.len())
        && first.starts_with(['t', 'q', 'd', 'T', 'Q', 'D'])
        && first.bytes().all(|b| b.is_ascii_alphanumeric())
        && parts.all(|part| part.len() >= 4 && part.bytes().all(|b| b.is_ascii_hexdigit() || b == b','));
    fits.then(|| text.to_ascii_lowercase())
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(kind: Kind, a: &str, b: &str) {
        assert_eq!(Value::observed(kind, a), Value::observed(kind, b), "{a} {b}");
        assert!(Value::observed(kind, a).is_some(), "{a}");
    }

    #[test]
    fn one_value_has_one_form() {
        same(Kind::Ip, "::ffff:192.0.2.1", "192.0.2.1");
        same(Kind::Ip, "192.0.2.7/24", "192.0.2.0/24");
        same(Kind::Ip, "2001:DB8::0:1", "2001:db8::1");
        same(Kind::Domain, "Evil.COM.", "evil.com");
        same(Kind::Domain, "bücher.example", "xn--bcher-kva.example");
        same(Kind::Url, "HTTPS://Evil.com:443/a/../b?x=1#top", "evil.com/b?x=1");
        same(Kind::Url, "http://evil.com", "http://u:p@evil.com/");
        same(Kind::Email, "Mallory <Mal@Evil.com>", "mal@evil.com");
        same(Kind::Hash, "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e");
        assert_ne!(Value::observed(Kind::Url, "http://evil.com:8080/"), Value::observed(Kind::Url, "http://evil.com/"));
        assert_ne!(hash(Kind::Ja3, "x"), hash(Kind::Hash, "x"));
    }

    #[test]
    fn what_it_is_shows_in_how_it_looks() {
        for (text, kind) in [
            ("198.51.100.7", Kind::Ip),
            ("198.51.100.7:443", Kind::Ip),
            ("198.51.100.0/24", Kind::Ip),
            ("2001:db8::/32", Kind::Ip),
            ("hxxps://evil[.]com/x", Kind::Url),
            ("evil.com/x", Kind::Url),
            ("evil[.]com", Kind::Domain),
            ("mal@evil.com", Kind::Email),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80709", Kind::Hash),
            ("t13d1516h2_8daaf6152771_e5627efa2ab1", Kind::Ja4),
        ] {
            assert_eq!(Value::guess(text).map(|value| value.kind), Ok(kind), "{text}");
        }
        for text in ["co.uk", "github.io", "0.0.0.0/0", "10.0.0.0/4", "::/0", "hello", "999.1.1.1", "", "com", "a b.com"] {
            assert!(Value::guess(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_below_are_found_and_suffixes_are_not() {
        let domains = |text: &str| Value::observed(Kind::Domain, text).unwrap().domains().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(domains("a.b.evil.co.uk"), ["a.b.evil.co.uk", "b.evil.co.uk", "evil.co.uk"]);
        assert_eq!(domains("co.uk"), [] as [&str; 0]);
        let within = |kind, text: &str| Value::observed(kind, text).unwrap().within().map(|value| value.text);
        assert_eq!(within(Kind::Url, "https://a.evil.com:8080/x").as_deref(), Some("a.evil.com"));
        assert_eq!(within(Kind::Url, "https://[2001:db8::1]:8080/x").as_deref(), Some("2001:db8::1"));
        assert_eq!(within(Kind::Email, "x@evil.com").as_deref(), Some("evil.com"));
    }
}
