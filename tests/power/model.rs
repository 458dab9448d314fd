//! A disk as the log tells it, and what may be left of it when the power is cut.
//!
//! The rules are those of docs/decisions, "A power cut is played from a log". They promise no more than POSIX does.

use super::log::{Log, Op};
use rand::RngExt;
use rand_pcg::Pcg64;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Number of a file or folder in the model.
pub type Id = usize;

/// A change of a file since it was last synced.
#[derive(Debug, Clone)]
enum Change {
    /// Bytes are written at a place.
    Write(u64, Arc<[u8]>),
    /// The file gets a length.
    Length(u64),
}

/// A change of a folder since it was last synced.
#[derive(Debug, Clone)]
enum Entry {
    Set(String, Id),
    Remove(String),
    /// Both in one step.
    Move(String, String, Id),
}

/// What a file or folder holds on the disk, and what was done since: with the number of each step.
#[derive(Debug, Clone)]
enum Node {
    File { durable: Vec<u8>, since: Vec<(usize, Change)> },
    Folder { durable: BTreeMap<String, Id>, since: Vec<(usize, Entry)> },
}

/// The disk of a program, at some step of its log.
#[derive(Clone)]
pub struct Disk {
    nodes: Vec<Node>,
    inodes: HashMap<u64, Id>,
    syncs: HashMap<u64, (Id, usize)>,
    /// The file that had a path last, also one that is gone.
    pub named: HashMap<String, Id>,
    folders: HashMap<Id, String>,
    root: Id,
    /// Steps so far, of all logs.
    steps: usize,
    /// The steps before this log.
    first: usize,
}

/// Files and folders by their paths.
pub type Tree = BTreeMap<String, Option<Leaf>>;

/// A file: two names of one have one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub id: Id,
    pub bytes: Vec<u8>,
}

fn resized(bytes: &mut Vec<u8>, length: u64) {
    bytes.resize(usize::try_from(length).unwrap(), 0);
}

fn write(bytes: &mut Vec<u8>, at: u64, data: &[u8]) {
    let at = usize::try_from(at).unwrap();
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

fn make(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, data) => write(bytes, *at, data),
        Change::Length(length) => resized(bytes, *length),
    }
}

fn enter(entries: &mut BTreeMap<String, Id>, entry: &Entry) {
    match entry {
        Entry::Set(name, id) => _ = entries.insert(name.clone(), *id),
        Entry::Remove(name) => _ = entries.remove(name),
        Entry::Move(from, to, id) => {
            entries.remove(from);
            entries.insert(to.clone(), *id);
        }
    }
}

/// How many of a folder's unsynced changes of names are kept.
type Keep<'a> = &'a mut dyn FnMut(&[(usize, Entry)]) -> usize;

