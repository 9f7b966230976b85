//! Ctrl-C, or SIGTERM as from `timeout` or a service manager: what is finished is written, nothing half-written stays,
//! and the exit code is 130.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::time::Duration;

use mailcap::capture::Capture;
use mailcap::output::Sink;
use mailcap::pipeline::{self, Config, Report};

/// As shells have it: 128 and the number of SIGINT.
pub(super) const CODE: u8 = 130;

/// What is said.
pub(super) const TEXT: &str = "interrupted; only what was read until then is in the output";

/// What is said where half an output is none.
pub(super) const UNWRITTEN: &str = "interrupted; nothing was written";

/// How long a run may take to tell what it has read, and as much again to notice that it was too long.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_millis(500);

/// What a signal raises.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt {
    /// At once.
    signalled: Arc<AtomicBool>,
    /// `PATIENCE` after the signal, if the run has not ended. The next [`Interrupt::check`] lowers it and ends the run
    /// by an error; if it is still up another `PATIENCE` later, the process exits.
    raised: Arc<AtomicBool>,
}

/// What to do when a signal comes, and when nobody has noticed it in time.
#[derive(Clone, Debug)]
pub(super) struct Signalled {
    /// Is said.
    pub(super) text: &'static str,
    /// Is raised at once: the inputs end there.
    pub(super) stop: Arc<AtomicBool>,
    /// Goes with the program.
    pub(super) unfinished: Option<PathBuf>,
}

impl Interrupt {
    /// Listens from now on. Where that can't be had, a signal ends the program as ever.
    pub(super) fn listen(then: Signalled) -> Self {
        let interrupt = Interrupt::default();
        #[cfg(unix)]
        interrupt.watch(then);
        #[cfg(not(unix))]
        let _ = then;
        interrupt
    }

    #[cfg(unix)]
    fn watch(&self, then: Signalled) {
        let Interrupt { signalled, raised } = self.clone();
        use signal_hook::consts::{SIGINT, SIGTERM};
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else { return };
        std::thread::spawn(move || {
            for _ in signals.forever() {
                signalled.store(true, Ordering::SeqCst);
                then.stop.store(true, Ordering::SeqCst);
                std::thread::sleep(PATIENCE);
                raised.store(true, Ordering::SeqCst);
                std::thread::sleep(PATIENCE);
                if raised.load(Ordering::SeqCst) {
                    super::complain(then.text);
                    then.unfinished.iter().for_each(|path| drop(std::fs::remove_file(path)));
                    std::process::exit(i32::from(CODE));
                }
            }
        });
    }

    /// Whether a signal came.
    pub(super) fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// It was noticed.
    pub(super) fn lower(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }

    /// An error if it was raised; once.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.raised.load(Ordering::Relaxed) && self.raised.swap(false, Ordering::SeqCst) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }
}

/// Runs; a signal ends the inputs, and what was read until then is told, if that does not take long. An interrupted run
/// still finishes its output.
pub(super) fn run(
    capture: Capture,
    config: Config,
    sink: &mut dyn Sink,
    interrupt: &Interrupt,
) -> Result<Report, pipeline::Error> {
    let result = pipeline::run_capture(capture, config, sink);
    if result.as_ref().is_err_and(ends) {
        sink.finish(&Report::default())?;
    }
    interrupt.lower();
    match result {
        Ok(_) if interrupt.is_signalled() => Err(pipeline::Error::Output(io::ErrorKind::Interrupted.into())),
        result => result,
    }
}

/// What is to be said of an interrupted run, in the error's context.
#[derive(Copy, Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Said(pub(super) &'static str);

/// Makes a file that grows beyond what `ulimit -f` allows an error like a full disk; it would end the program.
pub(super) fn survive_file_limits() {
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Whether that is why a run ended.
pub(super) fn ends(error: &pipeline::Error) -> bool {
    matches!(error, pipeline::Error::Output(e) if e.kind() == io::ErrorKind::Interrupted)
}

/// The same of what became of its error.
pub(super) fn is_interrupted(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<pipeline::Error>().is_some_and(ends))
}
