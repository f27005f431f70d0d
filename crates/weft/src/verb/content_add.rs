//! `weft content add`: a pack of rules into the mesh's home, all or nothing.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use weft_analytics::RuleFile;

use crate::cli::{self, Common, ContentAdd, Fault, Outcome, Output, Rows};
use crate::content;

/// Most rules of a pack.
const PACK_FILES_MAX: usize = 100_000;
/// Longest rule file of a pack.
const PACK_FILE_BYTES_MAX: u64 = 1 << 20;
/// Most bytes of a pack, unpacked.
const PACK_BYTES_MAX: u64 = 256 << 20;

type Pack = BTreeMap<PathBuf, String>;

/// Checks the pack, then puts it where the mesh looks.
///
/// # Errors
/// A pack that cannot be read, that reaches outside of itself, or is too large.
pub(super) fn run(common: &Common, add: &ContentAdd, out: &mut Output) -> Result<Outcome, Fault> {
    let name = pack_name(add)?;
    let pack = read(&add.path).map_err(|fault| Fault::misuse(format!("`{}`: {fault}", add.path.display())))?;
    if pack.is_empty() {
        return Err(Fault::misuse(format!("`{}` holds no rule (`.yml`)", add.path.display())));
    }
    let content_files = content::files(&common.data).map_err(Fault::Misuse)?;
    let files: Vec<RuleFile> = pack.iter().map(|(path, text)| RuleFile { name: path.display().to_string(), text: text.clone() }).collect();
    let (pipelines, _) = content::pipelines(&content_files, &[]);
    let (engine, faults) = content::rules(&content_files, Some(&files), &pipelines);
    faults.iter().for_each(|fault| cli::say(fault));
    let folder = common.data.join("content/detections").join(&name);
    write(&folder, &pack).map_err(|error| Fault::failed(format!("`{}` cannot be written: {error}", folder.display())))?;
    let mut rows = Rows::new(["pack", "files", "rules", "refused", "folder"]);
    rows.push([name.into(), pack.len().into(), engine.len().into(), faults.len().into(), folder.display().to_string().into()]);
    out.rows(&rows)?;
    Ok(if faults.is_empty() { Outcome::Done } else { Outcome::Found })
}

fn pack_name(add: &ContentAdd) -> Result<String, Fault> {
    let own = add.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = add.name.clone().or(own).unwrap_or_default();
    let fits = !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits { Ok(name) } else { Err(Fault::misuse(format!("`{name}` is no name for a pack; give one of letters, digits, `-`, `_` and `.` with `--name`"))) }
}

fn read(path: &Path) -> Result<Pack, String> {
    if path.is_dir() {
        return folder(path);
    }
    let begin = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"));
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) {
        return archive(std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?);
    }
    if !path.to_str().is_some_and(content::is_yaml) {
        return Err("is neither a folder, a `.yml` file nor a `.zip`".to_owned());
    }
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let mut pack = Pack::new();
    take(&mut pack, name, begin?, &mut 0)?;
    Ok(pack)
}

/// Links are not followed: a pack is what is in it.
fn folder(path: &Path) -> Result<Pack, String> {
    let (mut pack, mut sum) = (Pack::new(), 0);
    for file in content::walk(path, 32).into_iter().filter(|file| file.to_str().is_some_and(content::is_yaml)) {
        let below = file.strip_prefix(path).unwrap_or(&file).to_path_buf();
        let length = std::fs::metadata(&file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?.len();
        if length > PACK_FILE_BYTES_MAX {
            return Err(format!("`{}` is {length} bytes long, at most {PACK_FILE_BYTES_MAX} are read", file.display()));
        }
        let bytes = std::fs::read(&file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        take(&mut pack, below, bytes, &mut sum)?;
    }
    Ok(pack)
}

fn archive(file: std::fs::File) -> Result<Pack, String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| format!("is no `.zip`: {error}"))?;
    let (mut pack, mut sum) = (Pack::new(), 0);
    for number in 0..archive.len() {
        let entry = archive.by_index(number).map_err(|error| format!("entry {number} cannot be read: {error}"))?;
        let name = entry.name().map_err(|error| format!("entry {number} has no name: {error}"))?.into_owned();
        if entry.is_dir() {
            continue;
        }
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))) && !name.contains('\\');
        if !inside {
            return Err(format!("`{name}` reaches outside of the pack; nothing was taken"));
        }
        if entry.is_symlink() || !content::is_yaml(&name) {
            continue;
        }
        let mut bytes = Vec::new();
        // The size that an archive tells may be a lie: what is read counts.
        entry.take(PACK_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        take(&mut pack, PathBuf::from(name), bytes, &mut sum)?;
    }
    Ok(pack)
}

fn take(pack: &mut Pack, name: PathBuf, bytes: Vec<u8>, sum: &mut u64) -> Result<(), String> {
    let length = bytes.len() as u64;
    *sum += length;
    if length > PACK_FILE_BYTES_MAX {
        return Err(format!("`{}` is longer than {PACK_FILE_BYTES_MAX} bytes; nothing was taken", name.display()));
    }
    if *sum > PACK_BYTES_MAX {
        return Err(format!("the pack is larger than {PACK_BYTES_MAX} bytes; nothing was taken"));
    }
    if pack.len() >= PACK_FILES_MAX {
        return Err(format!("the pack has more than {PACK_FILES_MAX} rules; split it"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("`{}` is no text in UTF-8; nothing was taken", name.display()))?;
    pack.insert(name, text);
    Ok(())
}

/// Written beside and moved into place, so that a pack is there as a whole or not at all.
fn write(folder: &Path, pack: &Pack) -> std::io::Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)?;
    let beside = parent.with_file_name(format!(".adding-{}", std::process::id()));
    let _nothing_there = std::fs::remove_dir_all(&beside);
    for (name, text) in pack {
        let path = beside.join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::rename(&beside, folder)
}
