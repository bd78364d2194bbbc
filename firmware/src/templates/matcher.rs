//! The matcher looks for templates in a stream, row by row, by dynamic time warping.
//!
//! A path through the rows of stream and template, which may begin at any row of the stream, ends in each row of the
//! template. Its cost is the sum of the distances along it, one for each row of the template, so that paths of all
//! lengths are compared by the template's length alone and nothing grows with time. A path goes on by one row of both; by
//! one of the template and two of the stream, whose distances are averaged; or by two of the template and one of the
//! stream.
//!
//! All is integer and exact: costs count halves of a distance, so that no average is rounded.

use crate::decoder::ms;
use crate::image::{DecoderConfig, FrontEndConfig, Stream};
use crate::recognizer::{Event, Recognizer};
use crate::step::Step;

use super::rows::{LENGTH, heard_by_head, unit_row};
use super::{MAX_COLUMNS, Misfit, SAME, Template, Templates};

/// The distance of rows that have nothing in common, from 0 for the same: the square of their length.
const APART: i32 = LENGTH * LENGTH;
/// The cost of a path that there is none. What is added on the way through a template leaves it within 24 bits.
const NEVER: u32 = 0x7f_ffff << COST;
/// The lowest bit that a path's cost has. Below it stands its age: the rows of the stream since its first one.
const COST: u32 = 8;

/// What a [`Matcher`] keeps of a row of a template, from one step to the next.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Holds the cheapest path that ended here in the step before, its cost above its age.
    last: u32,
    /// Holds the cheapest path that ended here in the step before that.
    before: u32,
    /// The distance that the step before had from this row.
    distance: u16,
}

impl Cell {
    /// Stands for a row to which no path has led yet.
    pub const START: Self = Self {
        last: NEVER,
        before: NEVER,
        distance: APART as u16,
    };
}

/// The best path through a template that ends in a row of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The similarity of the path, Q0.15, rounded down: 1 less the mean of its distances over 16129, or 0 if that is
    /// negative.
    pub similarity: u16,
    /// Counts the rows of the stream from the path's first one to its last, which is not counted.
    pub age: u8,
}

/// A stretch of the stream that is similar to a template. Times count from the start of the stream, in ms, and stop
/// counting after 49 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Match<'a> {
    /// The number that the template has, from 0.
    pub template: u8,
    /// Names the phrase, as its template does.
    pub name: &'a str,
    /// The similarity of the stretch, Q0.15: 32768 is the same.
    pub similarity: u16,
    /// The number that the stretch's first frame has. Unlike times, numbers of frames never stop counting.
    pub first_frame: u64,
    /// The number that the stretch's last frame has.
    pub last_frame: u64,
    /// The time at which the first frame starts, in ms.
    pub start_ms: u32,
    /// The time at which the last frame ends, in ms.
    pub end_ms: u32,
    /// The time, in ms, at which the audio ends that was needed to decide, look-ahead included, or that was heard meanwhile.
    pub decided_ms: u32,
}

/// A stretch that may yet be followed by one that is more similar.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    template: u8,
    similarity: u16,
    /// The number of rows of the stream that the stretch has, less one.
    age: u8,
    /// The number of the step that ends the stretch.
    index: u64,
}

/// Looks for templates in one stream at a time.
///
/// A detection is decided in the first step that is less similar than the one before, which was similar enough. If
/// several templates are, the most similar one counts. After a detection there is no other for the image's refractory
/// time, and none of a template until it was below its threshold. Where the network starts cold, because it rested or the
/// recognizer was reset, the matcher begins anew, too: no stretch reaches over the gap.
#[derive(Debug)]
pub struct Matcher<'a, 'm> {
    templates: Templates<'a>,
    cells: &'m mut [Cell],
    zero_point: i8,
    stream: Stream,
    front_end: FrontEndConfig,
    decoder: DecoderConfig,
    /// The number of the step that comes next.
    next: u64,
    candidate: Option<Candidate>,
    /// Has a bit for each template that was detected and has not been below its threshold since.
    disarmed: u8,
    /// Counts the frames that are left in which nothing is detected.
    refractory: u16,
}

