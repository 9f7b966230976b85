//! What the shards have in common, and how it changes.

use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::Config;
use super::round::{Shards, first_grant};
use super::shard::{SHARDS, Shard, Shared, share};
use crate::event::SecretSource;
use crate::limits::Limits;
use crate::tls::{KeyRing, SessionCache};

/// What the shards have in common.
pub(super) struct Common {
    pub(super) shared: Arc<Shared>,
    /// The user's own: without what a capture holds.
    pub(super) keys: KeyRing,
    pub(super) cache: SessionCache,
    pub(super) limits: Limits,
}

/// Nobody works on the shards meanwhile.
impl Common {
    pub(super) fn new(config: Config) -> Self {
        let shared = Shared {
            keys: config.keys.clone(),
            options: config.mail,
            limits: config.limits.clone(),
            decode_as: config.decode_as,
            all_tls: config.all_tls,
            connections: config.connections,
            weight: Arc::default(),
        };
        Common { shared: Arc::new(shared), keys: config.keys, cache: SessionCache::new(), limits: config.limits }
    }

    pub(super) fn shards(&self) -> Shards {
        let share = first_share(&self.limits);
        Shards((0..SHARDS).map(|_| Mutex::new(Shard::new(&self.shared, &share, &self.cache))).collect())
    }

    /// Adds what a decryption secrets block of that file holds.
    pub(super) fn add_secrets(&mut self, file: &str, keylog: Zeroizing<Vec<u8>>, shards: &Shards) {
        self.change(shards, |shared| {
            shared.keys.add_keylog_owned(file, keylog, SecretSource::Dsb);
        });
    }

    /// Changes what the shards share.
    fn change(&mut self, shards: &Shards, change: impl FnOnce(&mut Shared)) {
        let each = |with: &Arc<Shared>| shards.all().for_each(|mut s| s.sessions.set_shared(Arc::clone(with)));
        each(&Arc::default());
        if let Some(own) = Arc::get_mut(&mut self.shared) {
            change(own);
        }
        each(&self.shared);
    }

    /// For the next capture: nothing of the one before is known any more.
    pub(super) fn renew(&mut self, shards: &Shards) {
        let keys = self.keys.clone();
        self.change(shards, |shared| shared.keys = keys);
        self.cache = SessionCache::new();
        let share = first_share(&self.limits);
        for mut shard in shards.all() {
            let tally = std::mem::take(&mut shard.sessions.tally);
            *shard = Shard::new(&self.shared, &share, &self.cache);
            shard.sessions.tally = tally;
        }
    }
}

/// The bounds of a shard until the first boundary.
fn first_share(limits: &Limits) -> Limits {
    Limits { reassembly_total_bytes: first_grant(limits), ..share(limits) }
}
