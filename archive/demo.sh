#!/usr/bin/env bash
# Three simulated rigs and one archive on this machine: each rig scans a tray and ships it, then a question over all of them.
#
# HYCLUS_BIN is the folder of the binaries, HYCLUS_WEED the S3 server. As root, rigs and archive have network namespaces of their own, so that
# they are three machines and a fourth; else they are processes. Everything is below HYCLUS_ARCHIVE_DATA (data/archive), made anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$(cd "${HYCLUS_BIN:-target/debug}" && pwd)
python=${HYCLUS_PYTHON:-python3}
weed=${HYCLUS_WEED:-weed}
folder=${HYCLUS_ARCHIVE_DATA:-data/archive}
rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
export PYTHONPATH=$PWD/archive${PYTHONPATH:+:$PYTHONPATH}
rigs=(north south west)
tag=hy$$
processes=()
namespaces=()

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

end() {
    kill "${processes[@]}" 2>/dev/null || true
    wait "${processes[@]}" 2>/dev/null || true
    for name in "${namespaces[@]}"; do ip netns del "$name" 2>/dev/null || true; done
}
trap end EXIT

free_ports() { "$python" - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(2 * int(sys.argv[1]) + 20)]
ports = []
for one in held:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
    # The server opens each port + 10000 as well.
    with socket.socket() as above:
        try:
            above.bind(("127.0.0.1", port + 10000))
        except (OSError, OverflowError):
            continue
    ports.append(port)
print(*ports[:int(sys.argv[1])])
PYTHON
}

