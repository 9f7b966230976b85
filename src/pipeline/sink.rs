//! Where a run's events go.

use std::io;

use super::Report;
use crate::event::{Comment, Connection, Event, Unreachable};
use crate::position::Timestamp;

/// Takes events in the order in which the pipeline releases them.
///
/// [`Sink::finish`] comes once and last.
pub trait Sink {
    /// The name of the next file by [`FileId`](crate::position::FileId). The inputs come before anything else; members of
    /// an archive that is read as a stream as they come up, before the first event of theirs.
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        let _ = name;
        Ok(())
    }

    /// Time of the first frame, once it is known and before the first event: what relative times count from. Without
    /// it they count from the first event.
    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        let _ = first;
        Ok(())
    }

    /// The next event. An error ends the run; a broken pipe is for the caller to recognise.
    fn event(&mut self, event: Event) -> io::Result<()>;

    /// A TCP connection is over, of mail or not; its session's events came before. Only with
    /// [`Config::connections`](super::Config::connections).
    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        let _ = connection;
        Ok(())
    }

    /// A TCP segment did not reach its destination. Only with
    /// [`Config::connections`](super::Config::connections).
    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        let _ = unreachable;
        Ok(())
    }

    /// What somebody wrote into the capture.
    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        let _ = comment;
        Ok(())
    }

    /// The run is over, and this came of it.
    fn finish(&mut self, report: &Report) -> io::Result<()> {
        let _ = report;
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        (**self).add_file(name)
    }

    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        (**self).start(first)
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        (**self).event(event)
    }

    fn connection(&mut self, connection: &Connection) -> io::Result<()> {
        (**self).connection(connection)
    }

    fn unreachable(&mut self, unreachable: &Unreachable) -> io::Result<()> {
        (**self).unreachable(unreachable)
    }

    fn comment(&mut self, comment: &Comment) -> io::Result<()> {
        (**self).comment(comment)
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        (**self).finish(report)
    }
}
