"""Judges a sealed scan and its pack by programs that hyclus did not write: Python's own SHA-256 and zipfile, rocrate, minisign and py-minisign.

Usage: seal.py DATA_ROOT SCAN PUBLIC_KEY PACK.zip
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import minisign
from rocrate.rocrate import ROCrate


def check(true, said):
    if not true:
        sys.exit(said)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listed(metadata):
    """The files that the metadata lists."""
    return [entity for entity in json.loads(metadata.read_text())["@graph"] if entity["@type"] == "File"]


def signature(folder, public):
    """Verifies the signature of the metadata in a folder by both implementations of minisign. Gives the signed comment."""
    metadata, beside = folder / "ro-crate-metadata.json", folder / "ro-crate-metadata.json.minisig"
    program = pathlib.Path(os.environ.get("HYCLUS_MINISIGN", "minisign"))
    environment = os.environ | {"LD_LIBRARY_PATH": str(program.parent)}
    command = [str(program), "-Vm", str(metadata), "-p", str(public)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    check(done.returncode == 0 and "Signature and comment signature verified" in done.stdout, f"minisign: {done.stdout}{done.stderr}")
    key, signed = minisign.PublicKey.from_file(public), minisign.Signature.from_file(beside)
    key.verify(metadata.read_bytes(), signed)
    altered = bytearray(metadata.read_bytes())
    altered[len(altered) // 2] ^= 1
    try:
        key.verify(bytes(altered), signed)
    except minisign.VerifyError:
        pass
    else:
        sys.exit("py-minisign accepts altered metadata")
    return done.stdout.split("Trusted comment: ")[1].strip()


def crate(folder, scan):
    """Reads the metadata with rocrate, and compares every file in the folder with it."""
    read = ROCrate(folder)
    root = read.root_dataset
    check(root["identifier"] == scan and root["datePublished"] and root["license"].id.startswith("https://"), f"rocrate reads {root}")
    check(root["author"]["name"] == "Ada Lovelace", f"rocrate reads the author {root['author']}")
    action = read.get("#scan")
    check(action["agent"].id == root["author"].id and action["startTime"] < action["endTime"], f"rocrate reads {action}")
    names = {thing["name"] for thing in action["instrument"]}
    check({"hyclus", "hyperspectral conveyor rig", "encoder main"} <= names, f"rocrate reads the instruments {names}")
    cameras = {part["name"] for part in read.get("#rig")["hasPart"]}
    check(cameras == {"swir", "vnir"}, f"rocrate reads the cameras {cameras}")
    keys = {part["name"]: part["value"] for part in read.get("#sample-0")["additionalProperty"]}
    check(keys["plant"] == "P1", f"rocrate reads the keys {keys}")
    # An entity that is named and not there is what a validator of RO-Crate refuses first.
    document = json.loads((folder / "ro-crate-metadata.json").read_text())
    there = {entity["@id"] for entity in document["@graph"]}
    check(len(there) == len(document["@graph"]), "an entity is there twice")

    def named(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else []
            for inside in value.values():
                yield from named(inside)
        elif isinstance(value, list):
            for inside in value:
                yield from named(inside)

    missing = {name for name in named(document["@graph"]) if name not in there and not name.startswith("http")}
    check(not missing, f"named and not described: {missing}")
    files = listed(folder / "ro-crate-metadata.json")
    parts = {part.id for part in root["hasPart"]}
    check(parts == {file["@id"] for file in files}, f"the parts are {parts}")
    for file in files:
        path = folder / file["@id"]
        check(path.stat().st_size == int(file["contentSize"]), f"{path}: {path.stat().st_size} bytes, not {file['contentSize']}")
        check(sha256(path) == file["sha256"], f"{path}: its SHA-256 is {sha256(path)}, not {file['sha256']}")
    return {file["@id"] for file in files}


def main():
    data, scan, public, pack = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    seal = data / "seals" / scan
    comment = signature(seal, public)
    check(comment.startswith(f"scan:{scan} ") and comment.endswith("by:Ada Lovelace"), comment)
    for file in listed(seal / "ro-crate-metadata.json"):
        check(sha256(data / file["@id"]) == file["sha256"], f"{file['@id']} differs")
    with zipfile.ZipFile(pack) as archive:
        check(archive.testzip() is None, f"zipfile finds {archive.testzip()} damaged")
        with tempfile.TemporaryDirectory() as folder:
            archive.extractall(folder)
            folder = pathlib.Path(folder)
            signature(folder, public)
            signature(folder, folder / "seal.pub")
            files = crate(folder, scan)
    names = set(archive.namelist())
    check(names == files | {"ro-crate-metadata.json", "ro-crate-metadata.json.minisig", "seal.pub"}, f"the pack holds {names}")
    record = json.loads((data / "scans" / scan / "scan.json").read_text())
    check(files == {file["path"] for file in record["files"]} | {f"scans/{scan}/scan.json"}, f"the seal lists {files}")
    print(f"{len(files)} files of {scan}: rocrate, zipfile, minisign and py-minisign agree")


main()
