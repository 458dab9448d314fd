"""Judges sample files by the IOOS compliance checker (CF 1.11) and by the validator of nexusformat (the base classes of NeXus).
usage: conformance.py SAMPLE.h5...

Findings that are allowed are listed here with their reason. Any other fails, and so does one of the list that no file gives.
"""

import os
import re
import shutil
import socket
import sys
import tempfile

import h5py
import netCDF4
from compliance_checker.runner import CheckSuite
from nexusformat.nexus import validate

CF = "cf:1.11"
# Place and message, with the reason.
ALLOWED_CF = {
    ("/", 'Dataset path FILE must end with ".nc"'): "The file is HDF5 in the layout of NeXus first, and HDF5 readers look for .h5.",
}
NO_SUCH_FIELD = "This field is not defined in"
PROVENANCE = "NeXus lets a base class hold further fields. The record of the scan and of its program belongs beside the data."
SAMPLE = "NeXus lets a base class hold further fields. These tell where the sample lay, and what the tray map says of it."
CAMERA = "NeXus lets a base class hold further fields. NXdetector has no name for settings of a line camera, nor for the figures of EMVA 1288."
DETECTOR = (
    "model frame_rate binning_spatial binning_spectral pixels values wavelength fwhm overall_system_gain temporal_dark_noise dsnu "
    "saturation_capacity dynamic_range snr_max snr_panel snr_10 snr_5"
).split()
ALLOWED_NEXUS = {
    ("/", '"@Conventions" is not defined as an attribute in NXroot'): "CF asks for it.",
    ("/", '"@title" is not defined as an attribute in NXroot'): "CF asks for it.",
    ("/", '"@history" is not defined as an attribute in NXroot'): "CF asks for it.",
    ("/", '"@hyclus_format_version" is not defined as an attribute in NXroot'): "Readers tell the layout by it.",
    ("/entry/sample", '"@keys" is not defined as an attribute in NXsample'): SAMPLE,
    ("/entry/sample", '"@doubts" is not defined as an attribute in NXsample'): SAMPLE,
    **{(f"/entry/sample/{name}", f"{NO_SUCH_FIELD} NXsample"): SAMPLE for name in ("container", "tray", "{key}")},
    **{(f"/entry/instrument/{{camera}}/{name}", f"{NO_SUCH_FIELD} NXdetector"): CAMERA for name in DETECTOR},
    **{
        (f"/entry/process/{name}", f"{NO_SUCH_FIELD} NXprocess"): PROVENANCE
        for name in ("scan", "configuration", "configuration_sha256", "encoder", "encoder_sha256")
    },
}
# Written where the program was built from a commit.
SOMETIMES = {("/entry/process/commit", f"{NO_SUCH_FIELD} NXprocess")}


def offline(*arguments, **settings):
    raise OSError("a judge reached for the network")


def groups(group):
    yield group
    for below in group.groups.values():
        yield from groups(below)


def flat(root, group, target):
    """Writes a group as a netCDF file of its own, because the checker looks at the root group alone. Nothing else changes."""
    with netCDF4.Dataset(target, "w") as out:
        for holder in (root, group):
            out.setncatts({name: holder.getncattr(name) for name in holder.ncattrs()})
        for name, dimension in group.dimensions.items():
            out.createDimension(name, len(dimension))
        for name, variable in group.variables.items():
            attributes = {attribute: variable.getncattr(attribute) for attribute in variable.ncattrs()}
            kind = str if variable.dtype is str else variable.dtype
            copy = out.createVariable(name, kind, variable.dimensions, fill_value=attributes.pop("_FillValue", None))
            copy.setncatts(attributes)
            for one in (variable, copy):
                one.set_auto_maskandscale(False)
            copy[...] = variable[...]


def checked(path):
    """What the checker finds at fault in the root group of a file."""
    suite = CheckSuite()
    data = suite.load_dataset(path)
    (results, errors), = suite.run_all(data, [CF], [], []).values()
    data.close()
    assert not errors, errors
    assert len(results) > 10, f"{len(results)} checks"
    for result in results:
        passed = result.value[0] == result.value[1] if isinstance(result.value, tuple) else result.value
        if not passed:
            yield from ((message or result.name).replace(path, "FILE") for message in result.msgs or [""])


