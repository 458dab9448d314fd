//! BLAKE3 of a file whose parts are hashed as they are written, in any order.
//!
//! BLAKE3 is a tree over pieces of 1024 bytes (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3, one function, fast everywhere", section
//! 2.1). The value of a node depends only on its bytes and their place in the file. So a part is hashed while its bytes are in memory. The
//! complete file then joins the values of its parts.

use super::DirectReader;
use super::buffer::{Buffer, Buffers};
use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, max_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use blake3::{CHUNK_LEN, Hash, Hasher};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes per read.
const BLOCK: u64 = 1 << 20;
/// Bytes of a leaf of the tree.
const LEAF: u64 = CHUNK_LEN as u64;

/// The hashed parts of a file, by offset: length and chaining value.
#[derive(Debug, Default)]
pub(crate) struct Hashed(BTreeMap<u64, (u64, ChainingValue)>);

impl Hashed {
    /// Hashes `bytes` at offset `at` of the file, where they stay. Bytes that fill no whole leaf are left out.
    pub(crate) fn of(bytes: &[u8], at: u64) -> Self {
        let (mut parts, mut from, end) = (BTreeMap::new(), at.next_multiple_of(LEAF), at + bytes.len() as u64);
        while from + LEAF <= end {
            let most = 1 << (end - from).ilog2();
            let length = max_subtree_len(from).map_or(most, |longest| longest.min(most));
            #[expect(clippy::cast_possible_truncation, reason = "within the bytes")]
            let part = &bytes[(from - at) as usize..(from + length - at) as usize];
            parts.insert(from, (length, Hasher::new().set_input_offset(from).update(part).finalize_non_root()));
            from += length;
        }
        Self(parts)
    }

    /// Adds other parts of the same file. Two halves of a node merge, so the number of parts stays small as the file grows.
    pub(crate) fn add(&mut self, other: Self) {
        for (mut at, (mut length, mut value)) in other.0 {
            // A part at offset 0 stays apart. Its parent may be the root, whose value has another formula.
            while let half = at ^ length
                && at.min(half) > 0
                && self.0.get(&half).is_some_and(|(other, _)| *other == length)
                && let Some((_, other)) = self.0.remove(&half)
            {
                let (left, right) = if half < at { (other, value) } else { (value, other) };
                (at, length, value) = (at.min(half), 2 * length, merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
            self.0.insert(at, (length, value));
        }
    }

    /// Number of hashed bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().map(|(length, _)| length).sum()
    }

    /// Length and BLAKE3 hash of the file. Only the parts without a hash are read. `progress` receives every byte count, also of parts
    /// hashed before.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn whole(&self, path: &Path, buffers: &Arc<Buffers>, progress: &dyn Fn(u64)) -> io::Result<(u64, Hash)> {
        #[expect(clippy::cast_possible_truncation, reason = "a megabyte")]
        let block = buffers.take(BLOCK as usize);
        let mut file = Reading { file: DirectReader::open(path)?, block, progress };
        let length = file.file.length()?;
        if length <= LEAF {
            let mut hasher = Hasher::new();
            file.read(0, length, &mut hasher)?;
            return Ok((length, hasher.finalize()));
        }
        let left = left_subtree_len(length);
        let values = (self.value(0, left, &mut file)?, self.value(left, length - left, &mut file)?);
        Ok((length, merge_subtrees_root(&values.0, &values.1, Mode::Hash)))
    }

    /// The value of the node above `length` bytes from `at` on.
    fn value(&self, at: u64, length: u64, file: &mut Reading<'_>) -> io::Result<ChainingValue> {
        if let Some((_, value)) = self.0.get(&at).filter(|(known, _)| *known == length) {
            (file.progress)(length);
            return Ok(*value);
        }
        if length <= LEAF || self.0.range(at..at + length).next().is_none() {
            let mut hasher = Hasher::new();
            hasher.set_input_offset(at);
            file.read(at, length, &mut hasher)?;
            return Ok(hasher.finalize_non_root());
        }
        let left = left_subtree_len(length);
        let values = (self.value(at, left, file)?, self.value(at + left, length - left, file)?);
        Ok(merge_subtrees_non_root(&values.0, &values.1, Mode::Hash))
    }
}

