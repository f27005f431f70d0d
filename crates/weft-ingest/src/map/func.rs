//! Functions of the mapping language, in the order of the guide.

use std::net::IpAddr;

use super::code::{Code, Scope};
use super::time;
use super::value::Val;
use crate::shape::{self, Shape};
use crate::tree;

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal..=$most:literal),* $(,)?) => {
        /// A function by its name in the guide.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "docs/guide/mapping.md documents each by its name")]
        pub enum Func { $($variant),* }

        impl Func {
            /// By name, with the numbers of arguments that it takes.
            pub fn named(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
                match name { $($name => Some((Self::$variant, $least..=$most)),)* _ => None }
            }
            /// All names.
            pub const NAMES: &[&str] = &[$($name),*];
        }
    };
}

functions! {
    Exists "exists" 1..=1, Lower "lower" 1..=1, Upper "upper" 1..=1, Trim "trim" 1..=2, Concat "concat" 1..=16,
    Replace "replace" 3..=3, Before "before" 2..=2, After "after" 2..=2, BeforeLast "before_last" 2..=2, AfterLast "after_last" 2..=2,
    PrefixOff "prefix_off" 2..=2, Split "split" 2..=2, Join "join" 2..=2, First "first" 1..=1, Last "last" 1..=1, Item "item" 2..=2,
    Count "count" 1..=1, Pick "pick" 4..=4, Basename "basename" 1..=1, Dirname "dirname" 1..=1, DomainOf "domain_of" 1..=1, NameOf "name_of" 1..=1,
    Int "int" 1..=1, Float "float" 1..=1, Hex "hex" 1..=1, Add "add" 1..=16, Mul "mul" 2..=2, Bool "bool" 1..=1,
    Time "time" 1..=2, EpochS "epoch_s" 1..=1, EpochMs "epoch_ms" 1..=1, EpochUs "epoch_us" 1..=1, EpochNs "epoch_ns" 1..=1, Filetime "filetime" 1..=1,
    Ip "ip" 1..=1, Port "port" 1..=1, IsIp "is_ip" 1..=1, IsPrivate "is_private" 1..=1, Cidr "cidr" 2..=2,
    UrlHost "url_host" 1..=1, UrlPath "url_path" 1..=1, UrlQuery "url_query" 1..=1, UrlScheme "url_scheme" 1..=1, UrlPort "url_port" 1..=1,
    UrlDecode "url_decode" 1..=1, Kv "kv" 2..=4, Found "found" 1..=1, Json "json" 1..=1, AsText "text" 1..=1,
}

impl Func {
    /// Whether the result carries all that its arguments say.
    pub fn carries_all(self) -> bool {
        use Func::{
            Add, AsText, Bool, Concat, EpochMs, EpochNs, EpochS, EpochUs, Filetime, Float, Hex, Int, Ip, Join, Json, Lower, Mul, PrefixOff, Replace, Split,
            Time, Trim, Upper, UrlDecode,
        };
        matches!(
            self,
            Add | AsText
                | Bool
                | Concat
                | EpochMs
                | EpochNs
                | EpochS
                | EpochUs
                | Filetime
                | Float
                | Hex
                | Int
                | Ip
                | Join
                | Json
                | Lower
                | Mul
                | PrefixOff
                | Replace
                | Split
                | Time
                | Trim
                | Upper
                | UrlDecode
        )
    }

    /// Whether a list is taken item by item.
    fn is_for_each(self) -> bool {
        use Func::{After, AfterLast, Basename, Before, BeforeLast, Dirname, DomainOf, Ip, Lower, NameOf, PrefixOff, Replace, Trim, Upper, UrlDecode, UrlHost};
        matches!(
            self,
            After
                | AfterLast
                | Basename
                | Before
                | BeforeLast
                | Dirname
                | DomainOf
                | Ip
                | Lower
                | NameOf
                | PrefixOff
                | Replace
                | Trim
                | Upper
                | UrlDecode
                | UrlHost
        )
    }

    /// Whether nothing comes of it (or only false) where the first argument is absent.
    pub fn needs_first(self) -> bool {
        !matches!(self, Self::Concat | Self::Add)
    }

