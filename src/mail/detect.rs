//! How sure a protocol is that it recognises itself in a connection's first bytes.

/// The answer of a protocol's `likely`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likely {
    /// Not this protocol.
    No,
    /// Too little was seen.
    NeedMore,
    /// It could be.
    Maybe,
    /// It is.
    Yes,
}
