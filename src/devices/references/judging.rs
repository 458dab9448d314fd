//! Judging references by the limits of the configuration.

use super::Taking;
use super::recording::last_good;
use crate::calibrate::light_change;
use crate::config::ReferencesConfig;
use crate::devices::{CameraUnit, Held};
use crate::reference::{
    DarkTimes, Figures, PanelLight, PhotonTransfer, Reference, Referenced, Refusal, WhiteReference, bad_shares, leak, mean, median,
};
use crate::scan::{BadElements, DarkLevelDrift, LightChange, ReferenceKind, WavelengthCheck, day};
use crate::wavelength::{Axis, AxisError, CameraBands, Value, columns};
use contract::{Subject, Values};
use std::sync::Arc;

/// The bad elements by a reference of `unit` and the other one that it holds; `None` without the other one. A white reference has a dark
/// one of its own.
pub(super) fn bad_elements(unit: &CameraUnit, kind: ReferenceKind, reference: &Reference, own_dark: Option<&Held>) -> Option<BadElements> {
    let (dark, white) = match kind {
        ReferenceKind::Dark => (reference, unit.white.as_ref()?.over(reference)),
        ReferenceKind::White => (&*unit.dark.as_ref()?.reference, (reference, &*own_dark?.reference)),
    };
    Some(bad_shares(dark, white, unit.about.layout, unit.about.saturation, &unit.mend))
}

/// Why a white reference is refused in which no element can be used.
pub(super) fn refuse_dead(bad: BadElements) -> Option<Refusal> {
    let none = bad.mended + bad.missing >= 1.0;
    let figure = "no element gives a usable difference between white and dark".to_owned();
    none.then_some((figure, "check lamps, shutter and exposure, and that neither reference is the other one"))
}

/// The figures of a reference: of a white one over its own dark one, and else of a dark one.
pub(super) fn figures(unit: &CameraUnit, reference: &Reference, own_dark: Option<&Held>) -> Figures {
    let description = &unit.about;
    match own_dark {
        Some(dark) => Figures::white(reference, &dark.reference, description.layout, description.saturation),
        // An earlier white reference shows how light would look in the dark.
        None => {
            let leak = unit.white.as_ref().map(|white| leak(reference, &white.reference, description.layout, description.saturation));
            Figures { leak: leak.unwrap_or(0.0), ..Figures::dark(reference, description.saturation) }
        }
    }
}

/// The last good reference of the camera's settings: the one that is held, or that an earlier run recorded.
fn last(unit: &CameraUnit, taking: &Taking<'_>, kind: ReferenceKind, held: Option<&Held>) -> Option<WhiteReference> {
    let last = held.map(Held::white).or_else(|| last_good(unit, taking.folder?, kind));
    last.filter(|last| last.reference.fits("last", &unit.exposure).is_ok())
}

/// Largest change of a camera's gain between two white references, as a share.
const MOST_GAIN_CHANGE: f64 = 0.05;

/// The noise of a camera by a white reference and its own dark one, of the elements that are not saturated.
fn noise(unit: &CameraUnit, white: &Reference, dark: &Reference) -> Option<PhotonTransfer> {
    let full = unit.about.saturation.unwrap_or(f64::INFINITY);
    PhotonTransfer::of(dark, white, |at| f64::from(white.peak[at]) < full)
}

/// Why a white reference over its own `dark` one is in doubt: the gain of the camera differs from that of the last one.
pub(super) fn gain_doubt(unit: &CameraUnit, taking: &Taking<'_>, white: &Reference, dark: &Reference) -> Option<String> {
    let then = last(unit, taking, ReferenceKind::White, unit.white.as_ref())?;
    let (now, then) = (noise(unit, white, dark)?, noise(unit, &then.reference, then.dark.as_deref().unwrap_or(dark))?);
    now.differs(&then, MOST_GAIN_CHANGE).then(|| {
        format!(
            "{}: the overall system gain by the white reference is {:.4} counts per photoelectron, and was {:.4}; a change of more than {:.0} % is of the camera or its settings, and not of the light; check gain, binning and number format of the camera, and take the white reference again",
            unit.config.name,
            now.gain,
            then.gain,
            100.0 * MOST_GAIN_CHANGE
        )
    })
}

/// What the absorptions of the panel tell of a camera's wavelengths.
#[derive(Default)]
pub(super) struct Wavelength {
    /// The figures; `None` where the camera sees no absorption.
    pub check: Option<WavelengthCheck>,
    /// Why the wavelengths are in doubt.
    pub doubt: Option<String>,
    /// Why the reference is refused.
    pub refusal: Option<Refusal>,
}

/// Distance within which the panel's absorptions are looked for, nm: as far as a shift can be configured.
const SEARCHED_NM: f64 = 20.0;

