//! Events → what a person or a program reads. One file a format, behind the [`Sink`] trait.

use std::io;

use crate::event::Event;
use crate::pipeline::Report;

/// Takes events in the order in which the pipeline releases them.
pub trait Sink {
    /// The run begins; `files` are the inputs' names by [`crate::position::FileId`].
    fn begin(&mut self, _files: &[String]) -> io::Result<()> {
        Ok(())
    }

    /// The next event. An error ends the run; a broken pipe is for the caller to recognise.
    fn event(&mut self, event: Event) -> io::Result<()>;

    /// The run is over.
    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        Ok(())
    }
}
