//! The meaning of the status registers, and the belt's position by them.

use crate::config::Config;
use crate::profile::{Bits, Profile, WordOrder};
use crate::track::Track;
use contract::ConveyorError;
use std::fmt::Write as _;
use std::sync::Arc;

/// Time without three counts while the drive turns, after which the encoder stands, ns.
const STILL_NS: i64 = 500_000_000;

/// The status registers, as read at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub first: u16,
    pub words: Vec<u16>,
    pub encoder: Vec<u16>,
    /// The reason for missing encoder registers.
    pub unread: Option<String>,
    /// Code of a fault, where it stands apart from the status.
    pub fault: Option<u16>,
    /// Host time in the middle of the request, ns since 1970.
    pub time_ns: i64,
}

impl Words {
    fn get(&self, address: u16) -> u16 {
        address.checked_sub(self.first).and_then(|i| self.words.get(usize::from(i))).copied().unwrap_or(0)
    }
}

/// The meaning of a reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Whether the drive says that it runs.
    pub running: bool,
    /// Code and text of the drive's fault, if it has tripped.
    pub fault: Option<String>,
    /// Speed that the drive reports, mm/s of the belt.
    pub drive_mm_per_s: f64,
    /// Speed of the belt, mm/s. It is 0 where an encoder shows standstill.
    pub speed_mm_per_s: f64,
    /// Position, mm.
    pub position_mm: f64,
    /// A register whose value cannot be true.
    pub doubt: Option<String>,
    /// The reason for a missing encoder reading.
    pub unread: Option<String>,
    /// The registers with the evidence, for messages.
    pub read: String,
    word: Vec<(u16, u16)>,
}

impl Sample {
    /// Whether bits of the status hold.
    pub fn holds(&self, profile: &Profile, bits: Bits) -> bool {
        let register = bits.register.unwrap_or(profile.status.word);
        let word = self.word.iter().find(|(address, _)| *address == register).map_or(0, |(_, word)| *word);
        met(bits, word)
    }

    /// The reason against a running belt.
    pub fn trouble(&self) -> Option<ConveyorError> {
        let drive = self.fault.clone().or_else(|| self.doubt.clone()).map(|fault| ConveyorError::Drive { fault });
        drive.or_else(|| self.unread.clone().map(|reason| ConveyorError::Link { reason }))
    }

    /// Whether drive and belt both stand.
    pub fn stands(&self) -> bool {
        !self.running && self.drive_mm_per_s == 0.0 && self.speed_mm_per_s == 0.0
    }
}

fn met(bits: Bits, word: u16) -> bool {
    match bits.value {
        Some(value) => word & bits.mask == value,
        None => word & bits.mask != 0,
    }
}

#[derive(Debug)]
struct Counted {
    raw: u32,
    /// Time of the encoder's last motion, and its size since the sample before, mm.
    moved_ns: i64,
}

/// Interprets sample after sample, and keeps the belt position.
pub(crate) struct Reader {
    profile: Profile,
    standstill_mm_per_s: f64,
    max_mm_per_s: f64,
    mm_per_s_per_count: f64,
    sign: f64,
    /// mm of belt per count.
    encoder_mm: Option<f64>,
    /// The longest hole in the samples with a known position behind it, ns.
    hole_ns: i64,
    position_mm: f64,
    last: Option<(i64, f64)>,
    counted: Option<Counted>,
    /// Whether the encoder's last reading failed.
    blind: bool,
    track: Arc<Track>,
}

impl Reader {
    pub fn new(config: &Config, profile: &Profile, track: Arc<Track>, hole_ns: i64) -> Self {
        let sign = if config.reversed { -1.0 } else { 1.0 };
        Self {
            standstill_mm_per_s: config.standstill_mm_per_s(),
            max_mm_per_s: config.max_speed_mm_per_s,
            mm_per_s_per_count: profile.actual.scale.mm_per_s_per_count(config.mm_per_s_per_hz.unwrap_or(0.0)),
            sign,
            encoder_mm: config.encoder_counts_per_mm.filter(|_| profile.encoder.is_some()).map(|counts| 1.0 / counts),
            hole_ns,
            position_mm: config.start_position_mm,
            last: None,
            counted: None,
            blind: false,
            track,
            profile: profile.clone(),
        }
    }

