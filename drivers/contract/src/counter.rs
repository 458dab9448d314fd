//! Frame numbers out of a camera's own counter.

/// A camera's frame counter, unwrapped to numbers that rise from 0.
///
/// Counters on the wire are narrow. GigE Vision 1.x counts 16 bits and never sends 0: after 65 535 comes 1. Others wrap through
/// 0. A driver feeds every counter value, in the order of arrival. It puts the result into
/// [`FrameInfo::number`](crate::FrameInfo::number). Lost frames are a step of more than one, across a wrap too.
///
/// A step of half a turn or more looks like a late frame. That is 32 767 frames of a 16-bit counter. At 400 frames/s it takes
/// more than a minute without one frame. A camera counts as silent long before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameCounter {
    bits: u32,
    skips_zero: bool,
    /// Place in its turn and number of the last frame.
    last: Option<(u64, u64)>,
    /// Place in its turn of frame 0, for a camera that states it.
    first: Option<u64>,
}

/// A counter value that is no next frame. The frame must not be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CounterError {
    /// The last frame has the same value.
    #[error("frame counter {raw} came twice")]
    Repeated {
        /// The counter value.
        raw: u64,
    },
    /// The frame is older than the last one.
    #[error("frame counter {raw} came {behind} frames late")]
    Late {
        /// The counter value.
        raw: u64,
        /// Its distance from the last frame, in frames.
        behind: u64,
    },
    /// The counter cannot have this value.
    #[error("frame counter {raw} is not possible: it counts {bits} bits{}; check the counter settings of the driver", if *skips_zero { " without 0" } else { "" })]
    Impossible {
        /// The counter value.
        raw: u64,
        /// The counter's width, bits.
        bits: u32,
        /// Whether the counter skips 0.
        skips_zero: bool,
    },
}

impl FrameCounter {
    /// A counter of `bits` bits that `skips_zero` or does not. `bits` is limited to 2 to 64. The counter runs freely: the first
    /// frame that arrives gets number 0.
    pub fn new(bits: u32, skips_zero: bool) -> Self {
        Self { bits: bits.clamp(2, 64), skips_zero, last: None, first: None }
    }

    /// Gives number 0 to the counter value `raw`. Frames lost before the first arrival are counted too. Cameras that begin every
    /// stream with the same value need it.
    ///
    /// # Errors
    /// [`CounterError::Impossible`] for a value that the counter cannot have.
    pub fn beginning_at(mut self, raw: u64) -> Result<Self, CounterError> {
        self.first = Some(self.place(raw)?);
        Ok(self)
    }

    /// The counter value of frame `number`. The stream [began at](Self::beginning_at) a known value, else at the lowest one.
    pub fn raw(&self, number: u64) -> u64 {
        let place = (u128::from(self.first.unwrap_or(0)) + u128::from(number)) % self.turn();
        narrow(place) + u64::from(self.skips_zero)
    }

    /// The number of the frame with the counter value `raw`.
    ///
    /// # Errors
    /// [`CounterError`] for a value that is no next frame.
    pub fn number(&mut self, raw: u64) -> Result<u64, CounterError> {
        let place = self.place(raw)?;
        let (from, before) = match (self.last, self.first) {
            (Some((from, number)), _) => (from, Some(number)),
            (None, first) => (first.unwrap_or(place), None),
        };
        let turn = self.turn();
        let step = (turn + u128::from(place) - u128::from(from)) % turn;
        let number = match before {
            Some(_) if step == 0 => return Err(CounterError::Repeated { raw }),
            _ if step > turn / 2 => return Err(CounterError::Late { raw, behind: narrow(turn - step) }),
            Some(before) => before.saturating_add(narrow(step)),
            None => narrow(step),
        };
        self.last = Some((place, number));
        Ok(number)
    }

    /// Values of one turn.
    fn turn(&self) -> u128 {
        (1_u128 << self.bits) - u128::from(self.skips_zero)
    }

