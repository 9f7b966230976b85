//! Runs hostile bytes through the whole program in process, into every output at once, and looks at what comes out.

use std::io::{self, Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use mailcap::capture::{Capture, CaptureError};
use mailcap::event::{Event, EventBody, Session};
use mailcap::limits::Limits;
use mailcap::mail::Options;
use mailcap::output::Sink;
use mailcap::output::auth::Auths;
use mailcap::output::json::{Json, Select};
use mailcap::output::sessions::{Look, Sessions};
use mailcap::output::tls::Tls;
use mailcap::output::transcript::{self, Layout, Transcript};
use mailcap::pipeline::{Config, Report, run_capture};
use mailcap::position::Timestamp;
use mailcap::tls::KeyRing;

/// What a sink wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands everything to each of its sinks, and keeps the events.
struct Every {
    sinks: Vec<Box<dyn Sink>>,
    events: Vec<Event>,
}

impl Sink for Every {
    fn add_file(&mut self, name: &str) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|s| s.add_file(name))
    }

    fn start(&mut self, first: Timestamp) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|s| s.start(first))
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|s| s.event(event.clone()))?;
        self.events.push(event);
        Ok(())
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|s| s.finish(report))
    }
}

/// What a run told.
pub struct Told {
    pub report: Report,
    pub events: Vec<Event>,
}

impl Told {
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.events.iter().filter_map(|e| match &e.body {
            EventBody::Session(session) => Some(&**session),
            _ => None,
        })
    }

    pub fn says(&self, text: &str) -> bool {
        self.report.problems.iter().any(|p| p.text.contains(text))
    }
}

/// Runs it with these keys.
///
/// # Panics
/// An output is not what its reader may rely on.
pub fn told_with(file: Vec<u8>, keys: KeyRing) -> Result<Told, CaptureError> {
    told_within(file, keys, Limits::default())
}

/// Runs it with these keys and within these limits.
///
/// # Panics
/// As [`told_with`].
pub fn told_within(file: Vec<u8>, keys: KeyRing, limits: Limits) -> Result<Told, CaptureError> {
    let capture = Capture::from_reader("hostile", Box::new(Cursor::new(file)), &limits)?;
    let config = Config {
        inputs: Vec::new(),
        separate: false,
        keys,
        limits,
        mail: Options { digests: true, bodies: true, ..Options::default() },
        decode_as: Vec::new(),
        all_tls: true,
        jobs: None,
        connections: false,
    };
    let (text, json) = (Written::default(), Written::default());
    let layout = |layout| transcript::Options { layout, ..transcript::Options::default() };
    let mut sink = Every {
        sinks: vec![
            Box::new(Transcript::new(text.clone(), layout(Layout::Story))),
            Box::new(Transcript::new(text.clone(), layout(Layout::Live))),
            Box::new(Transcript::new(text.clone(), layout(Layout::OneLine))),
            Box::new(Sessions::new(text.clone(), Look::default())),
            Box::new(Auths::new(text.clone(), Look::default(), false, &Limits::default())),
            Box::new(Tls::new(text.clone(), Look::default(), true)),
            Box::new(Json::new(json.clone(), Select::All, false).with_stats(true)),
        ],
        events: Vec::new(),
    };
    let report = run_capture(capture, config, &mut sink).expect("the sinks take everything");
    let text = String::from_utf8(text.0.lock().unwrap().clone()).expect("text is UTF-8");
    let json = String::from_utf8(json.0.lock().unwrap().clone()).expect("JSON is UTF-8");
    assert_harmless(&text);
    for line in json.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        assert!(value["type"].is_string(), "{line}");
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    }
    Ok(Told { report, events: sink.events })
}

/// Runs it without keys; it has to be a capture.
pub fn told(file: Vec<u8>) -> Told {
    told_with(file, KeyRing::new()).unwrap_or_else(|e| panic!("{e}"))
}

/// Nothing that a terminal acts on or that turns text around.
pub fn assert_harmless(text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
    };
    if let Some(at) = text.find(bad) {
        let line = text[..at].rfind('\n').map_or(0, |n| n + 1);
        panic!("{:?}", text[line..].chars().take(300).collect::<String>());
    }
}

/// What went wrong, if it panicked; whether it was a capture otherwise.
pub fn survives(file: Vec<u8>, keys: &KeyRing) -> Result<bool, String> {
    let keys = keys.clone();
    catch_unwind(AssertUnwindSafe(|| told_with(file, keys).is_ok())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
    })
}
