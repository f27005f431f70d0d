//! The SCIM server, and the identity graph behind it.

use std::sync::Arc;

use axum::Router;

use super::stand::Stand;
use crate::door::token::{Token, Tokens};
use crate::home::{Home, RunFile};
use crate::mesh::journal::QueueJournal;
use crate::scim::{Follower, Service, routes};
use crate::state::Sqlite;
use crate::state::scim::ScimStore;

/// Its routes, and who keeps the graph up to date.
pub(super) fn open(home: &Home, run: &RunFile, stand: &Stand) -> (Router, Follower) {
    let store: Arc<dyn ScimStore> = Arc::<Sqlite>::clone(&stand.state);
    let service = Arc::new(Service::new(store, run.address.clone(), Arc::new(QueueJournal(stand.queue.clone()))));
    let tokens = home.config.scim.iter().map(|source| Token::new(source.name.clone(), &source.secret, false, None));
    let follower = Follower { home: home.clone(), service: Arc::clone(&service), state: Arc::clone(&stand.state) };
    (routes(service, Tokens(tokens.collect())), follower)
}