    /// Whether there is an encoder.
    pub fn counts(&self) -> bool {
        self.encoder_mm.is_some()
    }

    /// Interprets a reading. `told` is the last commanded direction, 1 or -1.
    pub fn take(&mut self, words: &Words, told: f64) -> Sample {
        let status = &self.profile.status;
        let holds = |list: &[Bits]| list.iter().any(|bits| met(*bits, words.get(bits.register.unwrap_or(status.word))));
        let running = holds(&status.running);
        let actual = &self.profile.actual;
        let raw = words.get(actual.address);
        let count = if actual.signed { f64::from(raw.cast_signed()) } else { f64::from(raw) };
        let direction = match () {
            () if actual.signed => 1.0,
            () if status.backwards.is_empty() => told,
            () if holds(&status.backwards) => -1.0,
            () => 1.0,
        };
        let mut drive = count * self.mm_per_s_per_count * direction * self.sign;
        if drive.abs() <= self.standstill_mm_per_s {
            drive = 0.0;
        }
        let mut doubt = None;
        if drive.abs() > 1.5 * self.max_mm_per_s {
            doubt = Some(format!(
                "register {} (actual speed) reads {raw}, which is {drive:.1} mm/s, and the belt runs at most at {} mm/s",
                actual.address, self.max_mm_per_s
            ));
            drive = drive.signum() * self.max_mm_per_s;
        }
        let fault = holds(&status.fault).then(|| self.fault_text(words));
        let mut read = format!("register {} (status) reads {:#06x}", status.word, words.get(status.word));
        // Writing to a string cannot fail.
        let _ = write!(read, ", register {} (actual speed) {raw}", actual.address);
        let mut speed = drive;
        // Without a reading of the encoder, the next count shows the position.
        if words.unread.is_none() {
            let joined;
            (speed, joined) = self.advance(words, drive, &mut doubt, &mut read);
            self.track.push(words.time_ns, self.position_mm, speed, joined && doubt.is_none());
            self.last = Some((words.time_ns, drive));
        }
        let unread = words.unread.clone();
        self.blind = unread.is_some();
        let word = (words.first..).zip(words.words.iter().copied()).collect();
        Sample { running, fault, drive_mm_per_s: drive, speed_mm_per_s: speed, position_mm: self.position_mm, doubt, unread, read, word }
    }

    /// Moves the position on. Returns the belt's speed and whether the way since the last sample is known.
    #[expect(clippy::cast_precision_loss, reason = "times and counts of a scan")]
    fn advance(&mut self, words: &Words, drive: f64, doubt: &mut Option<String>, read: &mut String) -> (f64, bool) {
        let Some((before_ns, before)) = self.last else {
            if let Some(raw) = self.raw_count(words) {
                self.counted = Some(Counted { raw, moved_ns: words.time_ns });
            }
            return (drive, false);
        };
        let dt_ns = (words.time_ns - before_ns).max(0);
        let dt = dt_ns as f64 * 1e-9;
        let (Some(raw), Some(mm_per_count), Some(counted)) = (self.raw_count(words), self.encoder_mm, self.counted.as_mut()) else {
            self.position_mm += (before + drive) / 2.0 * dt;
            return (drive, dt_ns <= self.hole_ns || (before == 0.0 && drive == 0.0));
        };
        let Some(encoder) = &self.profile.encoder else { return (drive, false) };
        let _ = write!(read, ", {encoder} {raw}");
        let narrow = encoder.words == 1;
        let (from, step) = (counted.raw, raw.wrapping_sub(counted.raw));
        let step = if narrow { f64::from((step as u16).cast_signed()) } else { f64::from(step.cast_signed()) };
        counted.raw = raw;
        let way = step * mm_per_count;
        let farthest = 1.5 * self.max_mm_per_s * dt + 5.0 + 2.0 * mm_per_count.abs();
        let turn = if narrow { 65_536.0 } else { 4_294_967_296.0 } * mm_per_count.abs();
        if way.abs() > farthest {
            doubt.get_or_insert(format!(
                "{encoder} went from {from} to {raw} within {:.0} ms, which is {way:.1} mm, and the belt runs at most at {} mm/s",
                dt * 1e3,
                self.max_mm_per_s
            ));
            return (drive, false);
        }
        self.position_mm += way;
        if step.abs() >= 2.0 || (step != 0.0 && drive != 0.0) {
            counted.moved_ns = words.time_ns;
        }
        let due_ns = if drive == 0.0 { 0.0 } else { 3.0 * mm_per_count.abs() / drive.abs() * 1e9 };
        let still = words.time_ns - counted.moved_ns;
        // The way over a hole gives no present speed.
        let seen = !self.blind && dt > 0.0 && dt_ns <= self.hole_ns;
        let speed = match drive == 0.0 {
            // The belt is pushed, or coasts.
            true if step.abs() >= 2.0 && seen => way / dt,
            true => 0.0,
            false if still as f64 > due_ns.max(STILL_NS as f64) => 0.0,
            false => drive,
        };
        (speed, farthest < turn / 2.0)
    }

