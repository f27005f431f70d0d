//! The inputs, made here: `{mark}` at the beginning of each is what it is found by.

use std::io::Write as _;

/// What an input is, for the ways in that take only some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One line, whatever is in it.
    Line,
    /// Several lines or bytes that only a file or a body may have.
    Body,
    /// A body with `Content-Encoding`.
    Packed(&'static str),
    /// A file with this ending.
    File(&'static str),
}

/// The input itself, with its mark in it.
type Make = Box<dyn Fn(&str) -> Vec<u8>>;

pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Causes of which one is expected; none where an event may come of it.
    pub(super) causes: &'static [&'static str],
    make: Make,
}

impl Input {
    pub(super) fn bytes(&self, mark: &str) -> Vec<u8> {
        (self.make)(mark)
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.kind, Kind::Packed(_) | Kind::File(_))
    }
}

fn line(name: &'static str, causes: &'static [&'static str], make: impl Fn(&str) -> Vec<u8> + 'static) -> Input {
    Input { name, kind: Kind::Line, causes, make: Box::new(make) }
}

fn text(name: &'static str, causes: &'static [&'static str], make: impl Fn(&str) -> String + 'static) -> Input {
    line(name, causes, move |mark| make(mark).into_bytes())
}

fn other(name: &'static str, kind: Kind, make: impl Fn(&str) -> Vec<u8> + 'static) -> Input {
    Input { name, kind, causes: &[], make: Box::new(make) }
}

/// Every input.
pub(super) fn all() -> Vec<Input> {
    let mut all = json();
    all.extend(lines());
    all.extend(containers());
    all
}

fn json() -> Vec<Input> {
    vec![
        text("deep", &["too_deep"], |mark| format!("{{\"m\":\"{mark}\",\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000))),
        text("deep-open", &["too_deep", "malformed"], |mark| format!("{{\"m\":\"{mark}\",\"a\":{}", "{\"a\":".repeat(100_000))),
        text("long", &["too_large", "container"], |mark| format!("{{\"m\":\"{mark}\",\"a\":\"{}\"}}", "x".repeat(100_000_000))),
        text("truncated", &["malformed", "unrecognised"], |mark| format!("{{\"m\":\"{mark}\",\"a\":[1,2,{{\"b\":\"c")),
        text("numbers", &[], |mark| {
            format!("{{\"m\":\"{mark}\",\"a\":1e99999,\"b\":-{},\"c\":0.{}1,\"d\":18446744073709551616}}", "9".repeat(4000), "0".repeat(4000))
        }),
        text("duplicate-keys", &[], |mark| format!("{{\"m\":\"{mark}\",\"a\":1,\"a\":{{\"b\":2}},\"a\":[3],\"time\":\"x\",\"time\":5}}")),
        text("million-keys", &[], |mark| {
            let keys: String = (0..1_000_000).map(|n| format!(",\"k{n}\":{n}")).collect();
            format!("{{\"m\":\"{mark}\"{keys}}}")
        }),
        text("byte-order-mark", &[], |mark| format!("\u{feff}{{\"m\":\"{mark}\",\"a\":1}}")),
        text("lone-surrogates", &[], |mark| format!("{{\"m\":\"{mark}\",\"a\":\"\\ud800\",\"\\udfff\":\"\\u0000\"}}")),
        text("odd-names", &[], |mark| format!("{{\"m\":\"{mark}\",\"\":1,\".\":2,\"a.b\":{{\"a.b\":3}},\"__proto__\":{{}},\"$ref\":\"#\"}}")),
        text("far-time", &[], |mark| far(mark, "99999999999999999")),
        text("early-time", &[], |mark| far(mark, "-9223372036854775808")),
        text("odd-time", &[], |mark| far(mark, "1e300")),
        line("not-utf8", &["encoding", "malformed", "unrecognised"], |mark| {
            [b"{\"m\":\"", mark.as_bytes(), b"\",\"a\":\"\xff\xfe\xc0\x80\xed\xa0\x80\"}"].concat()
        }),
    ]
}

/// A whole OCSF event at a time that has no date.
fn far(mark: &str, time: &str) -> String {
    let metadata = r#"{"version":"1.8.0","uid":"far","product":{"name":"T","vendor_name":"T"}}"#;
    format!(
        "{{\"m\":\"{mark}\",\"class_uid\":3002,\"category_uid\":3,\"activity_id\":1,\"type_uid\":300201,\"severity_id\":1,\"time\":{time},\"metadata\":{metadata},\"user\":{{\"name\":\"ada\"}}}}"
    )
}

fn lines() -> Vec<Input> {
    let entities: String = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    vec![
        line("nul", &[], |mark| [b"<13>Mar  2 08:00:00 host app: ", mark.as_bytes(), b" a\0b\0\0c"].concat()),
        text("controls", &[], |mark| format!("<13>Mar  2 08:00:00 host app: {mark} \u{1b}[2J\u{1b}]0;x\u{7} \r \u{8} \u{202e}")),
        text("laughs", &[], move |mark| {
            format!("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY l0 \"{mark}\">{entities}]><Event><System><Computer>&l9;</Computer></System></Event>")
        }),
        text("xml-deep", &[], |mark| format!("<Event><a>{mark}</a>{}", "<b>".repeat(100_000))),
        text("cef-short", &[], |mark| format!("CEF:0|{mark}|only|three")),
        text("cef-escapes", &[], |mark| format!("CEF:0|{mark}\\|\\\\|p|1|id|n|99|src=\\=\\= msg=a\\nb\\ cs1= =x act")),
        text("leef-odd", &[], |mark| format!("LEEF:2.0|{mark}|p|1|id|0x|a=b^c=d\t\t=x=y")),
        text("syslog-priority", &[], |mark| format!("<999>1 2026-13-45T99:99:99Z host app - - [x y=\"{mark}\\]")),
        text("syslog-structured", &[], |mark| format!("<13>1 2026-03-02T08:00:00Z h a 1 2 [{mark}@1 {}", "k=\"v\" ".repeat(5000))),
        text("key-values", &[], |mark| format!("{mark} {}", "a=\"".repeat(20_000))),
        text("csv-quotes", &[], |mark| format!("\"{mark},\"\"\",{}\"", ",\"".repeat(20_000))),
        text("text-megabyte", &[], |mark| format!("{mark} {}", "word ".repeat(180_000))),
    ]
}

fn containers() -> Vec<Input> {
    let bomb = || vec![0_u8; 256 << 20];
    vec![
        other("gzip-bomb", Kind::Packed("gzip"), move |_| gzip(&bomb())),
        other("zstd-bomb", Kind::Packed("zstd"), move |_| zstd::encode_all(bomb().as_slice(), 1).unwrap()),
        other("gzip-torn", Kind::Packed("gzip"), |mark| {
            let whole = gzip(format!("{{\"m\":\"{mark}\"}}\n").repeat(1000).as_bytes());
            whole[..whole.len() / 2].to_vec()
        }),
        other("not-gzip", Kind::Packed("gzip"), |mark| mark.as_bytes().to_vec()),
        other("gzip-bomb-file", Kind::File("gz"), move |_| gzip(&bomb())),
        other("zstd-bomb-file", Kind::File("zst"), move |_| zstd::encode_all(bomb().as_slice(), 1).unwrap()),
        other("zip-torn-file", Kind::File("zip"), |mark| format!("PK\u{3}\u{4}{mark}").into_bytes()),
        other("evtx-damaged-file", Kind::File("evtx"), |mark| [b"ElfFile\0".as_slice(), mark.as_bytes(), &[0xA5; 70_000]].concat()),
        other("evtx-not-file", Kind::File("evtx"), |mark| mark.as_bytes().to_vec()),
        other("nothing-but-zeros", Kind::Body, |mark| [mark.as_bytes(), &[0; 1 << 20]].concat()),
        other("million-blanks", Kind::Body, |mark| [mark.as_bytes(), &b"\n \r\n\t\n".repeat(200_000)].concat()),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
