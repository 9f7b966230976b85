//! Colour, only where the caller asks for it.

use anstyle::{AnsiColor, Style as Ansi};

/// Whether to colour.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    #[default]
    Off,
    /// ANSI sequences.
    On,
}

/// What a piece of text is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A heading.
    Heading,
    /// Frame numbers, times, what is there to be looked up.
    Dim,
    /// From the client.
    Client,
    /// From the server.
    Server,
    /// A refusal, something missing.
    Bad,
    /// Something odd.
    Warn,
    /// What went well.
    Good,
}

impl Color {
    /// Appends `text` (already escaped) in the look of `role`.
    pub fn push(self, out: &mut String, role: Role, text: &str) {
        use std::fmt::Write;
        if self == Color::Off || text.is_empty() {
            out.push_str(text);
            return;
        }
        let style = match role {
            Role::Heading => Ansi::new().bold(),
            Role::Dim => Ansi::new().dimmed(),
            Role::Client => Ansi::new().fg_color(Some(AnsiColor::Cyan.into())),
            Role::Server => Ansi::new().fg_color(Some(AnsiColor::Green.into())),
            Role::Bad => Ansi::new().fg_color(Some(AnsiColor::Red.into())),
            Role::Warn => Ansi::new().fg_color(Some(AnsiColor::Yellow.into())),
            Role::Good => Ansi::new().fg_color(Some(AnsiColor::Green.into())),
        };
        let _ = write!(out, "{style}{text}{style:#}");
    }
}
