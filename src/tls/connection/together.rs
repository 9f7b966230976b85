//! Records that are held back until there are enough of them to be opened together, which takes less time than one by one
//! (`protection/lanes.rs`).
//!
//! Those of the same length, of content behind the handshake, that seem to be pieces of something longer. Whatever else
//! comes, in either direction, opens first what is held back: what lies above sees the same in the same order, later.

use super::epoch::Stage;
use super::{Connection, Env, Half};
use crate::position::{Direction, Span};
use crate::tls::Upper;
use crate::tls::protection::TOGETHER;
use crate::tls::record::{HEADER, Header, content};

/// Who has more to send than fits in a record fills a buffer each time, of so many bytes or a multiple.
const BUFFER: usize = 4096;

/// Records held back.
pub(super) type Back = Vec<(Header, Span)>;

impl Half {
    /// Whether that record, which is whole, should wait for others.
    fn holds_back(&mut self, header: Header) -> bool {
        let alike = |(first, _): &(Header, Span)| *first == header;
        if header.content_type != content::APPLICATION
            || !self.back.first().is_none_or(alike)
            || self.lost.is_some()
            || !self.epoch.confirmed
            || self.epoch.compressed
            || self.epoch.stage != Stage::Changed
        {
            return false;
        }
        let content = self.epoch.protection().and_then(|protection| protection.gains_together(header.len));
        content.is_some_and(|len| len.contains(&(len.end() / BUFFER * BUFFER)) && *len.end() >= BUFFER)
    }
}

impl Connection {
    /// Holds a record back, or opens it with those that were. False where it has to be opened now, behind them.
    pub(super) fn hold_back(
        &mut self,
        dir: Direction,
        header: Header,
        span: Span,
        env: &mut Env<'_>,
        up: &mut dyn Upper,
    ) -> bool {
        let current = self.handshakes.len().saturating_sub(1);
        let settled = self.handshakes.last().is_some_and(|handshake| handshake.established);
        let half = &mut self.halves[dir.index()];
        let holds = env.may_hold_back && settled && half.epoch.handshake == current && half.holds_back(header);
        if holds {
            half.framer.hold_back(header.record_len(), TOGETHER);
            half.back.push((header, span));
        }
        if !holds || half.back.len() == TOGETHER {
            self.open_held_back(dir, env, up);
        }
        holds
    }

    /// As [`Connection::open_held_back`], in both directions: in one of them there is nothing.
    pub(crate) fn open_all_held_back(&mut self, env: &mut Env<'_>, up: &mut dyn Upper) {
        self.open_held_back(Direction::Client, env, up);
        self.open_held_back(Direction::Server, env, up);
    }

    /// Opens what is held back.
    pub(super) fn open_held_back(&mut self, dir: Direction, env: &mut Env<'_>, up: &mut dyn Upper) {
        let i = dir.index();
        if self.halves[i].back.is_empty() {
            return;
        }
        let back = std::mem::take(&mut self.halves[i].back);
        let mut taken = self.halves[i].framer.take_held_back();
        let mut rest = taken.bytes();
        let mut next = |header: Header| {
            let (record, behind) = std::mem::take(&mut rest).split_at_mut_checked(header.record_len())?;
            rest = behind;
            Some(record)
        };
        let protection = self.halves[i].epoch.protection().filter(|_| back.len() == TOGETHER);
        if let (Some(protection), Some(&(header, _))) = (protection, back.first()) {
            // All headers are the same.
            let fragments =
                std::array::from_fn(|_| next(header).and_then(|record| record.get_mut(HEADER..)).unwrap_or_default());
            let opened = protection.open_together(header.content_type, header.version, fragments);
            for (opened, (_, span)) in opened.into_iter().zip(back) {
                self.opened_together(dir, header, opened, span, env, up);
            }
        } else {
            for (header, span) in back {
                self.record(dir, header, next(header).unwrap_or_default(), span, env, up);
            }
        }
        self.halves[i].framer.put_back_held_back(taken);
    }
}
