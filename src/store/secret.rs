//! The secret that the digests of keys are made with: the store's own, or one that the config brings.

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use super::engine::args;
use super::error::{StoreError, Trouble};
use super::{Inner, Store};

/// Where one configures the secret, and none is: what to do.
const NOT_HERE: &str = "the digests of the keys in this database were made with a store.key_secret, which is not configured now; set it to what it was";
const ANOTHER: &str = "the digests of the keys in this database were made with another secret than store.key_secret; set it to what it was, or take it out if the database made its own";

impl Store {
    /// The secret that digests are made with. The first to ask decides: without `configured` one is made at random and
    /// kept, else no more than a fingerprint of it. Whoever comes with another one gets an error, for the keys that
    /// are there would not be known any more.
    pub async fn server_secret(&self, configured: Option<&[u8]>) -> Result<[u8; 32], StoreError> {
        let configured = configured.map(|bytes| hash("torouter key secret", bytes));
        self.call(move |inner| async move { agree(&inner, configured).await })
            .await
    }
}

fn hash(purpose: &str, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().into()
}

fn fingerprint(secret: &[u8]) -> Vec<u8> {
    hash("torouter key secret fingerprint", secret).to_vec()
}

async fn agree(inner: &Inner, configured: Option<[u8; 32]>) -> Result<[u8; 32], StoreError> {
    let sql = "SELECT secret, fingerprint FROM secrets WHERE name = 'keys'";
    let mut rows = inner.engine.rows(sql, args![]).await?;
    if rows.is_empty() {
        let mut own = [0; 32];
        rand::rng().fill(&mut own);
        let (kept, print) = match &configured {
            Some(secret) => (None, fingerprint(secret)),
            None => (Some(own.to_vec()), fingerprint(&own)),
        };
        let mut work = inner.engine.begin().await?;
        // Of two that come at once, the second waits for the first, and then finds its row.
        work.run(
            "INSERT INTO secrets (name, secret, fingerprint) VALUES ('keys', $1, $2) ON CONFLICT (name) DO NOTHING",
            args![kept, print],
        )
        .await?;
        work.commit().await?;
        rows = inner.engine.rows(sql, args![]).await?;
    }
    let failed = |what: &str| StoreError::new(Trouble::Failed, what);
    let row = rows
        .first()
        .ok_or_else(|| failed("the secret of the keys was deleted meanwhile"))?;
    let (kept, print) = (row.opt_bytes(0)?, row.bytes(1)?);
    match (configured, kept) {
        (Some(secret), _) if fingerprint(&secret) == print => Ok(secret),
        (Some(_), _) => Err(failed(ANOTHER)),
        (None, Some(kept)) => kept
            .try_into()
            .map_err(|_| failed("the secret of the keys in this database is damaged")),
        (None, None) => Err(failed(NOT_HERE)),
    }
}
