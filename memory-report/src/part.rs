//! Builds a tree of what takes memory: the bytes of a part are the sum of those within it.

use serde::Serialize;

/// Kind of a part, which says what would make it smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Code,
    Constants,
    Model,
    InitialValues,
    VectorTable,
    Caches,
    Arena,
    Ring,
    Statics,
    Stack,
    Journal,
    Other,
    Padding,
    Unused,
}

impl Kind {
    /// Returns the name of the part that holds all of this kind in a region.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Code => "code",
            Kind::Constants => "read-only data",
            Kind::Model => "model image",
            Kind::InitialValues => "initial values",
            Kind::VectorTable => "vector table",
            Kind::Caches => "caches",
            Kind::Arena => "arena",
            Kind::Ring => "audio ring",
            Kind::Statics => "statics",
            Kind::Stack => "stack",
            Kind::Journal => "journal of updates",
            Kind::Other => "other sections",
            Kind::Padding => "padding",
            Kind::Unused => "unused",
        }
    }

    /// Says whether parts of this kind are divided by crate.
    pub fn is_by_crate(self) -> bool {
        matches!(self, Kind::Code | Kind::Constants | Kind::Statics)
    }

    /// Says what would make a part of this kind smaller.
    pub fn cure(self) -> &'static str {
        match self {
            Kind::Code => {
                "`opt-level = \"z\"` for it in firmware/boards/Cargo.toml, or fewer of its features"
            }
            Kind::Model => {
                "fewer layers or a smaller `hidden` or `feed_forward` in config/models.toml"
            }
            Kind::Caches => "profile low-latency, or a smaller `cached` or `hidden`",
            Kind::Arena => "profile low-latency, or a smaller `chunk` or `feed_forward`",
            Kind::Ring => "a smaller `Ring<N>` in the board's main.rs",
            Kind::Journal => "two sectors for it in the board's memory.x",
            Kind::Stack => "which `_stack_end` in memory.x sets",
            Kind::Statics | Kind::InitialValues => "smaller buffers there",
            Kind::Constants => "fewer tables and texts there",
            Kind::VectorTable | Kind::Other | Kind::Padding | Kind::Unused => {
                "the sections and their alignment in memory.x"
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    pub region: String,
    pub kind: Kind,
    pub children: Vec<Part>,
}

impl Part {
    pub fn new(kind: Kind, name: impl Into<String>, region: &str) -> Part {
        Part {
            name: name.into(),
            bytes: 0,
            region: region.into(),
            kind,
            children: Vec::new(),
        }
    }

    /// Adds bytes to the part of this path within it, which is made where it is missing.
    pub fn add(&mut self, kind: Kind, path: &[String], bytes: u64) {
        self.bytes += bytes;
        let Some((name, rest)) = path.split_first() else {
            return;
        };
        let found = self.children.iter().position(|part| part.name == *name);
        let at = found.unwrap_or_else(|| {
            self.children.push(Part::new(kind, name, &self.region));
            self.children.len() - 1
        });
        self.children[at].add(kind, rest, bytes);
    }

    /// Sorts the parts: the largest first, but what is unused last.
    pub fn sort(&mut self) {
        let order = |part: &Part| (part.kind == Kind::Unused, std::cmp::Reverse(part.bytes));
        self.children.sort_by_key(order);
        self.children.iter_mut().for_each(Part::sort);
    }

    pub fn child(&self, kind: Kind) -> Option<&Part> {
        self.children.iter().find(|part| part.kind == kind)
    }
}
