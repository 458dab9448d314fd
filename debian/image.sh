#!/bin/sh
# Builds a root file system for containers from the package of `make deb`: Debian 12, the package, and what it depends on. `make image` calls this.
# No container engine is needed, and no root where users may have namespaces. One commit and one state of Debian give one file.
set -eu
cd "$(dirname "$0")/.."
packages=$(realpath "${TARGET:-$PWD/target}/deb")
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }

command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing. Run as root: apt-get install --no-install-recommends mmdebstrap"
package=$(ls "$packages"/hyclus_*.deb 2>/dev/null) || fail "$packages has no package of hyclus; run make deb first"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
image=${package%.deb}.rootfs.tar
# Without systemd, nobody makes the directories that its units ask for.
mmdebstrap --quiet --format=tar --variant=minbase --skip=cleanup/run \
    --customize-hook="copy-in '$package' /tmp" \
    --customize-hook='chroot "$1" sh -c "apt-get install -qq -y --no-install-recommends /tmp/hyclus_*.deb >/dev/null && rm /tmp/hyclus_*.deb"' \
    --customize-hook='chroot "$1" install -d -o hyclus -g hyclus /run/hyclus /var/lib/hyclus' \
    bookworm "$image.part"
mv "$image.part" "$image"
ls -1 "$image"
