//! One connection's layer stack: detection, TLS, STARTTLS hand-over, compression, the mail dissector; makes events.
//!
//! Knows nothing of files, threads or formats.
