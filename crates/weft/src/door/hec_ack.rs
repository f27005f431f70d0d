//! Indexer acknowledgement of the HTTP Event Collector: which request of a channel is on disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Channels that are remembered; the one that was silent longest goes first.
const CHANNELS_MAX: usize = 1024;
/// Requests of one channel that were not asked for yet.
const PENDING_MAX: usize = 10_000;

/// Every channel of every token.
#[derive(Clone, Default)]
pub struct Acks {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    channels: HashMap<String, Channel>,
    clock: u64,
}

#[derive(Default)]
struct Channel {
    next: u64,
    pending: BTreeMap<u64, bool>,
    touched: u64,
}

impl Acks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a request that is being written; none when the channel has too many.
    pub fn open(&self, channel: &str) -> Option<u64> {
        let mut inner = self.lock();
        inner.clock += 1;
        let clock = inner.clock;
        if !inner.channels.contains_key(channel) && inner.channels.len() >= CHANNELS_MAX {
            let silent = inner.channels.iter().min_by_key(|(_, channel)| channel.touched).map(|(name, _)| name.clone());
            silent.map(|name| inner.channels.remove(&name));
        }
        let channel = inner.channels.entry(channel.to_owned()).or_default();
        channel.touched = clock;
        if channel.pending.len() >= PENDING_MAX {
            return None;
        }
        let id = channel.next;
        channel.next += 1;
        channel.pending.insert(id, false);
        Some(id)
    }

    /// The request is on disk.
    pub fn stored(&self, channel: &str, id: u64) {
        if let Some(state) = self.lock().channels.get_mut(channel).and_then(|channel| channel.pending.get_mut(&id)) {
            *state = true;
        }
    }

    /// The request was not written: it is forgotten, so that the client sends it again.
    pub fn failed(&self, channel: &str, id: u64) {
        if let Some(channel) = self.lock().channels.get_mut(channel) {
            channel.pending.remove(&id);
        }
    }

    /// Which of these are on disk; what was told once is forgotten.
    pub fn ask(&self, channel: &str, ids: &[u64]) -> BTreeMap<String, bool> {
        let mut inner = self.lock();
        let mut channel = inner.channels.get_mut(channel);
        let mut told = |id: &u64| {
            let Some(channel) = channel.as_mut() else { return false };
            let stored = channel.pending.get(id).copied().unwrap_or(false);
            if stored {
                channel.pending.remove(id);
            }
            stored
        };
        ids.iter().map(|id| (id.to_string(), told(id))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_once_and_only_when_stored() {
        let acks = Acks::default();
        let (a, b) = (acks.open("c").unwrap(), acks.open("c").unwrap());
        acks.stored("c", a);
        assert_eq!(acks.ask("c", &[a, b, 9]), BTreeMap::from([("0".into(), true), ("1".into(), false), ("9".into(), false)]));
        assert_eq!(acks.ask("c", &[a]), BTreeMap::from([("0".into(), false)]));
        assert_eq!(acks.ask("other", &[0]), BTreeMap::from([("0".into(), false)]));
        acks.failed("c", b);
        acks.stored("c", b);
        assert_eq!(acks.ask("c", &[b]), BTreeMap::from([("1".into(), false)]));
    }

    #[test]
    fn memory_is_bounded() {
        let acks = Acks::default();
        (0..PENDING_MAX).for_each(|_| assert!(acks.open("full").is_some()));
        assert_eq!(acks.open("full"), None);
        for n in 0..CHANNELS_MAX * 2 {
            let _id = acks.open(&n.to_string());
        }
        assert!(acks.lock().channels.len() <= CHANNELS_MAX);
    }
}