    /// Calls it; what cannot be computed is absent.
    pub fn call<'a>(self, arguments: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
        let value = arguments.first().map_or(Val::Null, |code| code.eval(scope));
        match self {
            Self::Exists => return Val::Bool(!value.is_absent()),
            Self::Concat => return concat(arguments, scope),
            Self::Found => return found(value, scope),
            Self::Add => return add(arguments, scope),
            _ if value.is_null() => return if matches!(self, Self::IsIp | Self::IsPrivate | Self::Cidr) { Val::Bool(false) } else { Val::Null },
            _ => {}
        }
        let second = || arguments.get(1).map_or(Val::Null, |code| code.eval(scope));
        match self {
            Self::First | Self::Last | Self::Item | Self::Count | Self::Join | Self::Split => self.on_list(value, second(), scope),
            Self::Int | Self::Float | Self::Hex | Self::Mul | Self::Bool => self.on_number(value, second(), scope),
            Self::EpochS | Self::EpochMs | Self::EpochUs | Self::EpochNs | Self::Filetime => self.on_epoch(value),
            Self::Time => value.text(scope.arena).and_then(|text| on_time(text, second().as_str(), scope)).map_or(Val::Null, Val::Int),
            Self::Json => value,
            Self::Pick => pick(value, arguments, scope),
            _ if self.is_for_each() && value.is_list() => {
                let items = value.items(scope.arena).iter().filter_map(|item| item.text(scope.arena)).map(|text| self.on_text(text, arguments, scope));
                let items: Vec<Val<'a>> = items.filter(|item| !item.is_null()).collect();
                Val::List(scope.arena.alloc_slice_copy(&items))
            }
            Self::AsText => value.text(scope.arena).map_or(Val::Null, Val::Text),
            _ => match value.text(scope.arena) {
                Some(text) => self.on_text(text, arguments, scope),
                None => Val::Null,
            },
        }
    }

    fn on_list<'a>(self, value: Val<'a>, second: Val<'a>, scope: &Scope<'a>) -> Val<'a> {
        let items = || value.items(scope.arena);
        match self {
            Self::First => items().first().copied().unwrap_or(Val::Null),
            Self::Last => items().last().copied().unwrap_or(Val::Null),
            Self::Item => second.int().and_then(|place| usize::try_from(place).ok()).and_then(|place| items().get(place).copied()).unwrap_or(Val::Null),
            Self::Count => i64::try_from(items().len()).map_or(Val::Null, Val::Int),
            Self::Join => {
                let parts: Vec<&str> = items().iter().filter_map(|item| item.text(scope.arena)).collect();
                Val::Text(scope.arena.alloc_str(&parts.join(second.as_str().unwrap_or(","))))
            }
            _ => {
                let (Some(text), Some(separator)) = (value.text(scope.arena), second.as_str()) else { return Val::Null };
                let parts: Vec<Val<'a>> = text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(Val::Text).collect();
                if parts.is_empty() { Val::Null } else { Val::List(scope.arena.alloc_slice_copy(&parts)) }
            }
        }
    }

    fn on_number<'a>(self, value: Val<'a>, second: Val<'a>, scope: &Scope<'a>) -> Val<'a> {
        match self {
            Self::Int => value.int().map_or(Val::Null, Val::Int),
            Self::Float => value.float().map_or(Val::Null, Val::Float),
            Self::Bool => value.bool().map_or(Val::Null, Val::Bool),
            Self::Hex => {
                value.text(scope.arena).and_then(|text| i64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()).map_or(Val::Null, Val::Int)
            }
            _ => match (value, second) {
                (Val::Int(left), Val::Int(right)) => left.checked_mul(right).map_or(Val::Null, Val::Int),
                _ => value.float().zip(second.float()).map_or(Val::Null, |(left, right)| Val::Float(left * right)),
            },
        }
    }

    /// Fractions of the unit are kept down to the millisecond.
    fn on_epoch(self, value: Val<'_>) -> Val<'_> {
        let ms = match self {
            Self::EpochS => match value {
                Val::Int(seconds) => seconds.checked_mul(1000),
                _ => value.float().and_then(|seconds| Val::Float(seconds * 1000.0).int()),
            },
            Self::EpochMs => value.int(),
            Self::EpochUs => value.int().map(|us| us / 1000),
            Self::EpochNs => value.int().map(|ns| ns / 1_000_000),
            _ => value.int().map(time::filetime),
        };
        ms.map_or(Val::Null, Val::Int)
    }

    fn on_text<'a>(self, text: &'a str, arguments: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
        let argument = |place: usize| arguments.get(place).and_then(|code| code.eval(scope).text(scope.arena)).unwrap_or("");
        let made = |text: &str| Val::Text(scope.arena.alloc_str(text));
        let some = |text: Option<&'a str>| text.filter(|text| !text.is_empty()).map_or(Val::Null, Val::Text);
        match self {
            Self::Lower => made(&text.to_lowercase()),
            Self::Upper => made(&text.to_uppercase()),
            Self::Trim => some(Some(if arguments.len() > 1 { text.trim_matches(|c| argument(1).contains(c)) } else { text.trim() })),
            Self::Replace => made(&text.replace(argument(1), argument(2))),
            Self::Before => some(Some(text.split_once(argument(1)).map_or(text, |(before, _)| before))),
            Self::After => some(text.split_once(argument(1)).map(|(_, after)| after)),
            Self::BeforeLast => some(Some(text.rsplit_once(argument(1)).map_or(text, |(before, _)| before))),
            Self::AfterLast => some(Some(text.rsplit_once(argument(1)).map_or(text, |(_, after)| after))),
            Self::PrefixOff => some(Some(text.strip_prefix(argument(1)).unwrap_or(text))),
            Self::Basename => some(text.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next()),
            Self::Dirname => some(text.trim_end_matches(['/', '\\']).rfind(['/', '\\']).and_then(|end| text.get(..end))),
            Self::DomainOf => some(text.split_once('\\').map(|(domain, _)| domain).or_else(|| text.rsplit_once('@').map(|(_, domain)| domain))),
            Self::NameOf => some(Some(text.rsplit_once('\\').map_or_else(|| text.split_once('@').map_or(text, |(name, _)| name), |(_, name)| name))),
            Self::Ip => some(address(text).0),
            Self::Port => address(text).1.map_or(Val::Null, Val::Int),
            Self::IsIp => Val::Bool(text.parse::<IpAddr>().is_ok()),
            Self::IsPrivate => Val::Bool(text.parse::<IpAddr>().is_ok_and(is_private)),
            Self::Cidr => Val::Bool(in_network(text, argument(1))),
            Self::UrlHost => some(Url::of(text).host),
            Self::UrlPath => some(Url::of(text).path),
            Self::UrlQuery => some(Url::of(text).query),
            Self::UrlScheme => some(Url::of(text).scheme),
            Self::UrlPort => Url::of(text).port.and_then(|port| port.parse().ok()).map_or(Val::Null, Val::Int),
            Self::UrlDecode => url_decoded(text, scope),
            Self::Kv => {
                some(key_value(text, argument(1), if arguments.len() > 2 { argument(2) } else { "," }, if arguments.len() > 3 { argument(3) } else { "=" }))
            }
            _ => Val::Null,
        }
    }
}