/// A file being read for its hash.
struct Reading<'a> {
    file: DirectReader,
    block: Buffer,
    progress: &'a dyn Fn(u64),
}

impl Reading<'_> {
    fn read(&mut self, mut at: u64, length: u64, hasher: &mut Hasher) -> io::Result<()> {
        let end = at + length;
        while at < end {
            let bytes = self.file.read(&mut self.block, at, end - at)?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(bytes);
            at += bytes.len() as u64;
            (self.progress)(bytes.len() as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn whole(hashed: &Hashed, path: &Path) -> (u64, Hash) {
        let seen = Cell::new(0);
        let found = hashed.whole(path, &Buffers::new(), &|bytes| seen.set(seen.get() + bytes)).unwrap();
        assert_eq!(seen.get(), found.0, "every byte is progress, once");
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn whatever_was_hashed_before_the_file_has_its_hash(
            length in prop_oneof![0..5000_usize, 0..400_000_usize],
            parts in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 0..6),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (path, content) = (folder.path().join("file"), content(length));
            std::fs::write(&path, &content).unwrap();
            let mut hashed = Hashed::default();
            let mut cuts: Vec<usize> = parts.iter().flat_map(|(a, b)| [a, b]).map(|share| (share * length as f64) as usize).collect();
            cuts.sort_unstable();
            // Later parts first: parts may arrive in any order.
            for part in cuts.chunks(2).rev() {
                hashed.add(Hashed::of(&content[part[0]..part[1]], part[0] as u64));
            }
            prop_assert_eq!(whole(&hashed, &path), (length as u64, blake3::hash(&content)));
        }
    }

    #[test]
    fn what_was_hashed_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut content = content(3 << 20);
        let hash = blake3::hash(&content);
        // The middle of the file holds other bytes than at the time of its hash.
        let (from, to) = (4096, (2 << 20) + 8192);
        let mut hashed = Hashed::of(&content[from..to], from as u64);
        assert_eq!(hashed.bytes(), (to - from) as u64);
        content[from..to].fill(0);
        std::fs::write(&path, &content).unwrap();
        assert_eq!(whole(&hashed, &path), (3 << 20, hash));
        hashed.add(Hashed::of(&content[from..from + 1024], from as u64));
        assert_ne!(whole(&hashed, &path).1, hash, "the later value counts");
    }

    #[test]
    fn few_parts_are_kept_of_a_file_that_is_written_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (path, content) = (folder.path().join("file"), content(5 << 20));
        std::fs::write(&path, &content).unwrap();
        let mut hashed = Hashed::default();
        let pieces: Vec<_> = content.chunks(64 << 10).enumerate().collect();
        // Every other piece first, then the remaining ones from the end.
        for (i, bytes) in pieces.iter().step_by(2).chain(pieces.iter().skip(1).step_by(2).rev()) {
            hashed.add(Hashed::of(bytes, (*i as u64) << 16));
        }
        assert_eq!(hashed.bytes(), content.len() as u64);
        assert!(hashed.0.len() < 12, "{}", hashed.0.len());
        assert_eq!(whole(&hashed, &path).1, blake3::hash(&content));
    }

    #[test]
    fn a_file_that_is_shorter_than_what_was_hashed_has_the_hash_of_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, content) = (folder.path().join("file"), content(100_000));
        let hashed = Hashed::of(&content, 0);
        for length in [99_999, 65_537, 65_536, 65_535, 1025, 1024, 1, 0] {
            std::fs::write(&path, &content[..length]).unwrap();
            assert_eq!(whole(&hashed, &path).1, blake3::hash(&content[..length]), "{length}");
        }
        assert!(hashed.whole(&folder.path().join("none"), &Buffers::new(), &|_| ()).is_err());
    }
}
