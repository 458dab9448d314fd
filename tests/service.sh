#!/bin/sh
# Runs the service, installed by `make install`, under a systemd of its own, and tries what only systemd can show: that it becomes
# ready within its sandbox, that the socket starts it, that members of the group may scan and others not, which devices it may open,
# that the watchdog ends it when it stands still, that a scan survives being killed, and that it stops in order; that the page's socket
# starts the console, which shows the scan to who has a link, may not write it, and stays when the daemon is killed.
#
# Needs root and systemd 252. The system itself stays as it is: everything happens on an overlay over it, in namespaces of their own.
set -eu

if [ "${1-}" != boot ] && [ "${1-}" != within ]; then
    [ "$(id -u)" = 0 ] || { echo "tests/service.sh needs root" >&2; exit 1; }
    cd "$(dirname "$0")/.."
    console=$(mktemp)
    unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child tests/service.sh boot </dev/null >"$console" 2>&1 &
    box=$!
    trap 'kill -9 $init $box 2>/dev/null; rm -f "$console"' EXIT
    init=0 patience=60
    until [ "$init" != 0 ] && nsenter --target "$init" --all systemctl is-system-running 2>/dev/null | grep -q running; do
        patience=$((patience - 1))
        [ $patience -gt 0 ] && kill -0 $box || { cat "$console"; echo "systemd did not start" >&2; exit 1; }
        sleep 1
        child=$(ps --ppid $box --format pid= | tr -d ' ')
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ] && init=$child
    done
    nsenter --target "$init" --all sh -s within <tests/service.sh
    exit
fi

if [ "$1" = boot ]; then
    mount --make-rprivate /
    mount -t tmpfs -o size=6g,mode=755 tmpfs /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    root=/mnt/root
    mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay $root
    mount -t proc proc $root/proc
    mount --bind $root/proc/sys $root/proc/sys
    mount -o remount,bind,ro $root/proc/sys
    mount -t sysfs -o ro sysfs $root/sys
    mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
    for folder in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs $root/$folder; done
    for node in null zero full random urandom; do touch $root/dev/$node; mount --bind /dev/$node $root/dev/$node; done
    mkdir -m 1777 $root/dev/shm
    mkdir $root/dev/pts $root/dev/mqueue $root/dev/hugepages
    mount -t devpts -o newinstance,ptmxmode=0666 devpts $root/dev/pts
    ln -s pts/ptmx $root/dev/ptmx
    ln -s /proc/self/fd $root/dev/fd
    ip link set lo up || true
    make --silent install DESTDIR=$root
    : >$root/etc/machine-id
    cd $root
    mkdir -p .before
    pivot_root . .before
    umount --lazy /.before
    exec env -i container=hyclus PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-sys_boot \
        /lib/systemd/systemd --unit=basic.target --show-status=no --log-target=console
fi

export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
data=/var/lib/hyclus trays=/usr/local/share/hyclus/config/trays
page=http://127.0.0.1:8080
fail() { echo "service: $*" >&2; for unit in hyclusd hyclus-console; do journalctl --unit $unit --no-pager --lines 20 >&2; done; exit 1; }
is() { [ "$(systemctl show hyclusd --property "$1" --value)" = "$2" ]; }
as() { user=$1; shift; setpriv --reuid "$user" --regid "$user" --init-groups "$@"; }
await() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; fail "waited in vain: $*"; }
scanning() { hyclus --json status | grep -q '"state":"scanning"'; }
anew() { await is ActiveState active; ! is MainPID "$pid"; }
begin() { as member hyclus scan --tray $trays/demo.toml; await scanning; sleep 3; pid=$(systemctl show hyclusd --property MainPID --value); }

systemd-sysusers 2>/dev/null
systemd-tmpfiles --create hyclus.conf
useradd --no-create-home --groups hyclus member
useradd --no-create-home stranger
cp -R /usr/local/share/hyclus/config/. /etc/hyclus
sed -e "s,^data_dir = .*,data_dir = \"$data\"," -e '/^socket = /d' -e '/^state_dir = /d' /etc/hyclus/simulated.toml >/etc/hyclus/rig.toml
systemctl daemon-reload
systemctl start hyclusd.socket
as stranger hyclus status 2>/dev/null && fail "a stranger connects"
as member hyclus status | head -n 1 || fail "the socket does not start it"
is StatusText ready || fail "it is not ready"
systemd-analyze security --no-pager hyclusd | tail -n 1
as member hyclus scan --tray $trays/demo.toml --wait | grep "complete, 12 samples" || fail "no scan"
journalctl --unit hyclusd --output json | grep -q '"F_SCAN"' || fail "no fields in the journal"

systemctl start hyclus-console.socket
python3 - $page "$(hyclus-console --config /etc/hyclus/rig.toml link --role observe --for 1h --name guest)" <<'PYTHON' || fail "the page does not show the scan"
import json, sys, urllib.request
page, link = sys.argv[1:]
cookie = ""
def ask(path, body=None):
    global cookie
    headers = {"content-type": "application/json", "origin": page, "sec-fetch-site": "same-origin", "cookie": cookie}
    answer = urllib.request.urlopen(urllib.request.Request(page + path, body and json.dumps(body).encode(), headers), timeout=30)
    # It is marked as secure, and a jar would not send it here.
    cookie = answer.headers.get("set-cookie", cookie).split(";")[0]
    return answer.read()
assert b"<title>" in ask("/"), "no page"
ask("/api/link", {"code": link.rsplit("/", 1)[1]})
[scan] = json.loads(ask("/api/scans"))["scans"]
assert scan["complete"] and ask(f"/api/scans/{scan['id']}/picture.png")[:4] == b"\x89PNG", scan
PYTHON
page_pid=$(systemctl show hyclus-console --property MainPID --value)
[ "$page_pid" != 0 ] || fail "the page's socket does not start the console"
nsenter --target "$page_pid" --mount -- setpriv --reuid hyclus-console --regid hyclus-console --init-groups touch $data/scans/x 2>/dev/null && fail "the console may write the scans"
systemd-analyze security --no-pager hyclus-console | tail -n 1

mknod -m 666 /dev/ttyS7 c 4 71
mknod -m 666 /dev/memory c 1 1
sh -c 'echo $$ >/sys/fs/cgroup/system.slice/hyclusd.service/cgroup.procs
    { : </dev/ttyS7; } 2>&1 | grep -q "not permitted" && exit 1
    { : </dev/memory; } 2>&1 | grep -q "not permitted"' || fail "a serial line is kept from it, or memory is not"

begin
kill -KILL "$pid"
await anew
[ "$(systemctl show hyclus-console --property MainPID --value)" = "$page_pid" ] || fail "the console ended with the daemon"
begin
kill -STOP "$pid"
await anew
begin
systemctl stop hyclusd.service hyclusd.socket
is Result success || fail "it does not stop in order"
systemctl start hyclusd.socket
as member hyclus scans
[ "$(as member hyclus scans | grep -c incomplete)" = 3 ] || fail "a scan was not closed"
hyclus verify --data $data $(ls $data/scans)
echo "the service does what it should"
