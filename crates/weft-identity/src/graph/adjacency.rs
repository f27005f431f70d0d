//! Compressed sparse rows: the neighbours of each node, side by side.
//!
//! A neighbour is one word of 64 bits, the node above and the terms of the edge below, so that an edge
//! costs 8 bytes in each direction and sorting a row sorts both.

/// A neighbour and the terms of the edge to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Number of the node.
    pub node: u32,
    /// Number of the terms.
    pub terms: u32,
}

/// An edge before it has its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Number of the node at its start.
    pub from: u32,
    /// Number of the node at its end.
    pub to: u32,
    /// Number of its terms.
    pub terms: u32,
}

/// Edges of one chunk: a list of a hundred million never moves.
const CHUNK: usize = 1 << 20;

/// Edges in no order, in chunks.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    chunks: Vec<Vec<Edge>>,
}

impl Edges {
    /// One more.
    pub fn push(&mut self, edge: Edge) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(edge),
            _ => {
                let mut chunk = Vec::with_capacity(if self.chunks.is_empty() { 0 } else { CHUNK });
                chunk.push(edge);
                self.chunks.push(chunk);
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Edge> {
        self.chunks.iter().flatten()
    }

    /// Each of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        self.chunks.iter_mut().flatten()
    }

    /// Keeps those of which `keeps` says so; it may change them.
    pub fn retain(&mut self, mut keeps: impl FnMut(&mut Edge) -> bool) {
        self.chunks.iter_mut().for_each(|chunk| chunk.retain_mut(&mut keeps));
        self.chunks.retain(|chunk| !chunk.is_empty());
    }

    /// Each of them, forgotten chunk by chunk.
    fn drain(self) -> impl Iterator<Item = Edge> {
        self.chunks.into_iter().flatten()
    }
}

/// Rows of neighbours.
#[derive(Debug, Clone, Default)]
pub struct Adjacency {
    /// Where each row begins, and the end.
    offsets: Vec<u32>,
    words: Vec<u64>,
}

fn word(node: u32, terms: u32) -> u64 {
    u64::from(node) << 32 | u64::from(terms)
}

/// Each half of a word has 32 bits.
fn neighbour(word: u64) -> Neighbour {
    Neighbour { node: (word >> 32) as u32, terms: word as u32 }
}

impl Adjacency {
    /// Rows by the start of each edge, without doubles; each row in order of node and terms. `None` for
    /// more than four billion edges.
    pub fn forward(nodes: u32, edges: Edges) -> Option<Self> {
        let mut rows = Self::begin(nodes, edges.len(), edges.iter().map(|edge| edge.from))?;
        rows.fill(edges.drain().map(|edge| (edge.from, word(edge.to, edge.terms))));
        rows.sort();
        Some(rows)
    }

    /// The same edges by their end.
    pub fn reversed(&self) -> Option<Self> {
        let nodes = self.rows();
        let mut rows = Self::begin(nodes, self.words.len(), self.words.iter().map(|&word| neighbour(word).node))?;
        rows.fill((0..nodes).flat_map(|from| self.of(from).map(move |to| (to.node, word(from, to.terms)))));
        Some(rows)
    }

    /// Rows of the right length, with nothing in them. `offsets[n]` is where row n begins.
    fn begin(nodes: u32, edges: usize, ends: impl Iterator<Item = u32>) -> Option<Self> {
        u32::try_from(edges).ok()?;
        let mut offsets = vec![0_u32; nodes as usize + 1];
        for node in ends {
            *offsets.get_mut(node as usize + 1)? += 1;
        }
        let mut sum = 0;
        for offset in &mut offsets {
            sum += *offset;
            *offset = sum;
        }
        Some(Self { offsets, words: vec![0; edges] })
    }

    /// Puts each word into its row. Offsets move while they say where the next word goes, and are moved back.
    fn fill(&mut self, words: impl Iterator<Item = (u32, u64)>) {
        for (row, word) in words {
            let Some(at) = self.offsets.get_mut(row as usize) else { continue };
            if let Some(place) = self.words.get_mut(*at as usize) {
                *place = word;
                *at += 1;
            }
        }
        self.offsets.pop();
        self.offsets.insert(0, 0);
    }

    /// Orders each row and closes the gaps that doubles leave.
    fn sort(&mut self) {
        let (mut kept, mut begin) = (0_usize, 0_usize);
        for row in 1..self.offsets.len() {
            let end = self.offsets.get(row).copied().unwrap_or(0) as usize;
            if let Some(words) = self.words.get_mut(begin..end) {
                words.sort_unstable();
            }
            let first = kept;
            for at in begin..end {
                let Some(&word) = self.words.get(at) else { break };
                let doubled = kept > first && self.words.get(kept - 1) == Some(&word);
                if let Some(place) = self.words.get_mut(kept).filter(|_| !doubled) {
                    *place = word;
                    kept += 1;
                }
            }
            if let Some(offset) = self.offsets.get_mut(row) {
                *offset = u32::try_from(kept).unwrap_or(u32::MAX);
            }
            begin = end;
        }
        self.words.truncate(kept);
        self.words.shrink_to_fit();
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.offsets.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The neighbours of a node, in order; none for a node that is not there.
    pub fn of(&self, node: u32) -> impl ExactSizeIterator<Item = Neighbour> {
        let at = |row: usize| self.offsets.get(row).map_or(self.words.len(), |&offset| offset as usize);
        let (begin, end) = (at(node as usize), at(node as usize + 1));
        self.words.get(begin..end).unwrap_or_default().iter().map(|&word| neighbour(word))
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.offsets.capacity() * 4 + self.words.capacity() * 8
    }
}
