//! Which lines of a recording lie where a belt could have carried them.
//!
//! A live belt that jumps ends its scan. A recording is judged before it is played, because its whole table is known. Few wrong rows
//! among good ones become gaps. From a jump that lasts on, nothing tells where the tray lies, and the scan ends there.

use super::watch::Mark;
use super::{BeltLimits, ConstantSpeed, Irregularity};
use replay::capture::LineRecord;
use std::ops::Range;

/// Rows in a row that agree on the belt's way. Fewer prove nothing.
const AGREEING: usize = 3;
/// Most wrong rows in a row among good ones. More of them are a jump that lasts.
const MOST_WRONG: usize = 8;
/// Stretches that are tried behind wrong rows.
const TRIED: usize = 8;
/// No belt position lies further from zero, mm. Row numbers beyond it are not exact.
pub(super) const FURTHEST_MM: f64 = 1e12;

/// The judgement on the places of a recording's lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Places {
    /// Numbers of the frames that lie where no belt could have carried them, as they are played: the first has number 0. Sorted.
    misplaced: Vec<u64>,
    /// The first misplaced row: its frame number in the recording, and its position, mm.
    first: Option<(u64, f64)>,
    /// The frame from which on the positions make no sense, and why.
    end: Option<(u64, Irregularity)>,
    /// The range of belt positions of the other lines, mm.
    span_mm: Option<(f64, f64)>,
}

impl Places {
    /// Judges the table of a recording of `lines` lines. Without a table, lines follow each other as `nominal` says.
    ///
    /// `reach_mm` bounds the way between two lines, whatever their times and numbers say.
    pub fn judge(records: Option<&[LineRecord]>, lines: u64, limits: &BeltLimits, nominal: ConstantSpeed, reach_mm: f64) -> Self {
        let line_mm = nominal.speed_mm_per_s / nominal.frame_rate_hz;
        let Some(records) = records else {
            #[expect(clippy::cast_precision_loss, reason = "line numbers are far below 2^52")]
            return Self { span_mm: (lines > 0).then_some((0.0, lines as f64 * line_mm)), ..Self::default() };
        };
        let Some(first) = records.first().map(|row| row.frame) else { return Self::default() };
        let mut this = Self::default();
        let mut marks = Vec::new();
        for row in records {
            let Some(position_mm) = row.position_mm else { continue };
            marks.push(Mark { frame: row.frame - first, time_ns: row.time_ns, position_mm });
        }
        let agree = |a: &Mark, b: &Mark| {
            let by_mm = b.position_mm - a.position_mm;
            let most_mm = nominal.furthest_mm(limits, a, b).min(reach_mm);
            let sane = a.position_mm.abs() <= FURTHEST_MM && b.position_mm.abs() <= FURTHEST_MM;
            sane && (-most_mm..=most_mm).contains(&by_mm)
        };
        let (kept, lasts) = chain(&stretches(&marks, &agree), &marks, &agree);
        let end = kept.last().map_or(0, |last| last.end);
        let lasts = lasts || (end > 0 && marks.len() - end > MOST_WRONG);
        if lasts {
            let (before, behind) = (&marks[end - 1], &marks[end]);
            let jump = Irregularity::Jump { at_mm: before.position_mm, by_mm: behind.position_mm - before.position_mm };
            this.end = Some((before.frame + 1, jump));
        }
        let (mut before, mut next) = (None, 0);
        for range in kept.into_iter().chain((!lasts).then_some(marks.len()..marks.len())) {
            for mark in &marks[next..range.start] {
                // A right row between wrong ones is no stretch of its own.
                let fits =
                    before.is_none_or(|before| agree(before, mark)) && marks.get(range.start).is_none_or(|behind| agree(mark, behind));
                if fits && mark.position_mm.abs() <= FURTHEST_MM && end > 0 {
                    before = Some(mark);
                } else {
                    this.leave_out(mark, first);
                }
            }
            before = range.clone().next_back().map(|last| &marks[last]).or(before);
            next = range.end;
        }
        let until = this.end.as_ref().map_or(u64::MAX, |(frame, _)| *frame);
        this.span_mm = this.span(records, first, until, line_mm, reach_mm);
        this
    }

    fn leave_out(&mut self, mark: &Mark, first: u64) {
        self.misplaced.push(mark.frame);
        if self.first.is_none_or(|(frame, _)| frame > mark.frame + first) {
            self.first = Some((mark.frame + first, mark.position_mm));
        }
    }