    /// The place of a value in its turn, from 0.
    fn place(&self, raw: u64) -> Result<u64, CounterError> {
        match raw.checked_sub(u64::from(self.skips_zero)) {
            Some(place) if u128::from(place) < self.turn() => Ok(place),
            _ => Err(CounterError::Impossible { raw, bits: self.bits, skips_zero: self.skips_zero }),
        }
    }
}

/// A number below one turn, in 64 bits.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(mut counter: FrameCounter, raw: &[u64]) -> Vec<u64> {
        raw.iter().map(|raw| counter.number(*raw).unwrap()).collect()
    }

    #[test]
    fn sixteen_bits_wrap_with_and_without_a_zero() {
        assert_eq!(numbers(FrameCounter::new(16, false), &[65_534, 65_535, 0, 1]), [0, 1, 2, 3]);
        assert_eq!(numbers(FrameCounter::new(16, true), &[65_534, 65_535, 1, 2]), [0, 1, 2, 3]);
        assert_eq!(numbers(FrameCounter::new(64, false), &[u64::MAX - 1, u64::MAX, 0]), [0, 1, 2]);
    }

    #[test]
    fn frames_lost_around_the_wrap_are_a_step() {
        assert_eq!(numbers(FrameCounter::new(16, true), &[65_530, 65_533, 3, 4]), [0, 3, 8, 9]);
        assert_eq!(numbers(FrameCounter::new(16, false), &[65_530, 65_533, 3, 4]), [0, 3, 9, 10]);
    }

    #[test]
    fn frames_lost_before_the_first_arrival_count_where_the_beginning_is_known() {
        assert_eq!(numbers(FrameCounter::new(16, true).beginning_at(1).unwrap(), &[3, 4]), [2, 3]);
        assert_eq!(numbers(FrameCounter::new(16, true).beginning_at(65_535).unwrap(), &[65_535, 2]), [0, 2]);
    }

    #[test]
    fn what_is_no_next_frame_is_refused_and_changes_nothing() {
        let mut counter = FrameCounter::new(16, true);
        assert_eq!(counter.number(65_535), Ok(0));
        assert_eq!(counter.number(2), Ok(2));
        assert_eq!(counter.number(2), Err(CounterError::Repeated { raw: 2 }));
        assert_eq!(counter.number(65_535), Err(CounterError::Late { raw: 65_535, behind: 2 }));
        let impossible = |raw| Err(CounterError::Impossible { raw, bits: 16, skips_zero: true });
        assert_eq!((counter.number(0), counter.number(65_536)), (impossible(0), impossible(65_536)));
        assert_eq!(counter.number(3), Ok(3));
    }

    proptest! {
        /// Numbers and gaps are exact for any loss below half a turn, anywhere in the turn. Repeated and late values are refused.
        #[test]
        fn any_losses_are_counted_exactly(
            bits in 4_u32..=64,
            skips_zero: bool,
            begin: u64,
            steps in prop::collection::vec((1_u64..1000, any::<bool>(), 1_u64..1000), 1..60),
        ) {
            let turn = (1_u128 << bits) - u128::from(skips_zero);
            let half = narrow(turn / 2);
            let first = narrow(u128::from(begin) % turn) + u64::from(skips_zero);
            let mut counter = FrameCounter::new(bits, skips_zero).beginning_at(first).unwrap();
            let camera = counter.clone();
            let mut number = 0;
            prop_assert_eq!(counter.number(first), Ok(0));
            for (step, disturbed, behind) in steps {
                if disturbed {
                    prop_assert_eq!(counter.number(camera.raw(number)), Err(CounterError::Repeated { raw: camera.raw(number) }));
                    let behind = behind.min(half.saturating_sub(1)).min(number);
                    if behind > 0 {
                        let raw = camera.raw(number - behind);
                        prop_assert_eq!(counter.number(raw), Err(CounterError::Late { raw, behind }));
                    }
                }
                number += step.min(half);
                prop_assert_eq!(counter.number(camera.raw(number)), Ok(number));
            }
        }
    }
}
