//! mailcap: what mail servers and clients said to each other, from a packet capture, TLS decrypted.

pub mod capture;
pub mod diagnostic;
pub mod event;
pub mod flow;
pub mod limits;
pub mod mail;
pub mod output;
pub mod pipeline;
pub mod position;
pub mod session;
pub mod tls;
pub mod wire;
