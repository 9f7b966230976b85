//! How likely the first bytes of a connection are a protocol.

/// The judgement over a connection's first bytes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likely {
    /// They are something else.
    No,
    /// Too few to tell.
    NeedMore,
    /// They could be: a port may decide.
    Maybe,
    /// They are.
    Yes,
}
