//! The seal of a scan into the archive.
//!
//! It lies in `seal=N/FILE` below the folder of the scan, apart from its revisions: a scan is sealed, or sealed again, without any change of
//! its own. A seal is whole when its signature is there. The highest whole one counts.

use crate::failure::Failure;
use crate::layout::{Held, Layout};
use crate::object::{Put, put_bytes};
use crate::pace::Pace;
use crate::place::Place;
use hyclus::seal::{CarriedSeal, SealError};
use object_store::path::Path;

/// The object of a file of seal `number`.
fn object(layout: &Layout, number: u32, file: &str) -> Path {
    layout.root().clone().join(format!("seal={number}")).join(file)
}

/// Number and file of an object of a seal, by its name below the folder of the scan.
fn of_name(name: &str) -> Option<(u32, &str)> {
    let (number, file) = name.strip_prefix("seal=")?.split_once('/')?;
    Some((number.parse().ok()?, file))
}

/// Numbers of the seals that have any file, or have the file `name`.
fn numbers<'a>(held: &'a Held, name: Option<&'a str>) -> impl Iterator<Item = u32> + 'a {
    let of_seals = held.objects.keys().filter(|(revision, _)| *revision == 1).filter_map(|(_, found)| of_name(found));
    of_seals.filter(move |(_, file)| name.is_none_or(|name| name == *file)).map(|(number, _)| number)
}

/// The number of the seal that counts.
fn whole(held: &Held) -> Option<u32> {
    let signature = CarriedSeal::NAMES.last().copied();
    numbers(held, signature).max()
}

/// Ships the seal of a scan. Gives its number and the bytes that were put, or `None` where the archive has it.
///
/// # Errors
/// The archive fails.
pub(crate) async fn ship(place: &Place, pace: &Pace, layout: &Layout, seal: &CarriedSeal) -> Result<Option<(u32, u64)>, Failure> {
    let held = place.list(layout).await?;
    if let Some(number) = whole(&held) {
        let signature = CarriedSeal::NAMES.last().map(|name| object(layout, number, name)).unwrap_or_default();
        if place.read(&signature).await?.as_deref() == Some(seal.signature().as_bytes()) {
            return Ok(None);
        }
    }
    // What a try before this one left behind is taken up where it is of the same seal, and stays out of the way where it is not.
    let mut number = numbers(&held, None).max().unwrap_or(1).max(whole(&held).map_or(1, |number| number + 1));
    'seal: loop {
        let mut bytes = 0;
        for (name, text) in seal.files() {
            match put_bytes(place, pace, &object(layout, number, name), text.as_bytes().to_vec()).await? {
                Put::New => bytes += text.len() as u64,
                Put::Same => {}
                Put::Other => {
                    number += 1;
                    continue 'seal;
                }
            }
        }
        return Ok(Some((number, bytes)));
    }
}

/// The seal that counts. `None` where the archive has none.
///
/// # Errors
/// The archive fails, a file is gone, or the seal is not whole.
pub(crate) async fn read(place: &Place, layout: &Layout, held: &Held, scan: &str) -> Result<Option<CarriedSeal>, Failure> {
    let Some(number) = whole(held) else { return Ok(None) };
    let mut texts: [String; CarriedSeal::NAMES.len()] = Default::default();
    for (text, name) in texts.iter_mut().zip(CarriedSeal::NAMES) {
        let object = object(layout, number, name);
        let at = |problem: &dyn std::fmt::Display| Failure::scan(format!("{}: {object}: {problem}", place.name()));
        let bytes = place.read(&object).await?.ok_or_else(|| at(&"is gone"))?;
        *text = String::from_utf8(bytes).map_err(|error| at(&error))?;
    }
    CarriedSeal::new(scan, texts).map(Some).map_err(|error| {
        let problem = match error {
            SealError::Broken { problem, .. } => problem,
            error => error.to_string(),
        };
        let advice = "`hyclus-archive verify` tells of all damage";
        Failure::scan(format!("{}: seal {number} of {scan} cannot be used: {problem}; {advice}", place.name()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_seal_with_a_signature_counts() {
        let layout = Layout::new("bench", "S");
        let mut held = Held::default();
        assert_eq!(whole(&held), None);
        for (name, counts) in [
            ("samples/seal=9/ro-crate-metadata.json.minisig", None),
            ("seal=1/ro-crate-metadata.json", None),
            ("seal=1/ro-crate-metadata.json.minisig", Some(1)),
            ("seal=10/ro-crate-metadata.json.minisig", Some(10)),
            ("seal=11/scan.json", Some(10)),
            ("revision=2/seal=12/ro-crate-metadata.json.minisig", Some(10)),
        ] {
            held.add(&layout, &Path::parse(format!("objects/rig=bench/scan=S/{name}")).unwrap(), 1);
            assert_eq!(whole(&held), counts, "{name}");
        }
        assert_eq!(object(&layout, 3, "seal.pub").as_ref(), "objects/rig=bench/scan=S/seal=3/seal.pub");
        assert_eq!(held.whole(), None);
    }
}