fn concat<'a>(arguments: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
    let mut whole = String::new();
    for code in arguments {
        // A concatenation with a hole in it would be a wrong value.
        let Some(text) = code.eval(scope).text(scope.arena) else { return Val::Null };
        whole.push_str(text);
    }
    Val::Text(scope.arena.alloc_str(&whole))
}

/// All values of the record that have a form.
fn found<'a>(shape: Val<'a>, scope: &Scope<'a>) -> Val<'a> {
    let Some(shape) = shape.as_str().and_then(Shape::named) else { return Val::Null };
    let found = shape::found(scope.nodes, shape);
    if found.is_empty() { Val::Null } else { Val::List(scope.arena.alloc_slice_fill_iter(found.into_iter().map(Val::Text))) }
}

/// The value at a path of the first object in a list whose key has one of these texts, without case.
fn pick<'a>(list: Val<'a>, arguments: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
    let argument = |place: usize| arguments.get(place).map_or(Val::Null, |code| code.eval(scope));
    let (Some(key), wanted, Some(path)) = (argument(1).as_str(), argument(2).items(scope.arena), argument(3).as_str()) else { return Val::Null };
    let below = |item: &Val<'a>, path: &str| match *item {
        Val::Node(nodes, index) => path.split('.').try_fold(index, |index, key| tree::get(nodes, index, key)).map_or(Val::Null, |index| Val::of(nodes, index)),
        _ => Val::Null,
    };
    let fits = |item: &&Val<'a>| {
        below(item, key).as_str().is_some_and(|have| wanted.iter().any(|want| want.as_str().is_some_and(|want| want.eq_ignore_ascii_case(have))))
    };
    match list.items(scope.arena).iter().find(fits).map_or(Val::Null, |item| below(item, path)) {
        Val::Text(text) if scope.absent.iter().any(|absent| absent == text) => Val::Null,
        value => value,
    }
}

