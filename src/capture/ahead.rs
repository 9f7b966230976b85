//! A stream read by a thread of its own, some way ahead of who takes it: what a read costs, and decompression, is then
//! paid beside the work on what was read before.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};

/// Room before what was read, where the rest of the chunk before it can go: more than a packet usually has.
const ROOM: usize = 64 << 10;

/// Bytes of a chunk.
const CHUNK: usize = 256 << 10;

/// Chunks under way, and how many of them go back at once: each time the thread has to be woken.
const CHUNKS: usize = 8;
const BACK: usize = 4;

/// What was read: `data` from [`ROOM`] up to `end`.
struct Chunk {
    data: Vec<u8>,
    end: usize,
}

/// Where chunks come from, and where used ones go.
type Ends = (Receiver<io::Result<Chunk>>, Sender<Vec<u8>>);

/// The taker's end.
pub(super) struct Ahead {
    /// None once it is dropped, which ends the thread.
    ends: Option<Ends>,
    /// Chunks that are done with.
    spent: Vec<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    /// Begins to read.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        let (filled, take) = sync_channel(CHUNKS);
        let (give_back, empty) = channel();
        for _ in 0..CHUNKS {
            let _ = give_back.send(Vec::new());
        }
        let thread = thread::spawn(move || {
            let mut reader = reader;
            for mut data in empty {
                data.resize(ROOM + CHUNK, 0);
                let (end, last) = fill(&mut reader, &mut data);
                if end > ROOM && filled.send(Ok(Chunk { data, end })).is_err() {
                    return;
                }
                match last {
                    None => {}
                    Some(Ok(())) => return,
                    Some(Err(e)) => return drop(filled.send(Err(e))),
                }
            }
        });
        Ahead { ends: Some((take, give_back)), spent: Vec::new(), thread: Some(thread) }
    }

    /// Appends what was read to `data`'s bytes from `start` to `end`; where these then are. None at the end.
    pub(super) fn append(
        &mut self,
        data: &mut Vec<u8>,
        start: usize,
        end: usize,
    ) -> io::Result<Option<(usize, usize)>> {
        let Some((take, give_back)) = &self.ends else { return Ok(None) };
        let Ok(chunk) = take.recv() else {
            if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                std::panic::resume_unwind(panic);
            }
            return Ok(None);
        };
        let mut chunk = chunk?;
        let unread = data.get(start..end).unwrap_or_default();
        let place = match ROOM.checked_sub(unread.len()) {
            Some(from) => {
                if let Some(room) = chunk.data.get_mut(from..ROOM) {
                    room.copy_from_slice(unread);
                }
                std::mem::swap(data, &mut chunk.data);
                (from, chunk.end)
            }
            None => {
                data.truncate(end);
                data.drain(..start);
                data.extend_from_slice(chunk.data.get(ROOM..chunk.end).unwrap_or_default());
                (0, data.len())
            }
        };
        self.spent.push(chunk.data);
        if self.spent.len() == BACK {
            self.spent.drain(..).for_each(|chunk| drop(give_back.send(chunk)));
        }
        Ok(Some(place))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads behind [`ROOM`] until `data` is full; up to where, and how the stream ended if it did.
fn fill(reader: &mut dyn Read, data: &mut [u8]) -> (usize, Option<io::Result<()>>) {
    let mut end = ROOM;
    while let Some(space) = data.get_mut(end..).filter(|space| !space.is_empty()) {
        match reader.read(space) {
            Ok(0) => return (end, Some(Ok(()))),
            Ok(got) => end += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (end, Some(Err(e))),
        }
    }
    (end, None)
}

#[cfg(test)]
mod tests {
    use super::super::buffer::Buffer;
    use super::super::room::{Room, Window};
    use super::*;

    /// Gives its bytes in pieces of changing length, and an error behind them if there is to be one.
    struct Pieces {
        left: Vec<u8>,
        reads: usize,
        fails: bool,
    }

    impl Read for Pieces {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.left.is_empty() && self.fails {
                return Err(io::Error::other("the disk is gone"));
            }
            self.reads += 1;
            let n = (1 + self.reads * 40_961 % 100_000).min(buf.len()).min(self.left.len());
            buf[..n].copy_from_slice(&self.left[..n]);
            self.left.drain(..n);
            Ok(n)
        }
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len as u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
    }

    /// Reads records of that length through a buffer, the first of them before the thread begins.
    fn through_a_buffer(all: &[u8], record: usize, fails: bool) -> (Vec<u8>, bool) {
        let mut buffer =
            Buffer::new(Box::new(Pieces { left: all.to_vec(), reads: 0, fails }), Window::default(), &Room::default());
        let mut out = Vec::new();
        buffer.ensure(50_000);
        buffer.read_ahead();
        while buffer.ensure(record) {
            out.extend_from_slice(&buffer.data()[..record]);
            buffer.consume(record);
        }
        out.extend_from_slice(buffer.data());
        (out, buffer.take_error().is_some())
    }

    #[test]
    fn the_same_bytes_whatever_the_records_are() {
        let all = bytes(3_000_001);
        for record in [1_000, 65_535, ROOM + 1, CHUNK, 3 * CHUNK + 7, 4_000_000] {
            let (out, failed) = through_a_buffer(&all, record, false);
            assert!(out == all, "records of {record} bytes");
            assert!(!failed);
        }
    }

    #[test]
    fn an_error_comes_behind_what_was_read() {
        let all = bytes(700_000);
        let (out, failed) = through_a_buffer(&all, 1_000, true);
        assert!(out == all && failed);
    }

    #[test]
    fn it_ends_with_its_taker() {
        let mut buffer = Buffer::new(Box::new(io::repeat(7)), Window::default(), &Room::default());
        buffer.ensure(50_000);
        buffer.read_ahead();
        assert!(buffer.ensure(CHUNK + 1));
    }
}
