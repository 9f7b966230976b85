//! Scripts on their way, until the server has said what became of them.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

use super::lines::{Logical, Word};
use crate::event::weight::optional;
use crate::event::{EventBody, MessageOutcome, Script, Text};
use crate::mail::Context;
use crate::position::{Direction, Span};

/// A script, and its place in the story.
struct Awaited {
    seq: u64,
    span: Span,
    script: Script,
}

/// The scripts that wait for a reply, and the names of those that were asked for.
#[derive(Default)]
pub(super) struct Scripts {
    awaited: VecDeque<Awaited>,
    asked: VecDeque<(u64, Text)>,
}

impl Scripts {
    /// Memory beside its own fields, roughly.
    pub(super) fn cost(&self) -> usize {
        let awaited = self.awaited.iter().map(|awaited| {
            let script = &awaited.script;
            let texts = [&script.name, &script.status, &script.text].into_iter().map(optional).sum::<usize>();
            size_of::<Awaited>() + script.verb.heap() + texts
        });
        let asked = self.asked.iter().map(|(_, name)| size_of::<(u64, Text)>() + name.heap());
        awaited.sum::<usize>() + asked.sum::<usize>()
    }

    /// A command with that `seq`: PUTSCRIPT and CHECKSCRIPT carry a script, GETSCRIPT asks for one.
    pub(super) fn command(&mut self, seq: u64, verb: &Text, args: &[u8], line: &Logical, cx: &mut Context<'_>) {
        let mut words = line.words_of(args).into_iter();
        let name = |word: Option<Word>| word.map(|word| Text::from(word.value()));
        match verb.0.as_slice() {
            b"PUTSCRIPT" => {
                let name = name(words.next());
                self.begin(seq, verb, name, words.next(), line, cx);
            }
            b"CHECKSCRIPT" => self.begin(seq, verb, None, words.next(), line, cx),
            b"GETSCRIPT" => {
                if self.asked.len() >= cx.limits.pending_commands {
                    self.asked.pop_front();
                }
                self.asked.extend(name(words.next()).map(|name| (seq, name)));
            }
            _ => {}
        }
    }

    /// The answer to the GETSCRIPT with that `seq`: a string alone in its line.
    pub(super) fn returned(&mut self, command: u64, verb: &Text, line: &Logical, cx: &mut Context<'_>) {
        let at = self.asked.iter().position(|(seq, _)| *seq == command);
        let name = at.and_then(|at| self.asked.remove(at)).map(|(_, name)| name);
        self.begin(command, verb, name, line.words().into_iter().next(), line, cx);
    }

    fn begin(
        &mut self,
        command: u64,
        verb: &Text,
        name: Option<Text>,
        word: Option<Word>,
        line: &Logical,
        cx: &mut Context<'_>,
    ) {
        let (size, digest, complete, span) = match (&word, line.last_literal()) {
            (Some(Word::Literal(_)), Some(literal)) => {
                let digest = literal.digest.clone().finalize().into();
                (literal.size, digest, !literal.gap, literal.span.unwrap_or(line.span))
            }
            (Some(Word::Quoted(value)), _) => {
                (value.len() as u64, Sha256::digest(value).into(), !line.cut && !line.partial, line.span)
            }
            _ => return,
        };
        if self.awaited.len() >= cx.limits.pending_commands {
            self.settle(0, MessageOutcome::Unknown, None, cx);
        }
        let dir = if verb.0 == b"GETSCRIPT" { Direction::Server } else { Direction::Client };
        let script = Script {
            dir,
            tls: cx.tls,
            command,
            verb: verb.clone(),
            name,
            size,
            sha256: cx.options.digests.then_some(digest),
            complete,
            outcome: MessageOutcome::Unknown,
            status: None,
            text: word.filter(|_| cx.options.bodies).map(|word| word.value().into()),
            assumed: cx.one_sided,
        };
        self.awaited.push_back(Awaited { seq: cx.out.reserve(), span, script });
    }

    /// What became of the command with that `seq` can't be told.
    pub(super) fn unknown(&mut self, command: u64, cx: &mut Context<'_>) {
        if let Some(at) = self.awaited.iter().position(|awaited| awaited.script.command == command) {
            self.settle(at, MessageOutcome::Unknown, None, cx);
        }
        self.asked.retain(|(seq, _)| *seq != command);
    }

    /// The command with that `seq` was answered.
    pub(super) fn answered(&mut self, command: u64, ok: bool, status: &Text, cx: &mut Context<'_>) {
        if let Some(at) = self.awaited.iter().position(|awaited| awaited.script.command == command) {
            let outcome = if ok { MessageOutcome::Accepted } else { MessageOutcome::Rejected };
            self.settle(at, outcome, Some(status), cx);
        }
        self.asked.retain(|(seq, _)| *seq != command);
    }

    /// No more replies come; `outcome` of each command.
    pub(super) fn finish(&mut self, outcome: impl Fn(u64) -> MessageOutcome, cx: &mut Context<'_>) {
        while let Some(first) = self.awaited.front() {
            let outcome = outcome(first.script.command);
            self.settle(0, outcome, None, cx);
        }
    }

    fn settle(&mut self, at: usize, outcome: MessageOutcome, status: Option<&Text>, cx: &mut Context<'_>) {
        let Some(Awaited { seq, span, mut script }) = self.awaited.remove(at) else { return };
        script.outcome = outcome;
        script.status = status.cloned();
        cx.out.push_at(seq, span, EventBody::Script(Box::new(script)));
    }
}
