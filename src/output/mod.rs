//! Events → what a person or a program reads. One file a format, behind the [`Sink`] trait.

use std::io;

use crate::event::Event;

/// Takes events in the order in which the pipeline releases them.
pub trait Sink {
    /// The next event. An error ends the run; a broken pipe is for the caller to recognise.
    fn event(&mut self, event: Event) -> io::Result<()>;

    /// The run is over.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