/// Judges the wavelengths of a camera by the absorptions of the panel, in a white reference over its own `dark` one. What the configured
/// shift and smile leave is judged.
pub(super) fn wavelength(unit: &CameraUnit, taking: &Taking<'_>, white: &Reference, dark: &Reference) -> Wavelength {
    let (Some(config), Some(features)) = (taking.config, &unit.features) else { return Wavelength::default() };
    let (about, camera) = (&unit.about, &unit.config.name);
    let light = light(unit, (white, dark));
    let columns = columns(&light.signal(), &light.bad(), about.layout);
    let bands = CameraBands { nm: &about.wavelengths_nm, fwhm_nm: about.fwhm_nm.as_deref(), smile_nm: unit.config.correction.smile_nm };
    let axis = match Axis::measure(&columns, bands, features, SEARCHED_NM) {
        Ok(axis) => axis,
        // A VNIR camera does not see what PTFE absorbs at 2130 nm.
        Err(AxisError::OutOfRange { .. }) => return Wavelength::default(),
        Err(error) => {
            let doubt = format!("{camera}: the wavelengths cannot be checked on the white panel (references.panel.features): {error}");
            return Wavelength { doubt: Some(doubt), ..Wavelength::default() };
        }
    };
    let Value { value: shift_nm, uncertainty } = axis.mean_nm;
    let beyond = |most: f64| axis.mean_nm.sure() && shift_nm.abs() > most;
    let (told_nm, refused_nm) = (config.max_wavelength_shift_nm, config.refuse_wavelength_shift_nm);
    let refusal = beyond(refused_nm).then(|| {
        let figure = format!(
            "by the absorptions of the panel the true wavelengths are {shift_nm:+.2} nm ± {uncertainty:.2} nm from those of the bands, at most {refused_nm} nm (references.refuse_wavelength_shift_nm)"
        );
        (figure, "check that references.panel.features is of this panel, and measure the wavelengths (hyclus calibrate wavelength)")
    });
    let doubt = beyond(told_nm).then(|| {
        format!(
            "{camera}: by the absorptions of the white panel the true wavelengths are {shift_nm:+.2} nm ± {uncertainty:.2} nm from those of the bands, at most {told_nm} nm (references.max_wavelength_shift_nm); measure them (hyclus calibrate wavelength), and have the camera looked at if they move"
        )
    });
    Wavelength { check: Some(axis.check()), doubt, refusal }
}

/// Why a reference, with its own dark one where it is white, is refused by the limits of the configuration; `None` if it is good.
pub(super) fn check_limits(
    unit: &CameraUnit,
    (reference, own_dark): (&Reference, Option<&Held>),
    figures: &Figures,
    config: &ReferencesConfig,
    taking: &Taking<'_>,
) -> Option<Refusal> {
    let description = &unit.about;
    let full = description.saturation;
    let compared = !taking.accept_change && [Subject::Dark, Subject::White].contains(&taking.subject);
    match taking.kind() {
        ReferenceKind::Dark => {
            let then = if compared { last(unit, taking, ReferenceKind::Dark, unit.dark.as_ref()) } else { None };
            // Without a white reference, no scan was calibrated with the last good one.
            let both = then.and_then(|then| Some((then.reference, last(unit, taking, ReferenceKind::White, unit.white.as_ref())?)));
            let changed = both.map(|(then, white)| {
                let over = white.dark.as_deref().unwrap_or(&then);
                light(unit, (&white.reference, over)).dark_change(reference, &then, &panel_reflectance(unit))
            });
            config.limits.refuse_dark(figures, full, changed)
        }
        ReferenceKind::White => {
            let own = own_dark.map(|held| &*held.reference);
            let then = if compared { last(unit, taking, ReferenceKind::White, unit.white.as_ref()) } else { None };
            let changed = then
                .zip(own)
                .map(|(then, own)| light(unit, (reference, own)).change((&then.reference, then.dark.as_deref().unwrap_or(own))));
            config.limits.refuse_white(figures, own.map_or(0.0, |own| mean(&own.mean)), full, &description.wavelengths_nm, changed)
        }
    }
}

/// The light of a camera by a white reference and its own dark one.
fn light<'a>(unit: &'a CameraUnit, white: (&'a Reference, &'a Reference)) -> PanelLight<'a> {
    PanelLight { white, layout: unit.about.layout, saturation: unit.about.saturation, wavelengths_nm: &unit.about.wavelengths_nm }
}

/// Reflectance of the panel at the bands of a camera; 1 where it is not known.
fn panel_reflectance(unit: &CameraUnit) -> Vec<f32> {
    let known = unit.panel.as_ref().and_then(|panel| panel.at(&unit.about.wavelengths_nm).ok());
    known.unwrap_or_else(|| vec![1.0; unit.about.layout.bands])
}

