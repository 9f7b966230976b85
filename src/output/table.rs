//! Aligned columns for lines that come one by one.

use std::io::{self, Write};

use super::style::{Color, Role};
use super::time::Zone;

/// Rows that are held back to learn how wide the columns are.
const HELD: usize = 200;

/// Terminals show some characters in two columns.
pub(super) fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match c as u32 {
            0x300..=0x36f | 0x200c..=0x200d | 0xfe00..=0xfe0f => 0,
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

/// A text's beginning, with `…` where it is wider than `columns`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut at = 0;
    let fits = |c: &char| {
        at += width(c.encode_utf8(&mut [0; 4]));
        at < columns
    };
    let begin: String = text.chars().take_while(fits).collect();
    begin + "…"
}

/// A column.
#[derive(Copy, Clone, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) name: &'static str,
    /// Least width, where more rows may come.
    pub(super) min: usize,
    /// Greatest width that alignment is kept for; longer values stand out.
    pub(super) max: usize,
    /// Aligned to the right.
    pub(super) right: bool,
    /// It holds times: the heading names their zone.
    pub(super) time: bool,
}

impl Column {
    pub(super) const fn left(name: &'static str, min: usize, max: usize) -> Self {
        Column { name, min, max, right: false, time: false }
    }

    /// Date and time to the second.
    pub(super) const fn time(name: &'static str) -> Self {
        Column { time: true, ..Column::left(name, 19, 19) }
    }

    pub(super) const fn right(name: &'static str, min: usize, max: usize) -> Self {
        Column { name, min, max, right: true, time: false }
    }
}

/// A cell: its text, already escaped, and its look.
#[derive(Clone, Debug)]
pub(super) struct Cell(pub(super) String, pub(super) Option<Role>);

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell(text.into(), None)
    }
}

/// Writes rows under a heading; the first ones set the widths, which then stay.
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Option<Vec<usize>>,
    held: Vec<(Vec<Cell>, String)>,
    hold: usize,
    color: Color,
    zone: String,
}

impl Table {
    /// `live` shows each row at once, in columns of their least width.
    pub(super) fn new(columns: impl Into<Vec<Column>>, color: Color, live: bool) -> Self {
        let columns = columns.into();
        Table { columns, widths: None, held: Vec::new(), hold: if live { 0 } else { HELD }, color, zone: String::new() }
    }

    /// Its times are of that zone.
    pub(super) fn in_zone(self, zone: &Zone) -> Self {
        Table { zone: zone.name(), ..self }
    }

    fn heading(&self, column: &Column) -> Cell {
        let name = match column.time {
            true => format!("{} ({})", column.name, self.zone),
            false => column.name.to_owned(),
        };
        Cell(name, Some(Role::Heading))
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn row(&mut self, out: &mut impl Write, row: Vec<Cell>) -> io::Result<()> {
        self.row_above(out, row, String::new())
    }

    /// A row and the lines beneath it, which are written as they are.
    pub(super) fn row_above(&mut self, out: &mut impl Write, row: Vec<Cell>, lines: String) -> io::Result<()> {
        if self.widths.is_none() {
            self.held.push((row, lines));
            if self.held.len() <= self.hold {
                return Ok(());
            }
            return self.release(out);
        }
        self.write(out, &row)?;
        out.write_all(lines.as_bytes())
    }

    /// Writes what is held back.
    pub(super) fn release(&mut self, out: &mut impl Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.held);
        if rows.is_empty() {
            return Ok(());
        }
        if self.widths.is_none() {
            let heading: Vec<Cell> = self.columns.iter().map(|column| self.heading(column)).collect();
            // Of a table that is known as a whole, what is there tells how much room it takes.
            let whole = rows.len() <= self.hold;
            let widths = self.columns.iter().zip(&heading).enumerate().map(|(i, (column, name))| {
                let widest = rows.iter().filter_map(|(r, _)| r.get(i)).map(|c| width(&c.0)).max().unwrap_or(0);
                let name = width(&name.0);
                let least = if whole { name } else { column.min.max(name) };
                widest.clamp(least, column.max.max(name))
            });
            self.widths = Some(widths.collect());
            self.write(out, &heading)?;
        }
        rows.iter().try_for_each(|(row, lines)| {
            self.write(out, row)?;
            out.write_all(lines.as_bytes())
        })
    }