    fn raw_count(&self, words: &Words) -> Option<u32> {
        let encoder = self.profile.encoder.as_ref().filter(|_| self.encoder_mm.is_some())?;
        match (words.encoder.as_slice(), encoder.word_order) {
            ([word], _) => Some(u32::from(*word)),
            ([high, low], WordOrder::HighFirst) | ([low, high], WordOrder::LowFirst) => Some(u32::from(*high) << 16 | u32::from(*low)),
            _ => None,
        }
    }

    /// Code and text of the fault.
    fn fault_text(&self, words: &Words) -> String {
        let status = format!("register {} (status) reads {:#06x}", self.profile.status.word, words.get(self.profile.status.word));
        let Some(fault) = &self.profile.fault else { return status };
        let Some(code) = words.fault else { return format!("{status}, and register {} (fault) cannot be read", fault.address) };
        let code = code & fault.mask;
        let text = fault.text.get(&code.to_string()).map_or("no text for it in the profile", String::as_str);
        format!("{code} ({text}); {status}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use contract::PositionTrack;

    const MS: i64 = 1_000_000;

    /// The PLC's registers at a time, ms: the drive's state, at 50 mm/s, and the count or the reason for none.
    fn words(at: i64, runs: bool, count: Result<u16, &str>) -> Words {
        let words = vec![u16::from(runs), if runs { 500 } else { 0 }, 0];
        let unread = count.err().map(str::to_owned);
        Words { first: 10, words, encoder: vec![0, count.unwrap_or(0)], unread, fault: None, time_ns: at * MS }
    }

    #[test]
    fn the_way_over_a_hole_is_counted_and_is_no_speed() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/drives/plc.toml");
        let config: Config = toml::from_str(&format!(
            "profile = {path:?}\naddress = \"plc:502\"\nmin_speed_mm_per_s = 1.0\nmax_speed_mm_per_s = 200.0\nencoder_counts_per_mm = 10.0"
        ))
        .unwrap();
        let profile = Profile::read(&path).unwrap();
        let track = Arc::new(Track::new(200 * MS, std::time::Duration::from_millis(50)));
        let mut reader = Reader::new(&config, &profile, Arc::clone(&track), 200 * MS);
        let mut take = |at, runs, count| {
            let sample = reader.take(&words(at, runs, count), 1.0);
            (sample.speed_mm_per_s, sample.position_mm, sample.stands(), sample.trouble().is_some())
        };
        assert_eq!(take(0, true, Ok(100)), (50.0, 0.0, false, false));
        assert_eq!(take(100, true, Ok(150)), (50.0, 5.0, false, false));
        // The encoder is silent while the belt slows down. The belt stands by the drive's word, at an unknown position.
        assert_eq!(take(150, true, Err("silent")), (50.0, 5.0, false, true));
        assert_eq!(take(190, false, Err("silent")), (0.0, 5.0, true, true));
        assert_eq!(track.position_mm(400 * MS), None);
        // The next count shows the way.
        assert_eq!(take(230, false, Ok(180)), (0.0, 8.0, true, false));
        assert_eq!(track.position_mm(230 * MS), Some(8.0));
        // The drive itself was silent.
        assert_eq!(take(800, false, Ok(200)), (0.0, 10.0, true, false));
        // The belt is pushed.
        assert_eq!(take(900, false, Ok(250)), (50.0, 15.0, false, false));
    }
}