# Namespaces need root and a kernel that allows them.
if [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null && ip netns add "$tag-archive" 2>/dev/null; then
    namespaces+=("$tag-archive")
    ip -n "$tag-archive" link set lo up
    ip -n "$tag-archive" link add bridge type bridge
    ip -n "$tag-archive" address add 10.28.0.1/24 dev bridge
    ip -n "$tag-archive" link set bridge up
    address=10.28.0.1
    for i in "${!rigs[@]}"; do
        name=$tag-${rigs[i]}
        ip netns add "$name"
        namespaces+=("$name")
        ip -n "$name" link set lo up
        ip -n "$name" link add uplink type veth peer name "rig$i" netns "$tag-archive"
        ip -n "$name" address add "10.28.0.$((i + 2))/24" dev uplink
        ip -n "$name" link set uplink up
        ip -n "$tag-archive" link set "rig$i" master bridge up
    done
    at() { local where=$1; shift; ip netns exec "$tag-$where" "$@"; }
    say "Three rigs and an archive, each in a network of its own"
else
    address=127.0.0.1
    at() { shift; "$@"; }
    say "Three rigs and an archive, as processes of this machine"
fi

say "An S3 server, with credentials for each rig that reach its own objects alone"
"$python" - "$folder" "${rigs[@]}" <<'PYTHON'
import json, os, secrets, sys
folder, rigs = sys.argv[1], sys.argv[2:]
def identity(name, actions):
    key, secret = name, secrets.token_urlsafe(24)
    path = f"{folder}/{name}.credentials"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\n")
    return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
of_rig = lambda rig: [f"{action}:ores/lab/objects/rig={rig}/*" for action in ("Read", "Write")] + ["List:ores"]
all_ = [identity("archiver", ["Admin", "Read", "Write", "List"])] + [identity(rig, of_rig(rig)) for rig in rigs]
json.dump({"identities": all_}, open(os.open(f"{folder}/s3.json", os.O_WRONLY | os.O_CREAT, 0o600), "w"))
PYTHON
read -r master volume filer s3 < <(free_ports 4)
mkdir "$folder/disk"
at archive "$weed" -logtostderr=true server -dir="$folder/disk" -ip="$address" -ip.bind="$address" -filer -s3 -s3.config="$folder/s3.json" \
    -master.port="$master" -volume.port="$volume" -filer.port="$filer" -s3.port="$s3" -volume.max=50 -master.volumeSizeLimitMB=1024 \
    -master.telemetry=false -s3.port.iceberg=0 -s3.port.lance=0 2>"$folder/s3.log" &
processes+=($!)
place=s3://ores/lab
endpoint=http://$address:$s3
archive() { at archive "$python" -m hyclus_archive "$1" "$place" --endpoint "$endpoint" --credentials "$folder/archiver.credentials" "${@:2}"; }
until at archive curl -sf -X POST "http://$address:$filer/buckets/ores/" >/dev/null 2>&1; do
    kill -0 "${processes[0]}" || { tail -n 20 "$folder/s3.log" >&2; exit 1; }
    sleep 0.2
done
echo "  $endpoint, bucket ores (log: $folder/s3.log)"

say "Each rig scans a tray, and ships it when the belt stands"
"$python" - "$folder" "$endpoint" "${rigs[@]}" <<'PYTHON'
import os, re, sys
folder, endpoint, rigs = sys.argv[1], sys.argv[2], sys.argv[3:]
text = open("config/simulated.toml").read()
# The belt waits for slow readers, so that three rigs have room on one machine.
text = text.replace("[simulation]\n", '[simulation]\npace = "as_read"\n', 1)
for section in ("console", "minerals"):
    text = re.sub(rf"(?ms)^\[{section}\]\n.*?(?=^\[)", "", text + "\n[end]\n").replace("\n[end]\n", "\n")
here = os.path.abspath("config")
for seed, rig in enumerate(rigs, 1):
    own = text.replace('name = "simulated"', f'name = "{rig}"', 1).replace("seed = 1\n", f"seed = {seed}\n", 1)
    own = own.replace('"../data"', f'"{folder}/{rig}/data"').replace('"../data/control.sock"', f'"{folder}/{rig}/control.sock"')
    own = own.replace('listen = "127.0.0.1:9420"', 'listen = "127.0.0.1:0"').replace('"encoders/', f'"{here}/encoders/').replace('"minerals/', f'"{here}/minerals/')
    own += f"""
[ship]
archive = "s3://ores/lab"
endpoint = "{endpoint}"
allow_http = true
credentials = "{folder}/{rig}.credentials"
state_dir = "{folder}/{rig}/ship"
poll_s = 0.5
"""
    os.makedirs(f"{folder}/{rig}")
    open(f"{folder}/{rig}/rig.toml", "w").write(own)
PYTHON
for rig in "${rigs[@]}"; do
    at "$rig" "$bin/hyclusd" --config "$folder/$rig/rig.toml" 2>"$folder/$rig/hyclusd.log" &
    daemon=$!
    processes+=("$daemon")
    socket=$folder/$rig/control.sock
    until [ -S "$socket" ] && "$bin/hyclus" --socket "$socket" --json status >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || { cat "$folder/$rig/hyclusd.log" >&2; exit 1; }
        sleep 0.1
    done
    at "$rig" "$bin/hyclus-ship" --config "$folder/$rig/rig.toml" run 2>"$folder/$rig/ship.log" &
    processes+=($!)
    scan=$("$bin/hyclus" --socket "$socket" scan --tray config/trays/demo.toml)
    "$python" tests/python/wait_for_scan.py "$socket" "$scan"
    echo "  $rig: $scan"
done
for rig in "${rigs[@]}"; do
    until [ "$("$bin/hyclus-ship" --config "$folder/$rig/rig.toml" --json status | "$python" -c 'import json, sys; print(json.load(sys.stdin)["shipped"])')" = 1 ]; do
        sleep 0.5
    done
    printf '\n%s\n' "$rig"
    "$bin/hyclus-ship" --config "$folder/$rig/rig.toml" status | sed 's/^/  /'
    "$bin/hyclus" --socket "$folder/$rig/control.sock" scans | sed 's/^/  /'
done

say "The archiver makes tables of what arrived"
archive serve --once
archive scans

say "A new encoder over everything that was scanned"
archive reencode --encoder config/encoders/simulated-pca4.onnx --name again --hyclus "$bin/hyclus"

say "One question over all rigs: how alike are samples of one plant?"
archive query "SELECT rig, encoder, keys['plant'] AS plant, count(*) AS pixels, round(avg(embedding[1]), 3) AS first, round(stddev(embedding[1]), 3) AS spread
    FROM embeddings GROUP BY ALL ORDER BY plant, encoder, rig"

say "Where everything lies"
printf '  %s\n' "$folder/RIG/rig.toml, $folder/RIG/data/" "$endpoint (it ends with this program; its disk is $folder/disk)"
