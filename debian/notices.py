"""Prints the licence texts of what the packages hold of others: crates that are linked, and ONNX Runtime. A text that many have is printed once.

The same sources give the same text. What the page of the console is built from is in debian/copyright.
"""

import argparse
import pathlib

import sbom

# The first words of the names of files that hold a licence.
NAMES = ("license", "licence", "copying", "copyright", "notice", "unlicense")


def texts(folder):
    """The licence texts in a folder of a crate, or in its folder of licences."""
    folders = [folder, *(folder / name for name in ("LICENSES", "licenses") if (folder / name).is_dir())]
    files = [path for found in folders for path in found.iterdir() if path.is_file()]
    named = [path for path in files if path.parent != folder or path.name.lower().startswith(NAMES)]
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(named) if path.suffix != ".rs"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnxruntime", type=pathlib.Path, required=True, help="folder with its LICENSE and ThirdPartyNotices.txt")
    arguments = parser.parse_args()

    packages, needs = sbom.linked()
    others = [package for package in (packages[identity] for identity in needs) if package["source"]]
    holders, silent = {}, []
    for package in sorted(others, key=lambda package: (package["name"], package["version"])):
        name = f"{package['name']} {package['version']}"
        found = texts(pathlib.Path(package["manifest_path"]).parent)
        for text in found:
            holders.setdefault(text, []).append(name)
        if not found:
            authors = ", ".join(package["authors"]) or f"the authors of {package['repository'] or package['name']}"
            silent.append(f"{name}: {package['license']}, by {authors}")
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        text = (arguments.onnxruntime / name).read_text(encoding="utf-8", errors="replace").strip()
        holders.setdefault(text, []).append("ONNX Runtime")

    print("What the programs hold of others, and under which licences.")
    for text, names in holders.items():
        print(f"\n{'=' * 100}\n{', '.join(names)}\n{'=' * 100}\n\n{text}")
    print(f"\n{'=' * 100}\nWithout a text of their own\n{'=' * 100}\n")
    print("\n".join(silent))


main()