def judged_by_cf(path, only=None):
    found = set()
    with netCDF4.Dataset(path) as root, tempfile.TemporaryDirectory() as folder:
        if only is None:
            found |= {("/", message) for message in checked(path)}
        holding = [group for group in groups(root) if group.variables and only in (None, group.path)]
        assert holding, only
        for group in holding:
            target = os.path.join(folder, "group.nc")
            flat(root, group, target)
            found |= {(group.path, message) for message in checked(target)}
    return found


class Kept(validate.logging.Handler):
    """Keeps what the validator says, with the place that it named last."""

    def __init__(self):
        super().__init__()
        self.found, self.place, self.places = set(), None, 0

    def emit(self, record):
        text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage()).strip()
        if record.levelno in (validate.logging.WARNING, validate.logging.ERROR):
            self.found.add((self.place, text))
        elif place := re.fullmatch(r"\w+: (/\S*)", text):
            self.place, self.places = place[1], self.places + 1


def judged_by_nexus(path):
    kept = Kept()
    validate.logger.handlers = [kept]
    validate.logger.setLevel(validate.logging.WARNING)
    warnings, errors = validate.validate_file(path)
    assert kept.places > 0 and bool(kept.found) == bool(warnings + errors), (kept.places, warnings, errors)
    with h5py.File(path) as file:
        cameras, keys = list(file["entry/instrument"]), [str(key) for key in file["entry/sample"].attrs.get("keys", [])]
    def pattern(place):
        parts = place.split("/")
        for above, names, pattern in (("instrument", cameras, "{camera}"), ("sample", keys, "{key}")):
            if parts[1:3] == ["entry", above] and len(parts) > 3 and parts[3] in names:
                parts[3] = pattern
        return "/".join(parts)
    return {(pattern(place), message) for place, message in kept.found}


def broken(sample, edit):
    """A copy of a sample file, edited."""
    path = os.path.join(FOLDER.name, "broken.h5")
    shutil.copyfile(sample, path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def can_fail(sample):
    """Breaks a file in ways that each judge must see."""

    def no_units(file):
        del file["entry/reflectance/wavelength"].attrs["units"]

    def wrong_units(file):
        file["entry/reflectance/wavelength"].attrs["units"] = "furlong per fortnightly"

    def no_name(file):
        del file["entry/reflectance/line"].attrs["long_name"]

    for edit in (no_units, wrong_units, no_name):
        found = judged_by_cf(broken(sample, edit), "/entry/reflectance") - set(ALLOWED_CF)
        assert found, f"{edit.__name__} was not seen"

    def unknown_class(file):
        file["entry/sample"].attrs["NX_class"] = "NXsamples"

    def wrong_class(file):
        file["entry/process"].attrs["NX_class"] = "NXinstrument"

    def no_signal(file):
        file["entry/reflectance"].attrs["signal"] = "reflectances"

    def no_time(file):
        del file["entry/start_time"]
        file["entry/start_time"] = "yesterday"

    for edit in (unknown_class, wrong_class, no_signal, no_time):
        found = judged_by_nexus(broken(sample, edit)) - set(ALLOWED_NEXUS) - SOMETIMES
        assert found, f"{edit.__name__} was not seen"


FOLDER = tempfile.TemporaryDirectory()
socket.socket.connect = offline
CheckSuite.load_all_available_checkers()
problems = []
for judge, allowed in ((judged_by_cf, ALLOWED_CF), (judged_by_nexus, ALLOWED_NEXUS)):
    seen = set()
    for path in sys.argv[1:]:
        found = judge(path)
        seen |= found
        problems += [f"{judge.__name__}: {path}: {place}: {text}" for place, text in sorted(found - set(allowed) - SOMETIMES)]
    problems += [f"{judge.__name__}: {place}: no file gives any more: {text}" for place, text in sorted(set(allowed) - seen)]
assert not problems, "\n".join(problems)
can_fail(sys.argv[-1])