    fn write(&self, out: &mut impl Write, row: &[Cell]) -> io::Result<()> {
        let mut line = String::new();
        let mut behind = 0;
        for (i, (column, cell)) in self.columns.iter().zip(row).enumerate() {
            let wanted = self.widths.as_ref().and_then(|w| w.get(i)).copied().unwrap_or(column.min);
            let padding = wanted.saturating_sub(width(&cell.0));
            if i > 0 {
                behind += 2;
            }
            if column.right {
                behind += padding;
            }
            if !cell.0.is_empty() {
                // Blanks are written only before something, so that no line ends in them.
                line.extend(std::iter::repeat_n(' ', std::mem::take(&mut behind)));
                match cell.1 {
                    Some(role) => self.color.push(&mut line, role, &cell.0),
                    None => line.push_str(&cell.0),
                }
            }
            if !column.right {
                behind += padding;
            }
        }
        line.push('\n');
        out.write_all(line.as_bytes())
    }
}

/// A paragraph of lines no wider than `columns` where blanks allow that: what it is, indented, and its words.
pub(super) fn paragraph(name: &str, text: &str, columns: usize) -> String {
    const FIRST: usize = 4;
    const REST: usize = 8;
    let mut lines = format!("{:FIRST$}{name}:", "");
    let mut at = width(&lines);
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        if at + 1 + width(word) > columns {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', REST));
            at = REST;
        } else {
            lines.push(' ');
            at += 1;
        }
        lines.push_str(word);
        at += width(word);
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::right("ID", 2, 9), Column::left("NAME", 4, 8), Column::left("NOTE", 4, 4)];

    fn table(rows: &[[&str; 3]], live: bool) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(COLUMNS, Color::Off, live);
        for row in rows {
            table.row(&mut out, row.iter().map(|c| Cell::from(*c)).collect()).unwrap();
        }
        table.release(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_align_and_no_line_ends_in_blanks() {
        let rows = [["1", "alice", "ok"], ["200", "bob", ""], ["3", "日本", "x"]];
        assert_eq!(table(&rows, false), " ID  NAME   NOTE\n  1  alice  ok\n200  bob\n  3  日本   x\n");
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        let cases =
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 1, "…")];
        for (text, columns, wanted) in cases {
            assert_eq!(cut(text, columns), wanted);
            assert!(width(wanted) <= columns);
        }
    }

    #[test]
    fn a_heading_of_times_names_their_zone_and_makes_room_for_it() {
        const COLUMNS: &[Column] = &[Column::time("START"), Column::left("NAME", 4, 8)];
        let mut out = Vec::new();
        let mut table = Table::new(COLUMNS, Color::Off, false).in_zone(&Zone::parse("Europe/Paris").unwrap());
        table.row(&mut out, vec!["2026-11-24 10:00:01".into(), "a".into()]).unwrap();
        table.release(&mut out).unwrap();
        let want = "START (Europe/Paris)  NAME\n2026-11-24 10:00:01   a\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn live_rows_are_not_held() {
        let mut out = Vec::new();
        let mut table = Table::new(COLUMNS, Color::Off, true);
        table.row(&mut out, vec!["1".into(), "alice".into(), "ok".into()]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "ID  NAME   NOTE\n 1  alice  ok\n");
    }

    #[test]
    fn paragraphs_break_between_words() {
        assert_eq!(paragraph("auth", "PLAIN LOGIN", 80), "    auth: PLAIN LOGIN\n");
        assert_eq!(paragraph("auth", "PLAIN LOGIN CRAM-MD5", 22), "    auth: PLAIN LOGIN\n        CRAM-MD5\n");
        // What has no blanks stays whole.
        assert_eq!(paragraph("a", "b 0123456789abcdef c", 14), "    a: b\n        0123456789abcdef\n        c\n");
    }

    #[test]
    fn nothing_without_rows() {
        assert_eq!(table(&[], false), "");
    }
}