impl<'a, 'm> Matcher<'a, 'm> {
    /// Makes a matcher for what `recognizer` hears. `cells` needs no initial value.
    ///
    /// # Errors
    ///
    /// Returns a [`Misfit`] if the templates belong to another network, the image has no head as is needed, the steps run on
    /// an NPU, or there are fewer cells than [`Templates::rows`].
    pub fn new<S: Step>(
        templates: Templates<'a>,
        recognizer: &Recognizer<'_, S>,
        cells: &'m mut [Cell],
    ) -> Result<Self, Misfit> {
        let image = recognizer.image();
        if recognizer.runs_on_npu() {
            return Err(Misfit::OnNpu);
        }
        let (of_templates, network) = (templates.network(), image.network());
        if of_templates != network {
            return Err(Misfit::OtherNetwork {
                templates: of_templates,
                image: network,
            });
        }
        let heard = heard_by_head(image)?;
        let (columns, of_image) = (templates.columns(), usize::from(heard.cols));
        if columns != of_image {
            return Err(Misfit::Columns {
                templates: columns,
                image: of_image,
            });
        }
        let (needed, given) = (templates.rows(), cells.len());
        let cells = cells
            .get_mut(..needed)
            .ok_or(Misfit::TooFewCells { needed, given })?;
        cells.fill(Cell::START);
        let head = image.manifest();
        Ok(Self {
            templates,
            cells,
            zero_point: heard.zero_point,
            stream: head.stream,
            front_end: head.front_end,
            decoder: head.decoder,
            next: 0,
            candidate: None,
            disarmed: 0,
            refractory: 0,
        })
    }

    /// Returns the templates that are looked for.
    pub fn templates(&self) -> &Templates<'a> {
        &self.templates
    }

    /// Takes an event of the recognizer that the matcher was made for, and returns the phrase that is decided by it.
    #[inline(never)] // its memory is not that of a step
    pub fn push(&mut self, event: &Event<'_>) -> Option<Match<'a>> {
        match *event {
            Event::Encoded {
                index,
                decided_ms,
                rows,
            } => self.step(index, decided_ms, rows),
            Event::Speech(_) => {
                self.begin();
                None
            }
            _ => None,
        }
    }

    /// Forgets the stream before.
    fn begin(&mut self) {
        self.cells.fill(Cell::START);
        (self.candidate, self.disarmed, self.refractory) = (None, 0, 0);
    }

    /// Takes what the head read in a step. One that does not follow the step before begins a stream.
    fn step(&mut self, index: u64, decided_ms: u32, rows: &[i8]) -> Option<Match<'a>> {
        if index != self.next {
            self.begin();
        }
        self.next = index.saturating_add(1);
        let mut row = [0; MAX_COLUMNS];
        let row = row.get_mut(..self.templates.columns()).unwrap_or_default();
        unit_row(rows, self.zero_point, row);
        let (best, reached) = self.follow(row, index);
        self.disarmed &= reached;
        if self.refractory > 0 {
            self.refractory = self.refractory.saturating_sub(self.stream.step);
            return None;
        }
        match (self.candidate, best) {
            (Some(before), Some(now)) if now.similarity <= before.similarity => {}
            (Some(_), None) => {}
            (_, now) => {
                self.candidate = now;
                return None;
            }
        }
        let found = self.candidate.take()?;
        let bit = 1u8.checked_shl(found.template.into()).unwrap_or(0);
        self.disarmed |= reached | bit;
        self.refractory = self.decoder.refractory;
        Some(self.told(found, decided_ms))
    }

    /// Carries the paths through all templates on by a row of the stream. Returns the most similar template that is armed
    /// and reaches its threshold, and a bit for each that reaches it.
    fn follow(&mut self, row: &[i8], index: u64) -> (Option<Candidate>, u8) {
        let (mut best, mut reached): (Option<Candidate>, u8) = (None, 0);
        let mut rest = &mut *self.cells;
        for (number, template) in (0u8..).zip(self.templates.iter()) {
            let rows = template.elements.len() / row.len().max(1);
            let Some((cells, others)) = core::mem::take(&mut rest).split_at_mut_checked(rows)
            else {
                break;
            };
            rest = others;
            let Ending { similarity, age } = template.follow(row, cells);
            if similarity < template.threshold {
                continue;
            }
            let bit = 1u8.checked_shl(number.into()).unwrap_or(0);
            reached |= bit;
            if self.disarmed & bit == 0 && best.is_none_or(|best| similarity > best.similarity) {
                best = Some(Candidate {
                    template: number,
                    similarity,
                    age,
                    index,
                });
            }
        }
        (best, reached)
    }

    /// Tells of a candidate that was decided at a time in ms.
    fn told(&self, found: Candidate, decided_ms: u32) -> Match<'a> {
        let step = u64::from(self.stream.step);
        let frame = |index: u64| index.saturating_mul(step);
        let first_frame = frame(found.index.saturating_sub(found.age.into()));
        let last_frame = frame(found.index.saturating_add(1)).saturating_sub(1);
        let template = self.templates.get(found.template);
        Match {
            template: found.template,
            name: template.map_or("?", |template| template.name),
            similarity: found.similarity,
            first_frame,
            last_frame,
            start_ms: ms(self.front_end, first_frame, 0),
            end_ms: ms(self.front_end, last_frame, self.front_end.window),
            decided_ms,
        }
    }
}

