#!/bin/sh
# Makes a release of the checked-out commit: checks, packages with an SBOM, wheels, notes and a tag. `make release VERSION=x.y.z` calls this.
#   debian/release.sh VERSION         all of it, into target/hyclus-VERSION; needs a network for the build tools of the wheels
#   debian/release.sh check VERSION   only whether versions and changelog are ready
set -eu
cd "$(dirname "$0")/.."
target=${TARGET:-$PWD/target}
fail() { printf 'release: %s\n' "$*" >&2; exit 1; }

only=
[ "${1-}" = check ] && { only=1; shift; }
version=${1-}
printf '%s\n' "$version" | grep -Eqx '(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}' || fail "'$version' is no version such as 0.2.0"

# All that is not ready is told at once.
faults=$(mktemp)
notes=$(mktemp)
trap 'rm -f "$faults" "$notes"' EXIT
wrong() { printf '  %s\n' "$*" >>"$faults"; }

[ -z "$(git status --porcelain)" ] || wrong "the tree has changes that no commit holds; git status lists them"
if git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null; then
    wrong "the tag v$version exists; a release is made once"
fi

# FILE WHAT FOUND: one place that says the version.
place() { [ "$3" = "$version" ] || wrong "$1 has $2 ${3:-none}"; }
lock() { sed -n "/^name = \"$2\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p}" "$1"; }
package() { sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$1"; }
place Cargo.toml "version" "$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
for crate in hyclus hyclus-console hyclus-ship; do
    place Cargo.lock "$crate" "$(lock Cargo.lock $crate)"
done
place fuzz/Cargo.lock hyclus "$(lock fuzz/Cargo.lock hyclus)"
for file in python/hyclus/__init__.py archive/hyclus_archive/__init__.py; do
    place "$file" __version__ "$(package "$file")"
done

# The changelog: nothing is left unreleased, and the first release in it is this one, with a date and entries.
section() { awk -v from="$1" 'index($0, "## [") == 1 { on = index($0, from) == 1; next } on' CHANGELOG.md; }
heading=$(grep '^## \[' CHANGELOG.md | grep -v '^## \[Unreleased\]' | head -n 1)
if section '## [Unreleased]' | grep -q '^[-*] '; then
    wrong "CHANGELOG.md has entries under [Unreleased]; put them under [$version]"
fi
day=${heading##* - }
if [ "${heading%% - *}" != "## [$version]" ]; then
    wrong "CHANGELOG.md begins with $heading, and not with ## [$version] - $(date --utc +%Y-%m-%d)"
elif ! printf '%s\n' "$day" | grep -Eqx '[0-9]{4}-[0-9]{2}-[0-9]{2}' || ! date --date="$day" >/dev/null 2>&1; then
    wrong "CHANGELOG.md has no date such as $(date --utc +%Y-%m-%d) after [$version]"
else
    section "## [$version]" >"$notes"
    grep -q '^[-*] ' "$notes" || wrong "CHANGELOG.md has no entries under [$version]"
fi
# A number that was left out, or is lower than one before it, is a slip.
before=$(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | grep -vFx "$version" | sort -V | tail -n 1)
if [ -n "$before" ] && [ "$(printf '%s\n%s\n' "$before" "$version" | sort -V | tail -n 1)" != "$version" ]; then
    wrong "$before in CHANGELOG.md is later than $version"
fi
if [ -s "$faults" ]; then
    printf 'release: %s cannot be made of this commit:\n' "$version" >&2
    cat "$faults" >&2
    exit 1
fi
[ -z "$only" ] || exit 0

# make has VERSION from its caller in MAKEFLAGS, and would hand it on.
unset MAKEFLAGS MAKEOVERRIDES MAKELEVEL
commit=$(git rev-parse HEAD)
make release-test
VERSION=$version make deb
out=$target/hyclus-$version
rm -rf "$out" "$out.part"
mkdir -p "$out.part"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# What an earlier build left there would be packed too.
rm -rf python/build
"${PYTHON:-python3}" -m pip wheel --quiet --no-deps --wheel-dir "$out.part" ./python ./archive
rm -rf python/build python/hyclus.egg-info
cp "$target"/deb/*.deb "$target"/deb/*.cdx.json "$out.part"
cp "$notes" "$out.part/NOTES.md"
for name in hyclus hyclusd hyclus-console hyclus-ship; do
    "$target/release/$name" --version | grep -Fq " $version" || fail "$target/release/$name is of another version"
done
for file in "hyclus_${version}_" "hyclus-console_${version}_" "hyclus-ship_${version}_" "hyclus-$version-" "hyclus_archive-$version-"; do
    [ -n "$(find "$out.part" -name "$file*")" ] || fail "$out.part lacks $file*"
done
(cd "$out.part" && sha256sum -- * >SHA256SUMS)
"$target/release/hyclus" schema | cmp - config/schema.json || fail "config/schema.json is stale; run cargo run -- schema > config/schema.json"
[ -z "$(git status --porcelain)" ] || fail "the build changed the tree; git status lists where"
[ "$(git rev-parse HEAD)" = "$commit" ] || fail "another commit was checked out meanwhile; start again"
mv "$out.part" "$out"
git tag --annotate --cleanup=whitespace --message "hyclus $version" --message "$(cat "$notes")" "v$version" "$commit"
ls -l "$out"
printf 'Released as the tag v%s. What it is made of lies in %s. Now: make deb-test, and git push origin v%s\n' "$version" "$out" "$version"