    /// The range of positions of the lines that are played. A line without a position is taken as [`super::Acquire`] takes it.
    #[expect(clippy::cast_precision_loss, reason = "frame numbers are far below 2^52")]
    fn span(&self, records: &[LineRecord], first: u64, until: u64, line_mm: f64, reach_mm: f64) -> Option<(f64, f64)> {
        let mut range: Option<(f64, f64)> = None;
        let mut placed: Option<(u64, f64)> = None;
        let mut before: Option<f64> = None;
        for row in records {
            let frame = row.frame - first;
            if frame >= until {
                break;
            }
            if self.is_misplaced(frame) {
                continue;
            }
            let assumed = || placed.map_or(frame as f64 * line_mm, |(number, mm)| mm + (frame - number) as f64 * line_mm);
            let at = row.position_mm.unwrap_or_else(assumed);
            if before.is_some_and(|before| at - before > reach_mm) {
                break;
            }
            placed = row.position_mm.map(|mm| (frame, mm)).or(placed);
            before = Some(at);
            range = Some(range.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
        }
        range
    }

    /// Whether the frame of this number, as it is played, lies where no belt could have carried it.
    pub(super) fn is_misplaced(&self, frame: u64) -> bool {
        self.misplaced.binary_search(&frame).is_ok()
    }

    /// The jump that ends the recording, where the frame of this number lies behind it.
    pub(super) fn ends_before(&self, frame: u64) -> Option<&Irregularity> {
        self.end.as_ref().filter(|(end, _)| frame >= *end).map(|(_, jump)| jump)
    }

    /// The range of belt positions of the lines that are played, mm; `None` without a line.
    pub fn span_mm(&self) -> Option<(f64, f64)> {
        self.span_mm
    }

    /// The warning about lines of `camera` that are left out, where there are some.
    pub fn warning(&self, camera: &str) -> Option<String> {
        let (frame, position_mm) = self.first?;
        let lines = self.misplaced.len();
        (lines > 0).then(|| {
            format!(
                "{camera}: {lines} of its lines lie where no belt could have carried them, the first is frame {frame} at {} mm; they are left out as gaps; check lines.csv of its recording, and the encoder",
                super::watch::Millimetres(position_mm)
            )
        })
    }
}

/// The longest stretches of marks in which each agrees with the one before it.
fn stretches(marks: &[Mark], agree: &impl Fn(&Mark, &Mark) -> bool) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for (i, mark) in marks.iter().enumerate() {
        match all.last_mut() {
            Some(last) if agree(&marks[i - 1], mark) => last.end = i + 1,
            _ => all.push(i..i + 1),
        }
    }
    // A recording of very few lines proves no more.
    let longest = all.iter().map(Range::len).max().unwrap_or(0);
    all.retain(|stretch| stretch.len() >= AGREEING.min(longest));
    all
}

/// The stretches that one way of the belt goes through, and whether a jump ends it.
///
/// A few wrong rows at the beginning do not decide: the way of more rows counts.
fn chain(stretches: &[Range<usize>], marks: &[Mark], agree: &impl Fn(&Mark, &Mark) -> bool) -> (Vec<Range<usize>>, bool) {
    let rows = |chain: &(Vec<Range<usize>>, bool)| chain.0.iter().map(Range::len).sum::<usize>();
    let mut best = (Vec::new(), false);
    for (number, begin) in stretches.iter().enumerate() {
        let wrong = begin.start;
        if number > 0 && wrong > MOST_WRONG {
            break;
        }
        let found = chain_from(&stretches[number..], marks, agree);
        if number == 0 || rows(&found) > rows(&best).max(4 * wrong) {
            best = found;
        }
    }
    best
}

