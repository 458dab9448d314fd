"""Prints the SBOM of the packages, CycloneDX 1.5: crates that are linked, npm packages in the page of the console, ONNX Runtime.

Libraries of Debian are not in it: the packages depend on them. The same sources and SOURCE_DATE_EPOCH give the same text.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import uuid

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ["hyclus", "hyclus-console", "hyclus-ship"]


def linked():
    """The crates that the programs link on this kind of machine, neither for tests nor for build scripts: all packages, and needs by crate."""
    host = re.search("host: (.*)", subprocess.check_output(["rustc", "-vV"], text=True)).group(1)
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

    waiting = [identity for identity, package in packages.items() if package["name"] in PROGRAMS and package["source"] is None]
    if len(waiting) != len(PROGRAMS):
        raise SystemExit(f"sbom: of the crates {', '.join(PROGRAMS)}, the workspace has {len(waiting)}; name the others in {__file__}")
    needs = {}
    while waiting:
        identity = waiting.pop()
        if identity in needs:
            continue
        needs[identity] = [d["pkg"] for d in nodes[identity]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"])]
        waiting += needs[identity]
    return packages, needs


def crates():
    """Components and dependencies of the crates that are linked."""
    packages, needs = linked()
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}

    def reference(identity):
        return f"pkg:cargo/{packages[identity]['name']}@{packages[identity]['version']}"

    components = []
    for identity in needs:
        package = packages[identity]
        component = {"type": "library", "bom-ref": reference(identity), "name": package["name"], "version": package["version"]}
        if package["license"]:
            # An old way to write OR.
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if package["source"]:
            component["purl"] = reference(identity)
            component["hashes"] = [{"alg": "SHA-256", "content": checksums[package["name"], package["version"]]}]
        components.append(component)
    return components, [{"ref": reference(i), "dependsOn": sorted({reference(n) for n in needs[i]})} for i in needs]


def page():
    """The npm packages that the page of the console is built from. The tools that build it are not in it."""
    locked = json.loads((ROOT / "console/web/package-lock.json").read_text())["packages"]
    components = []
    for place, package in locked.items():
        if not place or package.get("dev"):
            continue
        name = place.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        components.append({"type": "library", "bom-ref": purl, "name": name, "version": package["version"], "purl": purl})
        if "license" in package:
            components[-1]["licenses"] = [{"expression": package["license"]}]
    return components


def onnxruntime(library):
    version = re.search(r"readonly ORT_VERSION=(\S+)", (ROOT / "tests/setup.sh").read_text()).group(1)
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/onnxruntime@{version}",
        "name": "onnxruntime",
        "version": version,
        "description": "libonnxruntime.so of the wheel, in /usr/lib/hyclus",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(library.read_bytes()).hexdigest()}],
        "purl": f"pkg:pypi/onnxruntime@{version}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="version of the packages")
    parser.add_argument("--onnxruntime", type=pathlib.Path, required=True, help="the library as it is packed")
    arguments = parser.parse_args()

    components, dependencies = crates()
    components = sorted([*components, *page(), onnxruntime(arguments.onnxruntime)], key=lambda component: component["bom-ref"])
    product = {"type": "application", "bom-ref": "hyclus", "name": "hyclus", "version": arguments.version}
    product["licenses"] = [{"expression": "MIT OR Apache-2.0"}]
    when = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), datetime.timezone.utc)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": None,
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": product},
        "components": components,
        "dependencies": sorted(dependencies, key=lambda dependency: dependency["ref"]),
    }
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(bom)).urn
    print(json.dumps(bom, indent=1))


if __name__ == "__main__":
    main()
