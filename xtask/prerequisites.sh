# What must be there before cargo can run; sourced by `up` and `test`.

say() { printf 'weft: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# Debian packages, by the command that shows that they are there.
missing_packages() {
    have gcc || printf ' build-essential'
    have nft || [ -x /usr/sbin/nft ] || printf ' nftables'
    have ip || [ -x /usr/sbin/ip ] || [ -x /sbin/ip ] || printf ' iproute2'
    have npm || printf ' nodejs npm'
    if [ "$1" = test ]; then
        have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null || printf ' python3-venv'
        have nats-server || printf ' nats-server'
        have nginx || [ -x /usr/sbin/nginx ] || printf ' nginx-light'
        [ -x /usr/sbin/sshd ] || printf ' openssh-server'
        [ -x /usr/sbin/slapd ] || printf ' slapd'
        have ldapsearch || printf ' ldap-utils'
        [ -x /usr/sbin/samba ] && have samba-tool || printf ' samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules'
        have ssh-keygen || printf ' openssh-client'
        have chromium || have chromium-browser || have google-chrome || printf ' chromium'
    fi
}

install_packages() {
    packages=$(missing_packages "$1")
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" = 0 ] && have apt-get; then
        say "installing Debian packages:$packages"
        # shellcheck disable=SC2086 # a list
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >/dev/null ||
            say "not all could be installed; what needs them will say so"
    else
        say "these Debian packages are missing, what needs them will be left out:$packages"
        have gcc || { say "a C compiler is needed: install build-essential"; exit 2; }
    fi
}

rust() {
    [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    cargo --version >/dev/null 2>&1 && return 0
    version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if have rustup; then
        say "installing Rust $version with rustup"
        rustup toolchain install "$version" --profile minimal -c clippy -c rustfmt >&2
        export RUSTUP_TOOLCHAIN="$version"
    elif have curl; then
        say "installing Rust $version with rustup into $HOME/.cargo"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain "$version" -c clippy -c rustfmt >&2
        . "$HOME/.cargo/env"
    else
        say "Rust $version is needed: https://rustup.rs"
        exit 2
    fi
}

prerequisites() {
    install_packages "$1"
    rust
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/weft/target}"
    export npm_config_cache="${npm_config_cache:-$HOME/.cache/weft/npm}"
    export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$HOME/.cache/weft/pip}"
    PATH="$PATH:/usr/sbin:/sbin"
    # A terminal asks for no answer here, and a log wants no colours.
    if [ "${CI:-}" = true ]; then
        export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never npm_config_progress=false NO_COLOR=1
    fi
}
