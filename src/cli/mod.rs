//! Arguments → options, and the exit code. Only the binary knows clap and colour.