/// Movement of the dark level of a camera from the dark reference `before` a scan to the one `after` it. `None` without a white reference.
fn dark_level_drift(unit: &CameraUnit, before: &Held, after: &Held) -> Option<DarkLevelDrift> {
    let (before, after) = (&*before.reference, &*after.reference);
    let white = unit.white.as_ref()?.over(before);
    let difference = |a: &Reference, b: &Reference| f64::from(median(a.mean.iter().zip(&b.mean).map(|(a, b)| a - b).collect()));
    let counts = difference(after, before);
    let worst = light(unit, white).dark_change(after, before, &panel_reflectance(unit));
    let of_signal = counts / difference(white.0, white.1).max(1.0);
    Some(DarkLevelDrift { counts, of_signal, worst_nm: Some(worst.nm), worst_share: Some(worst.share) })
}

/// Change of the light of a calibration until the white reference `after` the scan, as a share, `[band]`.
pub(super) fn change_of(unit: &CameraUnit, referenced: &Referenced, after: &Held) -> Option<Vec<f32>> {
    let own_dark = after.own_dark.as_ref().map_or(&referenced.dark, |dark| &dark.reference);
    light_change(referenced, unit.about.layout.pixels, &after.reference, own_dark)
}

/// How far the dark level moved from the dark reference `before` a scan to the one `after` it, and the warning where that is beyond
/// `references.limits.max_dark_drift`. Only then is the dark level interpolated, live as in a recording. `None` without a white reference.
pub fn dark_drift(unit: &CameraUnit, before: &Held, after: &Held, config: &ReferencesConfig) -> Option<(DarkLevelDrift, Option<String>)> {
    let drift = dark_level_drift(unit, before, after)?;
    let most = config.limits.max_dark_drift;
    let beyond = drift.worst_nm.zip(drift.worst_share).filter(|(_, share)| share.abs() > most);
    let warning = beyond.map(|(nm, share)| {
        format!(
            "{}: the dark level moved by {:.1} counts during the scan; at its end, a reflectance of 5 % is off by {:+.1} % of that at {nm:.0} nm, at most {:.1} % (references.limits.max_dark_drift)",
            unit.config.name,
            drift.counts,
            100.0 * share,
            100.0 * most
        )
    });
    Some((drift, warning))
}

/// How far the light changed from the white reference `before` a scan to the one `after` it, and the warning where that is beyond
/// `references.limits.max_light_drift`. Only then is the light interpolated. `None` where the references tell nothing of it.
pub fn light_drift(unit: &CameraUnit, before: &Held, after: &Held, config: &ReferencesConfig) -> Option<(LightChange, Option<String>)> {
    let (about, dark) = (&unit.about, unit.dark.as_ref()?);
    let panel = panel_reflectance(unit);
    let referenced =
        Referenced::new(Arc::clone(&dark.reference), before.white(), panel, about.layout, about.saturation, unit.mend.clone()).ok()?;
    let change = change_of(unit, &referenced, after)?;
    let (band, share) = change.iter().copied().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let (nm, share) = (about.wavelengths_nm.get(band).copied()?, f64::from(share));
    let most = config.limits.max_light_drift;
    let warning = (share.abs() > most).then(|| {
        format!(
            "{}: the light at {nm:.0} nm changed by {:+.1} % from the white reference before the scan to the one after it, at most {:.1} % (references.limits.max_light_drift)",
            unit.config.name,
            100.0 * share,
            100.0 * most
        )
    });
    Some((LightChange { worst_nm: nm, worst_share: share }, warning))
}

/// Why the calibration of a camera is in doubt for lines of the time `start_ns` (ns since 1970-01-01T00:00:00Z): by its panel, or by the
/// times of its dark references.
pub fn doubts(unit: &CameraUnit, start_ns: i64) -> Vec<String> {
    let name = &unit.config.name;
    let panel = unit.panel.as_ref().filter(|_| unit.about.values == Values::Counts);
    // An undated recording has no day.
    let expired = panel.filter(|_| start_ns > replay::UNDATED_NS).and_then(|panel| panel.expired(day(start_ns)));
    let extrapolated = panel.and_then(|panel| panel.extrapolated(&unit.about.wavelengths_nm));
    let times = unit.dark.as_ref().zip(unit.dark_after.as_ref());
    let times = times.and_then(|(dark, (after, lines_ns))| DarkTimes::of(&dark.reference, &after.reference, *lines_ns).doubt);
    let of_white = unit.white.iter().flat_map(|white| white.doubts.clone());
    // The cameras have one panel.
    expired.into_iter().chain(of_white).chain([extrapolated, times].into_iter().flatten().map(|doubt| format!("{name}: {doubt}"))).collect()
}
