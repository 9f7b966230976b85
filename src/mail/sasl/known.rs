//! Known passwords to judge answers with, and the work that may be spent on it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use crate::event::Text;

/// A user as written, and the password.
type Known = (Vec<u8>, Zeroizing<Vec<u8>>);

/// Known passwords, user → password. Clones share them, and each has rounds of its own to spend.
#[derive(Default)]
pub struct Passwords {
    /// By the user in lower case.
    users: Arc<HashMap<Vec<u8>, Vec<Known>>>,
    /// Rounds of SCRAM's hash that were spent, and how many may be.
    spent: AtomicU64,
    rounds: Option<u64>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl Clone for Passwords {
    fn clone(&self) -> Self {
        Passwords { users: Arc::clone(&self.users), spent: AtomicU64::new(0), rounds: self.rounds }
    }
}

impl From<Vec<(Text, Text)>> for Passwords {
    /// Of several passwords of a user the first counts.
    fn from(list: Vec<(Text, Text)>) -> Self {
        let mut users: HashMap<Vec<u8>, Vec<Known>> = HashMap::new();
        for (Text(user), Text(password)) in list {
            users.entry(user.to_ascii_lowercase()).or_default().push((user, Zeroizing::new(password)));
        }
        Passwords { users: Arc::new(users), ..Passwords::default() }
    }
}

impl Passwords {
    /// With that many rounds to spend.
    pub(crate) fn with_rounds(&self, rounds: u64) -> Self {
        Passwords { rounds: Some(rounds), ..self.clone() }
    }

    /// The password of a user, by exact name or else without regard to ASCII case.
    pub(super) fn of(&self, user: &[u8]) -> Option<&[u8]> {
        let known = self.users.get(&user.to_ascii_lowercase())?;
        let exact = known.iter().find(|(name, _)| name == user);
        exact.or(known.first()).map(|(_, password)| password.as_slice())
    }

    /// Whether so many rounds more may be spent; they are, then.
    pub(super) fn spend(&self, rounds: u32) -> bool {
        let spent = self.spent.load(Ordering::Relaxed).saturating_add(u64::from(rounds));
        let may = self.rounds.is_none_or(|most| spent <= most);
        if may {
            self.spent.store(spent, Ordering::Relaxed);
        }
        may
    }
}
