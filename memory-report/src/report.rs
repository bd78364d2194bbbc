//! Reports on one board, and judges it.

use std::path::Path;

use serde::Serialize;
use zerda_firmware::Image;
use zerda_support::config::{Budgets, Limits};

use crate::arena::{self, Tensor};
use crate::baseline::{Baseline, Change};
use crate::firmware::{Firmware, Memory};
use crate::part::{Kind, Part};
use crate::stack::Stack;

/// Largest number of contributors that a missed budget names.
const LARGEST: usize = 3;

/// Contents of the JSON, which the help of `memory-report` describes.
#[derive(Clone, Debug, Serialize)]
pub struct Footprint {
    pub version: u32,
    pub board: String,
    /// Verdict, which is `pass` or `fail`.
    pub verdict: &'static str,
    /// Messages of each budget that is missed, and of what grew too much.
    pub failures: Vec<String>,
    /// Notes that say what else is to be known.
    pub notes: Vec<String>,
    /// Bytes of flash and RAM that are used, the stack with its margin.
    pub total_bytes: u64,
    pub budget_bytes: u64,
    pub flash: Use,
    pub ram: Use,
    /// Bytes of the spare slot for images, which counts apart; `None` if the board takes no updates.
    pub spare_slot_bytes: Option<u64>,
    pub regions: Vec<RegionUse>,
    /// Tree of each region, of its whole length: the bytes of a part are the sum of those within it, and
    /// what is not `unused` is used.
    pub parts: Vec<Part>,
    pub stack: Stack,
    pub arena: Vec<Tensor>,
    pub baseline: Option<Change>,
}

/// Bytes that are used, and those that the budget allows.
#[derive(Clone, Debug, Serialize)]
pub struct Use {
    pub used: u64,
    pub budget: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct RegionUse {
    pub name: String,
    pub origin: u64,
    pub length: u64,
    pub used: u64,
    /// Kind of memory, which is `flash` or `ram`.
    pub memory: &'static str,
}

/// Something that takes memory, and what would make it smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contributor {
    pub name: String,
    pub region: String,
    pub bytes: u64,
    pub cure: String,
}

impl Footprint {
    /// Returns the use of flash and RAM together.
    pub fn total(&self) -> Use {
        Use {
            used: self.total_bytes,
            budget: self.budget_bytes,
        }
    }

    /// Makes a report that is not judged yet.
    pub fn new(
        board: &str,
        firmware: Firmware,
        stack: Stack,
        image: &Image<'_>,
        limits: Limits,
    ) -> Footprint {
        let used = |is_ram| {
            let memories = firmware.memories.iter();
            let memories = memories.filter(|memory| memory.is_ram == is_ram);
            memories.map(Memory::used).sum()
        };
        let (flash, ram): (u64, u64) = (used(false), used(true));
        let region = |memory: &Memory| RegionUse {
            name: memory.region.name.clone(),
            origin: memory.region.origin,
            length: memory.region.length,
            used: memory.used(),
            memory: if memory.is_ram { "ram" } else { "flash" },
        };
        let regions = firmware.memories.iter().map(region).collect();
        let spare_slot_bytes = firmware.spare_slot_bytes;
        let application = firmware.application_bytes;
        let parts = firmware.memories.into_iter().map(|mut memory| {
            divide_stack(&mut memory.part, &stack, application);
            memory.part
        });
        Footprint {
            version: 1,
            board: board.into(),
            verdict: "pass",
            failures: Vec::new(),
            notes: Vec::new(),
            total_bytes: flash + ram,
            budget_bytes: limits.total,
            flash: Use {
                used: flash,
                budget: limits.flash,
            },
            ram: Use {
                used: ram,
                budget: limits.ram,
            },
            spare_slot_bytes,
            regions,
            parts: parts.collect(),
            stack,
            arena: arena::tensors(image),
            baseline: None,
        }
    }