impl Disk {
    /// The disk of a folder: what it holds now is durable. Of the folder itself only `data` is looked at.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self {
            nodes: Vec::new(),
            inodes: HashMap::new(),
            syncs: HashMap::new(),
            named: HashMap::new(),
            folders: HashMap::new(),
            root: 0,
            steps: 0,
            first: 0,
        };
        disk.root = disk.folder(root, "", Some("data"));
        disk
    }

    fn add(&mut self, node: Node, inode: u64) -> Id {
        self.nodes.push(node);
        self.inodes.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn folder(&mut self, folder: &Path, path: &str, only: Option<&str>) -> Id {
        let mut durable = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if only.is_some_and(|only| only != name) {
                continue;
            }
            let about = entry.metadata().unwrap();
            let below = join(path, &name);
            let id = match self.inodes.get(&about.ino()) {
                Some(id) => *id,
                None if about.is_dir() => self.folder(&entry.path(), &below, None),
                None => self.add(Node::File { durable: fs::read(entry.path()).unwrap(), since: Vec::new() }, about.ino()),
            };
            self.named.insert(below, id);
            durable.insert(name, id);
        }
        let id = self.add(Node::Folder { durable, since: Vec::new() }, fs::metadata(folder).unwrap().ino());
        self.folders.insert(id, path.to_owned());
        id
    }

    /// Goes on with another log, of a program that finds all that was written, laid out in `root`.
    pub fn moved(&mut self, root: &Path) {
        let inode = |path: &str| fs::symlink_metadata(root.join(path)).unwrap().ino();
        let ids = |(path, leaf): (&String, &Option<Leaf>)| (inode(path), leaf.as_ref().map_or_else(|| self.named[path], |leaf| leaf.id));
        let mut inodes: HashMap<u64, Id> = self.whole().iter().map(ids).collect();
        inodes.insert(inode(""), self.root);
        self.inodes = inodes;
        self.first = self.steps;
    }

    /// Takes the next steps of a log, up to `end`.
    pub fn run(&mut self, log: &Log, end: usize) {
        while self.steps - self.first < end {
            self.step(&log.ops[self.steps - self.first]);
            self.steps += 1;
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Create { folder, node, name, is_folder } => {
                let made = if *is_folder {
                    Node::Folder { durable: BTreeMap::new(), since: Vec::new() }
                } else {
                    Node::File { durable: Vec::new(), since: Vec::new() }
                };
                let id = self.add(made, *node);
                if let Some(name) = name {
                    if *is_folder {
                        let path = join(&self.folders[&self.inodes[folder]], name);
                        self.folders.insert(id, path);
                    }
                    self.enter(*folder, Entry::Set(name.clone(), id));
                }
            }
            Op::Link { folder, node, name } => self.enter(*folder, Entry::Set(name.clone(), self.inodes[node])),
            Op::Unlink { folder, name } => self.enter(*folder, Entry::Remove(name.clone())),
            Op::Rename { from, to, node } => {
                let id = self.inodes[node];
                assert!(!self.folders.contains_key(&id), "a folder is renamed");
                if from.0 == to.0 {
                    self.enter(from.0, Entry::Move(from.1.clone(), to.1.clone(), id));
                } else {
                    self.enter(to.0, Entry::Set(to.1.clone(), id));
                    self.enter(from.0, Entry::Remove(from.1.clone()));
                }
            }
            Op::Write { node, at, data } => self.change(*node, Change::Write(*at, data.clone())),
            Op::Length { node, length } => self.change(*node, Change::Length(*length)),
            Op::SyncBegins { node, sync } => _ = self.syncs.insert(*sync, (self.inodes[node], self.steps)),
            Op::SyncEnds { sync } => {
                let (id, begun) = self.syncs.remove(sync).unwrap();
                match &mut self.nodes[id] {
                    Node::File { durable, since } => {
                        let covered = since.iter().take_while(|(step, _)| *step < begun).count();
                        since.drain(..covered).for_each(|(_, change)| make(durable, &change));
                    }
                    Node::Folder { durable, since } => {
                        let covered = since.iter().take_while(|(step, _)| *step < begun).count();
                        since.drain(..covered).for_each(|(_, entry)| enter(durable, &entry));
                    }
                }
            }
        }
    }

    fn change(&mut self, node: u64, change: Change) {
        let Node::File { since, .. } = &mut self.nodes[self.inodes[&node]] else { panic!("a folder is written") };
        since.push((self.steps, change));
    }

    fn enter(&mut self, folder: u64, entry: Entry) {
        let id = self.inodes[&folder];
        if let Entry::Set(name, of) | Entry::Move(_, name, of) = &entry {
            self.named.insert(join(&self.folders[&id], name), *of);
        }
        let Node::Folder { since, .. } = &mut self.nodes[id] else { panic!("a file holds names") };
        since.push((self.steps, entry));
    }

    /// What is on the disk for certain of the file that had a path last.
    pub fn durable(&self, path: &str) -> &[u8] {
        match self.named.get(path).map(|id| &self.nodes[*id]) {
            Some(Node::File { durable, .. }) => durable,
            _ => &[],
        }
    }

    /// What was written to a file, whether or not it is on the disk.
    pub fn written(&self, id: Id) -> Vec<u8> {
        let Node::File { durable, since } = &self.nodes[id] else { return Vec::new() };
        let mut bytes = durable.clone();
        since.iter().for_each(|(_, change)| make(&mut bytes, change));
        bytes
    }

    /// Whether a path is on the disk for certain, with all folders above it; gives its file.
    pub fn certain(&self, path: &str) -> Option<Id> {
        path.split('/').try_fold(self.root, |id, name| match &self.nodes[id] {
            Node::Folder { durable, .. } => durable.get(name).copied(),
            Node::File { .. } => None,
        })
    }

    /// Everything that was written.
    pub fn whole(&self) -> Tree {
        self.tree(&mut |node| node.len(), &mut |id| self.written(id))
    }

    /// What may be left after the power is cut now.
    pub fn cut(&self, random: &mut Pcg64) -> Tree {
        // How much the kernel happened to write out: nothing, everything, or some of it.
        let style = random.random_range(0..10);
        let mut folders = random.clone();
        let mut keep = |since: &[(usize, Entry)]| match style {
            0 | 1 => 0,
            2 => since.len(),
            _ => match folders.random_range(0..3) {
                0 => 0,
                1 => since.len(),
                _ => folders.random_range(0..=since.len()),
            },
        };
        self.tree(&mut keep, &mut |id| match style {
            0 | 1 => self.durable_of(id),
            2 => self.written(id),
            _ => match random.random_range(0..4) {
                0 => self.durable_of(id),
                1 => self.written(id),
                _ => self.torn(id, random),
            },
        })
    }

    /// What is on the disk for certain of a file.
    pub fn durable_of(&self, id: Id) -> Vec<u8> {
        match &self.nodes[id] {
            Node::File { durable, .. } => durable.clone(),
            Node::Folder { .. } => Vec::new(),
        }
    }

    /// A file of which some sectors are as they were after one or another change, and whose length is one that it had.
    fn torn(&self, id: Id, random: &mut Pcg64) -> Vec<u8> {
        let Node::File { durable, since } = &self.nodes[id] else { return Vec::new() };
        if since.is_empty() {
            return durable.clone();
        }
        let unit = if random.random_bool(0.5) { 512 } else { 4096 };
        let kept = [0.1, 0.5, 0.9, 0.99][random.random_range(0..4)];
        // The sectors that each change touches, and how long the file is then.
        let (mut now, mut lengths, mut touched) = (durable.clone(), vec![durable.len()], Vec::new());
        let mut times: HashMap<usize, usize> = HashMap::new();
        for (_, change) in since {
            let before = now.len();
            make(&mut now, change);
            let (from, to) = match change {
                Change::Write(at, data) => (usize::try_from(*at).unwrap().min(before), usize::try_from(*at).unwrap() + data.len()),
                Change::Length(_) => (before.min(now.len()), before.max(now.len())),
            };
            lengths.push(now.len());
            let sectors = if from == to { 0..0 } else { from / unit..to.div_ceil(unit) };
            sectors.clone().for_each(|sector| *times.entry(sector).or_default() += 1);
            touched.push(sectors);
        }
        let length = if random.random_bool(0.5) { now.len() } else { lengths[random.random_range(0..lengths.len())] };
        // Each sector is as it was after so many of the changes that touch it.
        let mut sectors: Vec<(usize, usize)> = times.into_iter().collect();
        sectors.sort_unstable();
        let mut left: HashMap<usize, usize> = HashMap::new();
        for (sector, times) in sectors {
            let some = if random.random_bool(kept) { times } else { random.random_range(0..=times.saturating_sub(1)) };
            left.insert(sector, some);
        }
        let (mut now, mut torn) = (durable.clone(), durable.clone());
        for ((_, change), sectors) in since.iter().zip(touched) {
            make(&mut now, change);
            for sector in sectors {
                let left = left.get_mut(&sector).unwrap();
                if *left == 0 {
                    continue;
                }
                *left -= 1;
                let (from, to) = (sector * unit, ((sector + 1) * unit).min(now.len()));
                let end = (sector + 1) * unit;
                if torn.len() < end {
                    torn.resize(end, 0);
                }
                torn[from..end].fill(0);
                if from < to {
                    torn[from..to].copy_from_slice(&now[from..to]);
                }
            }
        }
        torn.resize(length, 0);
        torn
    }

    fn tree(&self, keep: Keep<'_>, content: &mut dyn FnMut(Id) -> Vec<u8>) -> Tree {
        let (mut tree, mut files) = (Tree::new(), HashMap::new());
        self.below(self.root, "", keep, content, &mut tree, &mut files);
        tree
    }

    fn below(
        &self,
        folder: Id,
        path: &str,
        keep: Keep<'_>,
        content: &mut dyn FnMut(Id) -> Vec<u8>,
        tree: &mut Tree,
        files: &mut HashMap<Id, Vec<u8>>,
    ) {
        let Node::Folder { durable, since } = &self.nodes[folder] else { return };
        let mut entries = durable.clone();
        since[..keep(since)].iter().for_each(|(_, entry)| enter(&mut entries, entry));
        for (name, id) in entries {
            let path = join(path, &name);
            match &self.nodes[id] {
                Node::Folder { .. } => {
                    tree.insert(path.clone(), None);
                    self.below(id, &path, keep, content, tree, files);
                }
                Node::File { .. } => {
                    let bytes = files.entry(id).or_insert_with(|| content(id)).clone();
                    tree.insert(path, Some(Leaf { id, bytes }));
                }
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// Lays a tree out in a folder.
pub fn lay_out(tree: &Tree, root: &Path) {
    let mut first: HashMap<Id, &str> = HashMap::new();
    for (path, leaf) in tree {
        match leaf {
            None => fs::create_dir(root.join(path)).unwrap(),
            Some(leaf) => match first.get(&leaf.id) {
                Some(other) => fs::hard_link(root.join(other), root.join(path)).unwrap(),
                None => {
                    fs::write(root.join(path), &leaf.bytes).unwrap();
                    first.insert(leaf.id, path);
                }
            },
        }
    }
}
