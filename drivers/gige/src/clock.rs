//! The camera's clock in the host's time.

use std::collections::VecDeque;

/// Life of an estimate, ns of the camera's clock. A crystal that is 50 ppm off goes 0.2 ms in that time.
const SPAN_NS: u64 = 4_000_000_000;
/// Number of parts of that time. The fastest frame of each is kept.
const PARTS: u64 = 8;

/// The relation of the camera's clock to the host's. Delays of frames vary, and are never negative. The smallest difference of
/// arrival and camera time belongs to a frame without delay. It is taken over the last seconds. A frame's host time is then
/// independent of the machine's load.
#[derive(Debug, Default)]
pub struct Clock {
    /// Part of the time, and the smallest difference in it, ns.
    fastest: VecDeque<(u64, i64)>,
}

impl Clock {
    /// The host time, ns since 1970, of camera time `device_ns`, of a frame that arrived at `arrived_ns`.
    pub fn host_ns(&mut self, device_ns: u64, arrived_ns: i64) -> i64 {
        let device = i64::try_from(device_ns).unwrap_or(i64::MAX);
        let difference = arrived_ns.saturating_sub(device);
        let part = device_ns / (SPAN_NS / PARTS);
        match self.fastest.back_mut() {
            // A clock that went back was reset.
            Some((last, _)) if part < *last => self.fastest = VecDeque::from([(part, difference)]),
            Some((last, least)) if part == *last => *least = difference.min(*least),
            _ => self.fastest.push_back((part, difference)),
        }
        while self.fastest.front().is_some_and(|(first, _)| part - first >= PARTS) {
            self.fastest.pop_front();
        }
        let least = self.fastest.iter().map(|(_, least)| *least).min().unwrap_or(difference);
        device.saturating_add(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_were_held_up_get_the_time_they_were_taken() {
        let mut clock = Clock::default();
        // 50 frames/s. The camera's clock is 50 ppm slow, and frames are late by 0 to 30 ms.
        let mut held_up = 17_u64;
        for n in 0..3000_i64 {
            held_up = held_up * 1103 % 30_011;
            let taken = 1_700_000_000_000_000_000 + n * 20_000_000;
            let device = (n * 20_000_000 - n * 1000) as u64;
            let told = clock.host_ns(device, taken + i64::try_from(held_up).unwrap() * 1000);
            if n > 100 {
                assert!((told - taken).abs() < 2_500_000, "frame {n}: {} µs off", (told - taken) / 1000);
            }
        }
        // A camera after a restart begins at 0.
        assert_eq!(clock.host_ns(0, 5_000), 5_000);
    }
}
