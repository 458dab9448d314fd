#!/bin/sh
# Builds the Debian packages of what `make release` left, into target/deb, with an SBOM. `make deb` calls this.
# The version is that of Cargo.toml, and the time is that of the last commit: one commit gives one package.
# VERSION is put in its place, such as 0.2.0 for a release; without it, a build after another one is newer.
set -eu
cd "$(dirname "$0")/.."
source=$PWD
target=${TARGET:-$source/target}
fail() { printf 'deb: %s\n' "$*" >&2; exit 1; }

for program in dh dpkg-buildpackage; do
    command -v $program >/dev/null || fail "$program is missing. Run as root: apt-get install --no-install-recommends debhelper dpkg-dev"
done
for program in hyclus hyclusd hyclus-console hyclus-ship hyclus-manual; do
    [ -x "$target/release/$program" ] || fail "$target/release/$program is missing; run make release first"
done

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH HYCLUS_SOURCE="$source"
cargo=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
version=${VERSION:-$cargo+$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)}
tree=$target/deb/hyclus-$version

rm -rf "$target/deb"
mkdir -p "$tree/examples"
cp -R debian docs README.md CHANGELOG.md "$tree"
cp examples/*.py "$tree/examples"
"${PYTHON:-python3}" debian/notices.py --onnxruntime "$source/.cache/onnxruntime" >"$tree/notices.txt"
cat >"$tree/debian/changelog" <<CHANGELOG
hyclus ($version) unstable; urgency=medium

  * CHANGELOG.md tells what changed.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" -R)
CHANGELOG

# What cargo or make set for this tree is not meant for the one that is packed.
(cd "$tree" && env -u MAKEFLAGS -u MAKELEVEL -u PREFIX -u DESTDIR dpkg-buildpackage --build=binary --no-sign >"$target/deb/build.log" 2>&1) || {
    tail -n 20 "$target/deb/build.log" >&2
    fail "dpkg-buildpackage failed; all it said is in $target/deb/build.log"
}
"${PYTHON:-python3}" debian/sbom.py --version "$version" --onnxruntime "$source/.cache/onnxruntime/libonnxruntime.so" \
    >"$target/deb/hyclus_${version}_$(dpkg --print-architecture).cdx.json"
rm -rf "$tree"
ls -1 "$target"/deb/*.deb "$target"/deb/*.cdx.json
