//! Bytes that must not be shown and are wiped when done with.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A premaster, master or traffic secret: zeroised on drop, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a copy; wiping the original is the caller's.
    pub fn new(bytes: &[u8]) -> Self {
        Secret(bytes.into())
    }

    /// `len` zero bytes, to be filled in.
    pub(crate) fn zeroed(len: usize) -> Self {
        Secret(vec![0; len].into_boxed_slice())
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl From<Vec<u8>> for Secret {
    /// Takes the bytes over. A vector with spare capacity is copied and wiped, as shrinking it could leave a copy.
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Secret(bytes.into_boxed_slice());
        }
        Secret::new(&zeroize::Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shown() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2")), "Secret(7 bytes)");
    }
}