/// Looks for phrases in what a recognizer tells: a [`Matcher`], for [`App::listen_for`](crate::app::App::listen_for).
pub trait Phrases<'a> {
    /// Takes an event as [`Matcher::push`] does.
    fn push(&mut self, event: &Event<'_>) -> Option<Match<'a>>;
}

impl<'a> Phrases<'a> for Matcher<'a, '_> {
    fn push(&mut self, event: &Event<'_>) -> Option<Match<'a>> {
        self.push(event)
    }
}

/// Returns the distance of two rows: 16129 less their product, 0 to 32258.
fn distance(a: &[i8], b: &[i8]) -> u16 {
    let products = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
    let product = products.fold(0i32, i32::wrapping_add); // of 128 at most
    (APART - product).clamp(0, 2 * APART) as u16
}

/// Returns the similarity of a path through `rows` rows, as [`Ending`] has it. `cost` counts halves of a distance.
fn similarity(cost: u32, rows: usize) -> u16 {
    let apart = rows as u64 * 2 * APART as u64;
    let close = apart.saturating_sub(cost.into());
    let similarity = close * u64::from(SAME);
    similarity.checked_div(apart).unwrap_or(0) as u16
}

impl Template<'_> {
    /// Carries the paths through the template on by a row of the stream, of which [`Cell`]s remember what came before: one for
    /// each row of the template, [`Cell::START`] at first. Returns how similar the best path is that ends here.
    pub fn follow(&self, row: &[i8], cells: &mut [Cell]) -> Ending {
        let (mut one_back, mut two_back) = (Cell::START, Cell::START);
        let mut distance_back = 0u32;
        let mut path = NEVER;
        let rows = self.elements.chunks_exact(row.len().max(1));
        let count = rows.len();
        for (number, (cell, of_template)) in cells.iter_mut().zip(rows).enumerate() {
            let now = distance(row, of_template);
            let halves = u32::from(now) * 2;
            path = match number {
                0 => halves << COST,
                _ => {
                    let straight = one_back.last + (halves << COST) + 1;
                    let averaged = u32::from(now) + u32::from(cell.distance);
                    let slower = one_back.before + (averaged << COST) + 2;
                    let both = (halves + distance_back) << COST;
                    let faster = match number {
                        1 => both,
                        _ => two_back.last + both + 1,
                    };
                    straight.min(slower).min(faster)
                }
            };
            (two_back, one_back) = (one_back, *cell);
            *cell = Cell {
                last: path,
                before: cell.last,
                distance: now,
            };
            distance_back = halves;
        }
        Ending {
            similarity: similarity(path >> COST, count),
            age: path as u8,
        }
    }
}
