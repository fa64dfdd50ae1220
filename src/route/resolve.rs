//! The addresses of a channel's host, as a `ServiceDiscovery`: names are asked for in the background,
//! never on a request's time.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_load_balancing::Backend;
use pingora_load_balancing::discovery::ServiceDiscovery;

/// More than this of one host's addresses are not used.
const MAX_ADDRESSES: usize = 32;

pub struct Host {
    pub name: String,
    pub port: u16,
}

#[async_trait]
impl ServiceDiscovery for Host {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let found = tokio::net::lookup_host((self.name.as_str(), self.port))
            .await
            .or_err_with(ErrorType::ConnectError, || {
                format!("cannot resolve {}", self.name)
            })?;
        let backends: BTreeSet<Backend> = found
            .take(MAX_ADDRESSES)
            .map(|address| Backend::new(&address.to_string()))
            .collect::<Result<_>>()?;
        if backends.is_empty() {
            return Error::e_explain(
                ErrorType::ConnectError,
                format!("{} has no address", self.name),
            );
        }
        Ok((backends, HashMap::new()))
    }
}
