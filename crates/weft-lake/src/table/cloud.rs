//! Object stores beyond the local disk, as far as they are built in.

use deltalake::logstore::{
    LogStoreFactory, LogStoreRef, ObjectStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories, object_store_factories,
};
use deltalake::{DeltaResult, DeltaTableError};
use object_store::path::Path;
use std::collections::HashMap;
use std::sync::Arc;
use url::Url;

/// The schemes that this build can open, besides `file`.
const SCHEMES: &[&str] = &[
    #[cfg(feature = "s3")]
    "s3",
    #[cfg(feature = "azure")]
    "az",
    #[cfg(feature = "azure")]
    "abfss",
    #[cfg(feature = "gcs")]
    "gs",
];

/// Makes them known to the table format. All of them have a conditional put, which is what its
/// commits need.
pub(crate) fn register() {
    for scheme in SCHEMES {
        let Ok(url) = Url::parse(&format!("{scheme}://")) else { continue };
        object_store_factories().insert(url.clone(), Arc::new(Cloud));
        logstore_factories().insert(url, Arc::new(Cloud));
    }
}

struct Cloud;

impl ObjectStoreFactory for Cloud {
    fn parse_url_opts(&self, url: &Url, config: &StorageConfig) -> DeltaResult<(ObjectStoreRef, Path)> {
        let options: HashMap<String, String> = config.raw().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let (store, path) = object_store::parse_url_opts(url, options).map_err(|error| DeltaTableError::ObjectStore { source: error })?;
        Ok((Arc::from(store), path))
    }
}

impl LogStoreFactory for Cloud {
    fn with_options(&self, prefixed: ObjectStoreRef, root: ObjectStoreRef, location: &Url, options: &StorageConfig) -> DeltaResult<LogStoreRef> {
        Ok(default_logstore(prefixed, root, location, options))
    }
}
