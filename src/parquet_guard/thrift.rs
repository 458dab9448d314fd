//! Reads Thrift's compact protocol, as far as the sizes in it must be known before the Parquet library believes them.

/// Deepest nesting.
const DEPTH: usize = 24;
/// Most elements of all lists of a text together.
const ELEMENTS: usize = 1 << 19;

/// Kinds of values.
pub(super) mod kind {
    pub(crate) const TRUE: u8 = 1;
    pub(crate) const FALSE: u8 = 2;
    const BYTE: u8 = 3;
    pub(crate) const I16: u8 = 4;
    pub(crate) const I32: u8 = 5;
    pub(crate) const I64: u8 = 6;
    const DOUBLE: u8 = 7;
    const BINARY: u8 = 8;
    pub(crate) const LIST: u8 = 9;
    const SET: u8 = 10;
    const MAP: u8 = 11;
    pub(crate) const STRUCT: u8 = 12;

    /// What has to be passed over for a value of a kind.
    pub(super) enum Length {
        Bytes(usize),
        Number,
        Binary,
        List,
        Map,
        Struct,
        Unknown,
    }

    pub(super) fn length(kind: u8) -> Length {
        match kind {
            TRUE | FALSE => Length::Bytes(0),
            BYTE => Length::Bytes(1),
            I16 | I32 | I64 => Length::Number,
            DOUBLE => Length::Bytes(8),
            BINARY => Length::Binary,
            LIST | SET => Length::List,
            MAP => Length::Map,
            STRUCT => Length::Struct,
            _ => Length::Unknown,
        }
    }
}

/// What takes a field of a struct: its number and kind. It says whether it read the value.
pub(super) type Field<'f> = &'f mut dyn FnMut(&mut Compact<'_>, i64, u8) -> Result<bool, String>;

/// A text that is read from its beginning.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    elements: usize,
}

impl<'a> Compact<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, elements: 0 }
    }

    /// Bytes that were read.
    pub fn read(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.at).copied().ok_or("it is cut off")?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), String> {
        let left = self.bytes.len() - self.at;
        match usize::try_from(bytes).ok().filter(|bytes| *bytes <= left) {
            Some(bytes) => {
                self.at += bytes;
                Ok(())
            }
            None => Err(format!("a value of {bytes} bytes is announced, and {left} are left")),
        }
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number has more than 64 bits".to_owned())
    }

    /// A whole number of any width.
    pub fn number(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The beginning of a list: the kind of its elements, and their number.
    pub fn list(&mut self) -> Result<(u8, usize), String> {
        let head = self.byte()?;
        let size = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        self.count(size).map(|size| (head & 15, size))
    }

    /// Every element takes a byte at least, and memory behind it.
    fn count(&mut self, size: u64) -> Result<usize, String> {
        let left = self.bytes.len() - self.at;
        let size = usize::try_from(size).ok().filter(|size| *size <= left);
        let size = size.ok_or_else(|| format!("a list is announced that is longer than the {left} bytes left"))?;
        self.elements += size;
        if self.elements > ELEMENTS { Err(format!("its lists have more than {ELEMENTS} elements")) } else { Ok(size) }
    }

    /// Gives each field of a struct to `each`.
    pub fn structure(&mut self, each: Field<'_>) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("it is nested deeper than {DEPTH}"));
        }
        let mut number = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                self.depth -= 1;
                return Ok(());
            }
            number = if head >> 4 == 0 { self.number()? } else { number.saturating_add(i64::from(head >> 4)) };
            if !each(self, number, head & 15)? {
                self.skip(head & 15)?;
            }
        }
    }

    /// Passes over a value.
    pub fn skip(&mut self, kind: u8) -> Result<(), String> {
        use kind::Length;
        match kind::length(kind) {
            Length::Bytes(bytes) => self.pass(bytes as u64),
            Length::Number => self.varint().map(|_| ()),
            Length::Binary => self.varint().and_then(|bytes| self.pass(bytes)),
            Length::Struct => self.structure(&mut |_, _, _| Ok(false)),
            Length::List => {
                let (kind, size) = self.list()?;
                (0..size).try_for_each(|_| self.element(kind))
            }
            Length::Map => {
                let size = self.varint()?;
                let size = self.count(size)?;
                let kinds = if size > 0 { self.byte()? } else { 0 };
                (0..size).try_for_each(|_| self.element(kinds >> 4).and_then(|()| self.element(kinds & 15)))
            }
            Length::Unknown => Err(format!("a value of an unknown kind {kind}")),
        }
    }

    /// A list may hold lists, and its truth values take a byte each.
    fn element(&mut self, kind: u8) -> Result<(), String> {
        if matches!(kind, kind::TRUE | kind::FALSE) {
            return self.pass(1);
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("it is nested deeper than {DEPTH}"));
        }
        self.skip(kind)?;
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_announced_is_believed() {
        let skip = |bytes: &[u8]| Compact::new(bytes).skip(kind::STRUCT);
        // A struct with the number 1, and an empty list.
        assert_eq!(skip(&[0x15, 2, 0x19, 0x0c, 0]), Ok(()));
        for (bytes, why) in [
            (&[0x15][..], "cut off"),
            (&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], "bytes is announced"),
            (&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0], "a list is announced"),
            (&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], "64 bits"),
            (&[0x1d, 0], "unknown kind"),
            (&[0x1c; 100], "nested"),
            (&[0x19; 100], "nested"),
        ] {
            let said = skip(bytes).unwrap_err();
            assert!(said.contains(why), "{bytes:?}: {said}");
        }
    }
}
