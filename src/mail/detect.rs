//! How likely the first bytes of a connection are a protocol.

/// How sure a protocol's detector is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likely {
    /// It is something else.
    No,
    /// Too few bytes to tell.
    NeedMore,
    /// It could be.
    Maybe,
    /// It is.
    Yes,
}
