//! mailcap: what mail servers and clients said to each other, from a packet capture, TLS decrypted.
//!
//! The library behind the `mailcap` command. It does not print, and does not exit. A capture is decoded into
//! [`event::Event`]s that a [`output::Sink`] takes:
//!
//! ```
//! use mailcap::capture::Input;
//! use mailcap::event::{Event, EventBody};
//! use mailcap::output::Sink;
//! use mailcap::pipeline::{Config, run};
//!
//! struct Subjects(Vec<String>);
//!
//! impl Sink for Subjects {
//!     fn event(&mut self, event: Event) -> std::io::Result<()> {
//!         if let EventBody::Message(message) = event.body {
//!             self.0.extend(message.subject);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut config = Config::new(vec![Input::File("testdata/tls/tls10-des-cbc-sha-smtp-starttls.pcapng".into())]);
//! config.keys.add_key_path("testdata/tls/keys/rsa1024.pem".as_ref(), &mut |_| None)?;
//! let mut subjects = Subjects(Vec::new());
//! let report = run(config, &mut subjects)?;
//! assert_eq!(report.mail_sessions, 1);
//! assert_eq!(subjects.0, ["Contract customs"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/architecture.md` tells how the parts fit together.

#![warn(unreachable_pub, clippy::print_stdout, clippy::print_stderr)]

pub mod batch;
pub mod capture;
pub mod diagnostic;
pub mod event;
pub mod flow;
mod fmt;
pub mod limits;
pub mod mail;
pub mod output;
pub mod pipeline;
pub mod ports;
pub mod position;
pub mod session;
pub mod tls;
pub mod wire;
