//! What can be read once only, and may have to be waited for: standard input, named pipes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Once it is true, no more is waited for, nor read.
pub(super) type Stop = Arc<AtomicBool>;

/// A pipe that is at its end when somebody says so, not only when its writer does.
#[cfg_attr(not(unix), allow(dead_code, reason = "nothing there tells whether a read would wait"))]
pub(super) struct Pipe {
    file: File,
    stop: Stop,
}

/// Standard input.
#[cfg(unix)]
pub(super) fn stdin(stop: &Stop) -> io::Result<Box<dyn Read + Send>> {
    use std::os::fd::AsFd;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(Box::new(Pipe { file, stop: Arc::clone(stop) }))
}

/// Standard input.
#[cfg(not(unix))]
pub(super) fn stdin(_stop: &Stop) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(io::stdin()))
}

#[cfg(unix)]
impl Pipe {
    pub(super) fn new(file: File, stop: &Stop) -> Self {
        Pipe { file, stop: Arc::clone(stop) }
    }

    /// Waits until there is something, or its end; false if it was stopped meanwhile.
    fn wait(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use std::sync::atomic::Ordering;
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !self.stop.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(false)
    }
}

#[cfg(unix)]
impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.wait()? { self.file.read(buf) } else { Ok(0) }
    }
}
