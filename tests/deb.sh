#!/bin/sh
# Tries the packages of `make deb` as a laboratory would, in a bare Debian 12 with systemd: install, change one file, start, scan as a member
# of the group, read the results with the Python client, upgrade, remove, purge. While the rig scans, an upgrade and a removal are refused.
# Then nothing may be left but data. lintian looks at the packages first.
#
# Needs root, and a network for Debian's packages. The system itself stays as it is: everything happens in a root of its own, in namespaces.
set -eu

if [ "${1-}" != boot ] && [ "${1-}" != within ]; then
    fail() { echo "deb: $*" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || fail "tests/deb.sh needs root"
    cd "$(dirname "$0")/.."
    packages=$(realpath "${TARGET:-target}/deb")
    python=${PYTHON:-python3}
    export PIP_ROOT_USER_ACTION=ignore
    work=$(mktemp -d)
    trap 'rm -rf --one-file-system "$work"' EXIT
    root=$work/root

    lintian --allow-root --fail-on error,warning "$packages"/*.changes || fail "lintian refuses the packages"

    mmdebstrap --quiet --variant=minbase --include=systemd-sysv,python3 bookworm "$root"
    mkdir "$root/packages"
    cp "$packages"/*.deb "$root/packages"
    # A next version of the same, for an upgrade.
    dpkg-deb --raw-extract "$packages"/hyclus_*.deb "$work/next"
    sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
    echo "# A line of the next version." >>"$work/next/etc/hyclus/rig.toml"
    dpkg-deb --root-owner-group -Znone --build "$work/next" "$root/packages/next.deb" >/dev/null
    rm -r "$work/next"

    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" ./python
    client="numpy pandas xarray h5netcdf h5py pyarrow packaging python-dateutil pytz tzdata six"
    for package in $client; do grep "^$package==" tests/requirements.txt || true; done >"$work/pins"
    "$python" -m pip install --quiet --no-deps --only-binary=:all: --python-version 3.11 --target "$root/client" \
        --requirement "$work/pins" "$work"/wheel/hyclus-*.whl

    # With the network as it is here. The rest has none.
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" apt-get update -qq
    chroot "$root" sh -c "apt-get install -qq -y --no-install-recommends --download-only /packages/hyclus*.deb >/dev/null"

    console=$work/console
    unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child tests/deb.sh boot "$root" </dev/null >"$console" 2>&1 &
    box=$!
    init=0 patience=60
    trap 'kill -9 $init $box 2>/dev/null; wait; rm -rf --one-file-system "$work"' EXIT
    until [ "$init" != 0 ] && nsenter --target "$init" --all systemctl is-system-running 2>/dev/null | grep -q running; do
        patience=$((patience - 1))
        [ $patience -gt 0 ] && kill -0 $box || { cat "$console"; fail "systemd did not start"; }
        sleep 1
        child=$(ps --ppid $box --format pid= | tr -d ' ')
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ] && init=$child
    done
    nsenter --target "$init" --all sh -s within <tests/deb.sh

    # The root file system for containers: no systemd, and the daemon as the first process.
    image=$(ls "$packages"/hyclus_*.rootfs.tar 2>/dev/null) || { echo "deb: make image was not run; no root file system to try"; exit; }
    mkdir "$work/image"
    tar -C "$work/image" -xf "$image"
    unshare --mount --pid --fork --net --kill-child sh -eu -s "$work/image" <<'WITHIN' || fail "the root file system does not run"
        for folder in proc dev; do mount --rbind "/$folder" "$1/$folder"; done
        ip link set lo up
        cat >"$1/try" <<'TRY'
hyclusd --config /etc/hyclus/rig.toml 2>/tmp/log &
for _ in $(seq 300); do hyclus status 2>/dev/null && break; sleep 0.1; done
hyclus scan --tray /usr/share/hyclus/config/trays/demo.toml --wait | grep "complete, 12 samples"
TRY
        chroot --userspec=hyclus:hyclus "$1" sh -eu /try || { cat "$1/tmp/log"; exit 1; }
WITHIN
    echo "the root file system for containers scans"
    exit
fi

if [ "$1" = boot ]; then
    root=$2
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    for folder in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$root/$folder"; done
    for node in null zero full random urandom; do touch "$root/dev/$node"; mount --bind /dev/$node "$root/dev/$node"; done
    mkdir -m 1777 "$root/dev/shm"
    mkdir "$root/dev/pts" "$root/dev/mqueue" "$root/dev/hugepages"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    chmod 1777 "$root/tmp"
    # The bare root has no `ip`. Without a loopback the read-only listener has no address.
    ip link set lo up
    : >"$root/etc/machine-id"
    cd "$root"
    mkdir -p .before
    pivot_root . .before
    umount --lazy /.before
    exec env -i container=hyclus PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-sys_boot \
        /lib/systemd/systemd --unit=basic.target --show-status=no --log-target=console
fi

export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
tray=/usr/share/hyclus/config/trays/demo.toml
fail() { echo "deb: $*" >&2; journalctl --unit hyclusd --unit hyclus-console --unit hyclus-ship --no-pager --lines 30 >&2; exit 1; }
as() { user=$1; shift; setpriv --reuid "$user" --regid "$user" --init-groups env "HOME=/home/$user" "$@"; }
await() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; fail "waited in vain: $*"; }
scanning() { hyclus --json status | grep -q '"state":"scanning"'; }
idle() { hyclus --json status | grep -q '"state":"idle"'; }
embedded() { as member hyclus tail --data /var/lib/hyclus 2>/dev/null | grep -q M100; }
apt() { apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; }
# All there is in this root, but for what changes without hyclus.
everything() { find / -xdev \( -path /var/cache -o -path /var/log -o -path /packages -o -path /var/lib/apt \) -prune -o -print | sort; }

await systemctl --quiet is-active basic.target
# What hyclus depends on is not looked at: a removal leaves that to `apt-get autoremove`.
apt install --no-download $(apt-get install --simulate --no-install-recommends /packages/hyclus*.deb | sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -v '^hyclus') >/dev/null
useradd --create-home member
useradd --create-home stranger
everything >/tmp/before

began=$(date +%s)
apt install /packages/hyclus_*.deb >/dev/null || fail "it cannot be installed"
systemctl is-enabled hyclusd.service hyclusd.socket | grep -q '^enabled' && fail "the installation starts services"
sed -i 's/^name = "simulated"/name = "bench"/' /etc/hyclus/rig.toml
usermod --append --groups hyclus member
setpriv --reuid hyclus --regid hyclus --init-groups hyclus check /etc/hyclus/rig.toml --tray $tray >/dev/null || fail "the configuration has faults"
systemctl start hyclusd.socket hyclusd.service
as member hyclus scan --tray $tray
await embedded
echo "from the package to the first embedding: $(($(date +%s) - began)) s"
as stranger hyclus status 2>/dev/null && fail "a stranger connects"
for notice in "ONNX Runtime" hdf5-metno; do
    zcat /usr/share/doc/hyclus/notices.txt.gz | grep -q "^$notice" || fail "the licences of others lack $notice"
done

# A scan goes on, and is complete in the end.
refused() {
    await scanning
    "$@" >/tmp/said 2>&1 && fail "not refused while it scans: $*"
    grep "^hyclus: refused, because the rig is scanning" /tmp/said || { cat /tmp/said; fail "the reason is not said: $*"; }
    await idle
    as member hyclus scans | tail -n 1 | grep complete | grep -v incomplete || fail "it ended the scan: $*"
}
refused dpkg --install /packages/next.deb
as member hyclus scan --tray $tray
refused apt remove hyclus

as member env PYTHONPATH=/client python3 - <<'PYTHON' || fail "the Python client cannot read the results"
from hyclus import Rig
rig = Rig(data="/var/lib/hyclus")
assert rig.status().rig == "bench", rig.status()
[scan, _] = rig.scans()
with rig.samples(scan.id) as samples:
    assert len(samples) == 12, list(samples)
    sample = samples["P1-2018-07-M100"]
    mean = sample.reflectance.where(sample.mask == 1).mean(("line", "pixel")).values
    assert mean.shape == (511,) and ((mean > 0) & (mean < 1)).all(), mean
table = rig.embeddings(scan.id).to_table()
assert table.num_rows > 100_000, table.num_rows
print(f"the Python client reads {len(samples)} samples and {table.num_rows} embeddings")
PYTHON

apt install /packages/hyclus-console_*.deb /packages/hyclus-ship_*.deb >/dev/null || fail "console and shipper cannot be installed"
systemctl start hyclus-console.socket hyclus-console.service
hyclus-console --config /etc/hyclus/rig.toml link --role observe --for 1h --name guest | grep -q /link || fail "the console gives no link"
hyclus-ship check 2>&1 | grep -q ship || fail "the shipper does not say what it lacks"

pid=$(systemctl show hyclusd --property MainPID --value)
# With an answer to the question about the changed conffile, as dpkg would ask.
dpkg --install --force-confold --force-depends /packages/next.deb >/dev/null 2>&1 || fail "no upgrade of an idle rig"
grep -q '^name = "bench"' /etc/hyclus/rig.toml || fail "the upgrade replaced the configuration"
await idle
[ "$(systemctl show hyclusd --property MainPID --value)" != "$pid" ] || fail "the upgrade did not restart the daemon"
as member hyclus scans | grep -q " complete" || fail "the upgrade lost the scan"
dpkg --install --force-confold --force-downgrade /packages/hyclus_*.deb >/dev/null 2>&1 || fail "no way back"

find /var/lib/hyclus -type f | sort >/tmp/data
apt remove hyclus hyclus-console hyclus-ship >/dev/null || fail "it cannot be removed"
[ -e /etc/hyclus/rig.toml ] || fail "the removal took the configuration"
systemctl --quiet is-active hyclusd.service hyclusd.socket hyclus-console.service hyclus-console.socket && fail "something still runs"
apt purge hyclus hyclus-console hyclus-ship 2>&1 | grep "stay in /var/lib/hyclus" || fail "the purge does not say that data stay"
find /var/lib/hyclus -type f | sort | cmp - /tmp/data || fail "the purge took data"
everything | grep -v -e '^/var/lib/hyclus' >/tmp/after
comm -13 /tmp/before /tmp/after >/tmp/left
comm -23 /tmp/before /tmp/after >/tmp/gone
[ ! -s /tmp/left ] || { cat /tmp/left; fail "this is left behind"; }
[ ! -s /tmp/gone ] || { cat /tmp/gone; fail "this was taken away"; }
du -sh /var/lib/hyclus | sed 's/^/data that stay: /'
echo "the packages do what they should"
