//! Plans where the activations lie: in cache windows, and in an arena in which tensors that do not live at
//! the same time share bytes.

use zerda_firmware::plan::{Cache, Location};

use super::graph::{Graph, Id, Place, Quantization, Window};

const ALIGNMENT: usize = 16;

/// Largest number of steps of slack that a cache is given. A window of `rows` rows moves back to the start
/// of its buffer when the slack is used up, which costs a copy of `rows - step` rows; each step of slack
/// costs `step` rows of memory. With one step fewer than there are largest caches, one of them moves in
/// each step, and all steps cost the same.
const MAX_SLACK_STEPS: usize = 7;

pub struct Memory {
    pub caches: Vec<Cache>,
    pub cache_bytes: usize,
    pub arena_bytes: usize,
    /// Byte offset in the arena of each tensor that has its own place.
    arena: Vec<Option<usize>>,
}

/// Place that a tensor takes in the arena.
#[derive(Clone, Copy, Debug)]
struct Block {
    id: Id,
    size: usize,
    /// First operator during which the tensor is needed; `last` is the last one.
    first: usize,
    last: usize,
    offset: usize,
}

impl Memory {
    pub fn plan(graph: &Graph, quantizations: &[Quantization]) -> Memory {
        let mut cache_bytes = 0;
        let sizes = graph.windows.iter().map(|window| {
            let tensor = &graph.tensors[window.tensor];
            tensor.rows * tensor.cols
        });
        let largest = sizes.clone().max();
        let largest = sizes.filter(|&size| Some(size) == largest).count();
        let slack_steps = largest.saturating_sub(1).clamp(1, MAX_SLACK_STEPS);
        let mut cache = |window: &Window| {
            let tensor = &graph.tensors[window.tensor];
            let capacity = tensor.rows + slack_steps * usize::from(graph.stream.step);
            let offset = cache_bytes;
            cache_bytes += capacity * tensor.cols;
            Cache {
                offset: offset as u32,
                rows: tensor.rows as u16,
                cols: tensor.cols as u16,
                capacity: capacity as u16,
                zero_point: quantizations[window.newest].zero_point,
            }
        };
        let caches = graph.windows.iter().map(&mut cache).collect();
        let blocks = place(blocks(graph));
        let mut arena = vec![None; graph.tensors.len()];
        for block in &blocks {
            arena[block.id] = Some(block.offset);
        }
        let end = blocks.iter().map(|block| block.offset + block.size).max();
        Memory {
            caches,
            cache_bytes: cache_bytes.next_multiple_of(ALIGNMENT),
            arena_bytes: end.unwrap_or(0).next_multiple_of(ALIGNMENT),
            arena,
        }
    }

    /// Returns where a tensor lies, as its record states it; `None` for a constant.
    pub fn location(&self, graph: &Graph, id: Id) -> Option<Location> {
        let tensor = &graph.tensors[id];
        Some(match tensor.place {
            Place::Own => Location::Arena {
                offset: self.arena[id]? as u32,
            },
            Place::Window { window, first } => Location::Cache {
                cache: window as u16,
                row: first as u16,
            },
            Place::Rows { of, first } => match self.location(graph, of)? {
                Location::Cache { cache, row } => Location::Cache {
                    cache,
                    row: row + first as u16,
                },
                Location::Arena { offset } => Location::Arena {
                    offset: offset + (first * tensor.cols) as u32,
                },
                constant => constant,
            },
            Place::Constant(_) => return None,
        })
    }
}

/// Returns the tensors that have a place of their own, and when each is needed.
fn blocks(graph: &Graph) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, op) in graph.ops.iter().enumerate() {
        for id in op.inputs().into_iter().chain([op.output()]) {
            let id = graph.root(id);
            let tensor = &graph.tensors[id];
            if tensor.place != Place::Own {
                continue;
            }
            match blocks.iter_mut().find(|block| block.id == id) {
                Some(block) => block.last = index,
                None => blocks.push(Block {
                    id,
                    size: tensor.rows * tensor.cols,
                    first: index,
                    last: index,
                    offset: 0,
                }),
            }
        }
    }
    // Read after the step.
    for output in [graph.logits, graph.posteriors] {
        let id = graph.root(output);
        blocks
            .iter_mut()
            .filter(|block| block.id == id)
            .for_each(|block| block.last = graph.ops.len());
    }
    blocks
}

/// Places the blocks, largest first, each into the smallest gap that holds it.
fn place(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_by_key(|block| (std::cmp::Reverse(block.size), block.first));
    for index in 0..blocks.len() {
        let block = blocks[index];
        let mut taken: Vec<(usize, usize)> = blocks[..index]
            .iter()
            .filter(|other| other.first <= block.last && block.first <= other.last)
            .map(|other| {
                (
                    other.offset,
                    other.offset + other.size.next_multiple_of(ALIGNMENT),
                )
            })
            .collect();
        taken.sort();
        let (mut end, mut best) = (0, None);
        for (start, stop) in taken {
            let gap = start.saturating_sub(end);
            if gap >= block.size && best.is_none_or(|(smallest, _)| gap < smallest) {
                best = Some((gap, end));
            }
            end = end.max(stop);
        }
        blocks[index].offset = best.map_or(end, |(_, offset)| offset);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(id: Id, size: usize, first: usize, last: usize) -> Block {
        Block {
            id,
            size,
            first,
            last,
            offset: 0,
        }
    }

    #[test]
    fn tensors_that_live_at_the_same_time_do_not_overlap_and_others_share() {
        // A chain: each op reads the tensor before and writes its own.
        let placed = place(vec![
            block(0, 640, 0, 1),
            block(1, 2560, 1, 2),
            block(2, 100, 2, 3),
            block(3, 640, 3, 4),
        ]);
        for a in &placed {
            assert_eq!(a.offset % ALIGNMENT, 0);
            for b in placed.iter().filter(|b| b.id != a.id) {
                let together = a.first <= b.last && b.first <= a.last;
                let disjoint = a.offset + a.size <= b.offset || b.offset + b.size <= a.offset;
                assert!(!together || disjoint, "{a:?} {b:?}");
            }
        }
        // 2560 and the larger of its neighbours: the least that any placement needs.
        assert_eq!(
            placed.iter().map(|block| block.offset + block.size).max(),
            Some(3200)
        );
    }

    #[test]
    fn the_smallest_gap_that_fits_is_taken() {
        // 0..512 and 640..704 live throughout; between them is room once 1 is gone.
        let placed = place(vec![
            block(0, 512, 0, 9),
            block(1, 128, 0, 1),
            block(2, 64, 0, 9),
            block(3, 32, 5, 6),
        ]);
        let offsets: Vec<_> = placed
            .iter()
            .map(|block| (block.id, block.offset))
            .collect();
        assert_eq!(offsets, [(0, 0), (1, 512), (2, 640), (3, 512)]);
    }
}