fn chain_from(stretches: &[Range<usize>], marks: &[Mark], agree: &impl Fn(&Mark, &Mark) -> bool) -> (Vec<Range<usize>>, bool) {
    let Some(first) = stretches.first() else { return (Vec::new(), false) };
    let (mut kept, mut next) = (vec![first.clone()], 1);
    while next < stretches.len() {
        let current = kept.last().cloned().unwrap_or_default();
        let near = stretches[next..].iter().take(TRIED).take_while(|other| other.start - current.end <= MOST_WRONG);
        // A row at an edge of a stretch may be the wrong one: a wrong time lets it agree with its neighbour.
        let joined = near.enumerate().find_map(|(skipped, other)| {
            let edges = || (0..AGREEING.min(current.len())).flat_map(|tail| (0..AGREEING.min(other.len())).map(move |head| (tail, head)));
            let mut ordered: Vec<(usize, usize)> = edges().collect();
            ordered.sort_by_key(|(tail, head)| tail + head);
            let fits = |(tail, head): &(usize, usize)| agree(&marks[current.end - 1 - tail], &marks[other.start + head]);
            let (tail, head) = ordered.into_iter().find(fits)?;
            Some((skipped, current.start..current.end - tail, other.start + head..other.end))
        });
        let Some((skipped, current, other)) = joined else { return (kept, true) };
        kept.pop();
        kept.extend([current, other]);
        next += skipped + 1;
    }
    (kept, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BeltLimits = BeltLimits { max_speed_error: 0.05, stall_s: 1.0, max_reversal_mm: 1.0 };
    /// A line every millimetre, 20 ms apart.
    const NOMINAL: ConstantSpeed = ConstantSpeed { speed_mm_per_s: 50.0, frame_rate_hz: 50.0 };
    const REACH_MM: f64 = 300.0;

    /// A table of 200 lines, whose first frame is number 7.
    fn table(change: impl Fn(usize, &mut LineRecord)) -> Vec<LineRecord> {
        let row = |i: usize| {
            let mut row = LineRecord { frame: i as u64 + 7, time_ns: i as i64 * 20_000_000, position_mm: Some(i as f64), fault: None };
            change(i, &mut row);
            row
        };
        (0..200).map(row).collect()
    }

    fn judge(rows: &[LineRecord]) -> Places {
        Places::judge(Some(rows), rows.len() as u64, &LIMITS, NOMINAL, REACH_MM)
    }

    #[test]
    fn a_wrong_row_among_good_ones_is_left_out_alone() {
        for wrong in [1e5, 1e9, 1e300, f64::MAX, -1e5, -1e300, 130.0, 40.0] {
            for time_ns in [None, Some(i64::MAX), Some(i64::MIN)] {
                for at in [0, 1, 90, 198, 199] {
                    let rows = table(|i, row| {
                        if i == at {
                            row.position_mm = Some(row.position_mm.unwrap() + wrong);
                            row.time_ns = time_ns.unwrap_or(row.time_ns);
                        }
                    });
                    let places = judge(&rows);
                    let what = format!("{wrong} at {at}, {time_ns:?}: {places:?}");
                    // A time that is wrong too hides a place within reach, at an end of the table.
                    if time_ns.is_some() && wrong.abs() < REACH_MM {
                        continue;
                    }
                    assert_eq!((places.misplaced.as_slice(), &places.end), (&[at as u64][..], &None), "{what}");
                    let (from, to) = places.span_mm().unwrap();
                    assert!(from >= 0.0 && to <= 199.0, "{what}");
                    assert!(places.warning("vnir").unwrap().contains(&format!("the first is frame {}", at + 7)), "{what}");
                }
            }
        }
    }

    #[test]
    fn a_jump_that_lasts_ends_the_lines_where_it_happened() {
        for by_mm in [30.0, 1e5, 1e11, 1e300, -60.0, -1e5, -1e300] {
            let rows = table(|i, row| row.position_mm = Some(i as f64 + if i < 120 { 0.0 } else { by_mm }));
            let places = judge(&rows);
            assert_eq!(places.misplaced.len(), 0, "{by_mm}");
            let Some((120, Irregularity::Jump { at_mm, by_mm: found })) = places.end else { panic!("{by_mm}: {places:?}") };
            assert!((at_mm, found) == (119.0, 120.0 + by_mm - 119.0), "{by_mm}: {places:?}");
            assert_eq!(places.span_mm(), Some((0.0, 119.0)));
            assert!(places.ends_before(119).is_none() && places.ends_before(120).is_some());
        }
    }

    #[test]
    fn some_wrong_rows_in_a_row_are_left_out_and_the_way_goes_on() {
        let places = judge(&table(|i, row| row.position_mm = Some(i as f64 + if (50..55).contains(&i) || i < 4 { 1e6 } else { 0.0 })));
        assert_eq!((places.misplaced.as_slice(), &places.end), (&[0, 1, 2, 3, 50, 51, 52, 53, 54][..], &None));
        assert_eq!(places.span_mm(), Some((4.0, 199.0)));
    }

    #[test]
    fn a_belt_that_a_belt_can_be_is_left_alone() {
        for position in [
            &(|i: usize| i as f64 * 1.3) as &dyn Fn(usize) -> f64,
            &|i| if i < 100 { i as f64 } else { 200.0 - i as f64 },
            &|i| i.min(80) as f64,
            &|i| 1e11 + i as f64 * 0.9,
        ] {
            let places = judge(&table(|i, row| row.position_mm = Some(position(i))));
            assert_eq!((places.misplaced.len(), &places.end, places.warning("vnir")), (0, &None, None));
        }
        // A second without frames, and a clock that is set.
        let places = judge(&table(|i, row| {
            let late = if i < 100 { 0 } else { 50 };
            row.frame += late;
            row.position_mm = Some((i as u64 + late) as f64);
            row.time_ns += if i < 150 { 0 } else { 3_600_000_000_000 };
        }));
        assert_eq!((places.misplaced.len(), &places.end), (0, &None));
    }

    #[test]
    fn numbers_and_times_that_say_anything_bring_no_line_further_than_the_tray_is_long() {
        let far = |rows: &[LineRecord]| judge(rows).span_mm().map_or(0.0, |(from, to)| to - from);
        assert!(far(&table(|i, row| row.frame = if i < 199 { row.frame } else { u64::MAX })) <= 199.0 + REACH_MM);
        let rows = table(|i, row| {
            row.position_mm = None;
            row.frame = if i < 199 { row.frame } else { u64::MAX };
        });
        assert!(far(&rows) <= 199.0);
        assert_eq!(judge(&table(|i, row| row.position_mm = Some(i as f64 * 1e6))).span_mm(), Some((0.0, 0.0)));
        assert_eq!(judge(&[]), Places::default());
    }
}