fn add<'a>(arguments: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
    let values: Vec<Val<'a>> = arguments.iter().map(|code| code.eval(scope)).filter(|value| value.float().is_some()).collect();
    if values.is_empty() {
        return Val::Null;
    }
    let whole = values.iter().try_fold(0_i64, |sum, value| match value {
        Val::Float(_) => None,
        other => sum.checked_add(other.int()?),
    });
    whole.map_or_else(|| Val::Float(values.iter().filter_map(|value| value.float()).sum()), Val::Int)
}

fn on_time(text: &str, format: Option<&str>, scope: &Scope<'_>) -> Option<i64> {
    match format {
        Some(format) => time::with_format(text.trim(), format),
        None => time::parse(text, scope.batch.received.0),
    }
}

/// Address and port of `1.2.3.4`, `1.2.3.4:80`, `[::1]:80`, `::ffff:1.2.3.4`.
fn address(text: &str) -> (Option<&str>, Option<i64>) {
    let text = text.trim();
    let plain = text.strip_prefix("::ffff:").filter(|rest| rest.contains('.')).unwrap_or(text);
    if plain.parse::<IpAddr>().is_ok() {
        return (Some(plain), None);
    }
    // `192.0.2.7:443:eth1`, as some firewalls write it.
    let plain = plain.match_indices(':').nth(1).filter(|_| plain.matches('.').count() == 3).and_then(|(end, _)| plain.get(..end)).unwrap_or(plain);
    let (host, port) = match plain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => plain.rsplit_once(':').map_or((plain, None), |(host, port)| (host, Some(port))),
    };
    let bare = host.split_once('%').map_or(host, |(host, _)| host);
    if bare.parse::<IpAddr>().is_ok() { (Some(bare), port.and_then(|port| port.parse().ok())) } else { (None, None) }
}

/// Loopback, link-local, RFC 1918, RFC 4193, RFC 6598.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || (v6.segments().first().is_some_and(|first| first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)),
    }
}

fn in_network(text: &str, network: &str) -> bool {
    let Some((base, length)) = network.split_once('/') else { return text == network };
    let (Ok(address), Ok(base), Ok(length)) = (text.parse::<IpAddr>(), base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => 32_u32.checked_sub(length).is_some_and(|host| (u64::from(address.to_bits() ^ base.to_bits())) >> host == 0),
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            128_u32.checked_sub(length).is_some_and(|host| (address.to_bits() ^ base.to_bits()).checked_shr(host).unwrap_or(0) == 0)
        }
        _ => false,
    }
}

/// Parts of a URL, found by their delimiters (RFC 3986 appendix B), not validated.
#[derive(Default)]
struct Url<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    path: Option<&'a str>,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn of(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = if scheme.is_some() || !rest.starts_with('/') { rest.split_at_checked(slash).unwrap_or((rest, "")) } else { ("", rest) };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        Self { scheme, host: Some(host), port, path: Some(path), query }
    }
}

/// `%41` and `+` as in a query; what is not UTF-8 then stays as it is (RFC 3986 section 2.1).
fn url_decoded<'a>(text: &'a str, scope: &Scope<'a>) -> Val<'a> {
    if !text.contains(['%', '+']) {
        return Val::Text(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.split_first_chunk::<2>().filter(|_| *first == b'%');
        let byte = pair.and_then(|(pair, after)| Some((u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?, after)));
        let (byte, after) = byte.unwrap_or((if *first == b'+' { b' ' } else { *first }, after));
        decoded.push(byte);
        rest = after;
    }
    std::str::from_utf8(&decoded).map_or(Val::Text(text), |decoded| Val::Text(scope.arena.alloc_str(decoded)))
}

fn key_value<'a>(text: &'a str, key: &str, pairs: &str, sign: &str) -> Option<&'a str> {
    text.split(pairs).filter_map(|pair| pair.split_once(sign)).find(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
}