    /// Judges by the budgets, and by what grew unless that is agreed to.
    pub fn judge(&mut self, budgets: &Budgets, baseline: &Baseline, path: &Path, renewed: bool) {
        let missed = [
            self.missed("flash and RAM together", None, &self.total()),
            self.missed("flash", Some("flash"), &self.flash),
            self.missed("RAM", Some("ram"), &self.ram),
        ];
        self.failures.extend(missed.into_iter().flatten());
        self.baseline = baseline.change(self);
        match &self.baseline {
            None if renewed => self.notes.push("NEW in the baseline".into()),
            None => self.notes.push(format!(
                "NEW: not in the baseline {}, so that growth is not seen; `--renew` adds it",
                path.display()
            )),
            Some(_) if renewed => {}
            Some(change) => {
                let grown = [
                    ("flash", "flash", change.flash_percent),
                    ("RAM", "ram", change.ram_percent),
                ];
                for (name, memory, percent) in grown {
                    let allowed = budgets.growth_percent.0;
                    if percent > allowed {
                        self.failures.push(format!(
                            "{name} grew by {percent:.2} %, more than {allowed} %: {}; make it smaller, or \
                             agree to it in the same change: `--renew` writes {}",
                            self.grown(memory, change),
                            path.display()
                        ));
                    }
                }
            }
        }
        if !self.failures.is_empty() {
            self.verdict = "fail";
        }
    }

    /// Returns the message of a budget that is missed, of both memories or one.
    fn missed(&self, name: &str, memory: Option<&str>, usage: &Use) -> Option<String> {
        if usage.used <= usage.budget {
            return None;
        }
        let counts =
            |part: &Contributor| memory.is_none_or(|memory| self.is_in(&part.region, memory));
        let parts = self.contributors(counts).into_iter().take(LARGEST);
        let parts = parts.map(|part| format!("{} {} ({})", part.name, part.bytes, part.cure));
        Some(format!(
            "{name} {} bytes, {} above the budget of {}; the largest: {}",
            usage.used,
            usage.used - usage.budget,
            usage.budget,
            parts.collect::<Vec<_>>().join(", ")
        ))
    }

    /// Says what grew most in one memory.
    fn grown(&self, memory: &str, change: &Change) -> String {
        let grown = change.parts.iter().filter(|part| part.signed() > 0);
        let grown = grown.filter(|part| self.is_in(&part.region, memory));
        let grown = grown.take(LARGEST);
        let grown = grown.map(|part| format!("{} {:+}", part.name, part.signed()));
        grown.collect::<Vec<_>>().join(", ")
    }

    pub fn is_in(&self, region: &str, memory: &str) -> bool {
        let mut regions = self.regions.iter();
        regions.any(|other| other.name == region && other.memory == memory)
    }

    /// Returns what takes memory and passes `counts`, the largest first. Each crate of code, constants and
    /// statics is one, and so is each of two parts with equal names in two regions.
    pub fn contributors(&self, counts: impl Fn(&Contributor) -> bool) -> Vec<Contributor> {
        let mut all = Vec::new();
        let mut add = |region: &Part, part: &Part, name: String| {
            let mut cure = part.kind.cure().to_string();
            if part.kind == Kind::Stack {
                cure = format!("{} bytes of it are margin, {cure}", self.stack.margin);
            }
            all.push(Contributor {
                name,
                region: region.name.clone(),
                bytes: part.bytes,
                cure,
            });
        };
        for region in &self.parts {
            let used = region.children.iter();
            for part in used.filter(|part| part.kind != Kind::Unused) {
                match part.kind.is_by_crate() {
                    true => part.children.iter().for_each(|child| {
                        let (of, child_of) = (&part.name, &child.name);
                        let name = match is_crate(child_of) {
                            true => format!("{of} of {child_of}"),
                            false => format!("{child_of} of {of}"),
                        };
                        add(region, child, name);
                    }),
                    false => add(region, part, part.name.clone()),
                }
            }
        }
        all.retain(counts);
        all.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        all
    }
}

/// Divides the stack into what was used of it and what was not.
fn divide_stack(region: &mut Part, stack: &Stack, application: Option<u64>) {
    let mut parts = region.children.iter_mut();
    let Some(part) = parts.find(|part| part.kind == Kind::Stack) else {
        return;
    };
    let bytes = std::mem::take(&mut part.bytes);
    let used = stack.bytes.unwrap_or(0).min(bytes);
    // It is in `main`'s frame as long as the device runs.
    let application = application.unwrap_or(0).min(used);
    for (path, bytes) in [
        (
            &["used", "recognizer and application state"][..],
            application,
        ),
        (&["used", "calls and interrupts"][..], used - application),
        (&["margin"][..], bytes - used),
    ] {
        let path: Vec<_> = path.iter().map(std::string::ToString::to_string).collect();
        if bytes > 0 {
            part.add(Kind::Stack, &path, bytes);
        }
    }
}

/// Says whether a part of code, constants or statics is a crate: what is of no crate has a name of several
/// words.
fn is_crate(name: &str) -> bool {
    !name.contains(' ')
}
