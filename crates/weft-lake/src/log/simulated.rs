//! A disk in memory whose power can be cut: what was not synced is gone, names included.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile};

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    operations_left: Option<usize>,
    space: Option<usize>,
    sync_fails: bool,
    slow: bool,
    syncs: usize,
}

impl World {
    /// Counts an operation; none succeeds when the power is off.
    fn operate(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn inode(&mut self, path: &Path) -> io::Result<&mut Inode> {
        let place = *self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.inodes[place])
    }
}

#[derive(Default, Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<World>>);

impl SimulatedDisk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(crate) fn cut_power_after(&self, operations: usize) {
        self.world().operations_left = Some(operations);
    }

    /// The machine starts again. Of unsynced bytes a part may have reached the disk.
    pub(crate) fn restore_power(&self, seed: u64) {
        let mut world = self.world();
        world.operations_left = None;
        world.names = world.durable_names.clone();
        for (number, inode) in world.inodes.iter_mut().enumerate() {
            let unsynced = inode.bytes.len().saturating_sub(inode.synced.len());
            let luck = (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number as u64) >> 33) as usize;
            let kept = if unsynced == 0 { 0 } else { luck % (unsynced + 1) };
            let mut bytes = inode.synced.clone();
            // Only an appended tail is partly there; a cut that was not synced may be undone.
            if inode.bytes.starts_with(&inode.synced) {
                bytes.extend_from_slice(&inode.bytes[inode.synced.len()..inode.synced.len() + kept]);
            }
            inode.synced.clone_from(&bytes);
            inode.bytes = bytes;
        }
    }

    pub(crate) fn set_space(&self, bytes: usize) {
        self.world().space = Some(bytes);
    }

    pub(crate) fn fail_next_sync(&self) {
        self.world().sync_fails = true;
    }

    /// Lets other callers queue while a sync runs.
    pub(crate) fn slow_syncs(&self) {
        self.world().slow = true;
    }

    pub(crate) fn syncs(&self) -> usize {
        self.world().syncs
    }

    pub(crate) fn names(&self, dir: &Path, suffix: &str) -> Vec<PathBuf> {
        self.world().names.keys().filter(|path| path.parent() == Some(dir) && path.to_string_lossy().ends_with(suffix)).cloned().collect()
    }

    /// Puts other bytes in a file's place.
    pub(crate) fn set(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.world();
        let place = match world.names.get(path) {
            Some(place) => *place,
            None => {
                world.inodes.push(Inode::default());
                world.inodes.len() - 1
            }
        };
        world.names.insert(path.to_owned(), place);
        world.durable_names.insert(path.to_owned(), place);
        world.inodes[place] = Inode { synced: bytes.clone(), bytes };
    }

    pub(crate) fn flip(&self, path: &Path, at: usize) {
        if let Some(byte) = self.world().inode(path).unwrap().bytes.get_mut(at) {
            *byte ^= 0x40;
        }
    }

    pub(crate) fn shorten(&self, path: &Path, by: usize) {
        let mut world = self.world();
        let inode = world.inode(path).unwrap();
        inode.bytes.truncate(inode.bytes.len() - by);
    }

    pub(crate) fn extend(&self, path: &Path, bytes: &[u8]) {
        self.world().inode(path).unwrap().bytes.extend_from_slice(bytes);
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.operate()?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let place = world.inodes.len();
        world.inodes.push(Inode::default());
        world.names.insert(path.to_owned(), place);
        Ok(Box::new(SimulatedFile { disk: self.clone(), place }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.world().inode(path)?.bytes.clone())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let names = world.names.keys().filter(|path| path.parent() == Some(dir)).filter_map(|path| path.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let inode = world.inode(path)?;
        inode.bytes.truncate(length as usize);
        inode.synced.clone_from(&inode.bytes);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let place = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), place);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.names.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let of_dir = |path: &PathBuf| path.parent() == Some(dir);
        let names: Vec<_> = world.names.iter().filter(|(path, _)| of_dir(path)).map(|(path, place)| (path.clone(), *place)).collect();
        world.durable_names.retain(|path, _| !of_dir(path));
        world.durable_names.extend(names);
        Ok(())
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    place: usize,
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        world.operate()?;
        let fits = world.space.map_or(bytes.len(), |space| space.min(bytes.len()));
        world.inodes[self.place].bytes.extend_from_slice(&bytes[..fits]);
        if let Some(space) = &mut world.space {
            *space -= fits;
        }
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let slow = self.disk.world().slow;
        if slow {
            // Not a wait for something: gives up the processor a fixed number of times.
            (0..200).for_each(|_| std::thread::yield_now());
        }
        let mut world = self.disk.world();
        world.operate()?;
        world.syncs += 1;
        if std::mem::take(&mut world.sync_fails) {
            return Err(io::Error::other("the disk does not answer"));
        }
        let inode = &mut world.inodes[self.place];
        inode.synced.clone_from(&inode.bytes);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.operate()?;
        world.inodes[self.place].bytes.truncate(length as usize);
        Ok(())
    }
}
