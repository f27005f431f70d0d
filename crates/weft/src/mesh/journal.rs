//! Events of our own on their ordinary way: through the queue and the log.

use async_trait::async_trait;
use serde_json::Value;

use crate::door::all_stored;
use crate::pipeline::own_batch;
use crate::queue::Queue;
use crate::respond::Journal;

/// Over the queue.
pub struct QueueJournal(pub Queue);

#[async_trait]
impl Journal for QueueJournal {
    async fn keep(&self, events: Vec<Value>) -> Result<(), String> {
        let stored = self.0.push(own_batch(&events)).await.map_err(|refusal| refusal.to_string())?;
        if all_stored(vec![stored]).await { Ok(()) } else { Err("the log did not take them".to_owned()) }
    }
}
