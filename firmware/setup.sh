#!/usr/bin/env bash
# Gets what building and running the boards takes and this machine lacks. Nothing is installed in
# the system but targets by rustup; all else is kept under target/tools.
#
#   setup.sh targets [TRIPLE...]   Rust's core library for bare-metal targets, or WebAssembly
#   setup.sh qemu [CORE]           qemu-system-arm, or of CORE: aarch64, riscv32
#   setup.sh gcc                   arm-none-eabi-gcc, for the examples in C
#   setup.sh alsa                  libasound.so.2, whose folder it prints
#   setup.sh chromium              a headless Chromium, whose path it prints
#   setup.sh cargo TRIPLE ARG...   targets TRIPLE, then `cargo ARG...` in the caller's folder
set -euo pipefail
caller=$PWD
cd "$(dirname "$(readlink -f "$0")")/.."
tools=$PWD/target/tools
mkdir -p "$tools"

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# One at a time: tests run side by side.
if command -v flock >/dev/null; then
  exec 9>"$tools/lock"
  flock 9
fi

# apt-$1 with its lists and downloads in folder $2, for any user; nothing gets installed.
private_apt() {
  local command=apt-$1 state
  mkdir -p "$2/lists/partial" "$2/archives/partial"
  state=$(cd "$2" && pwd)
  shift 2
  "$command" -qq -o Dir::State::Lists="$state/lists" -o Dir::Cache::archives="$state/archives" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=true \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@"
}

# The library's source of rustc's own version $1, as Debian packages it, into folder $2.
rust_source() {
  local version=$1 source=$2 keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite package=''
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -e "$keys" ] ||
    fail "rust-src $version comes from Debian's packages, and this is no Debian: run \`rustup target add\`"
  mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -v '^#' |
    grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ' || true)
  [ -n "$mirror" ] ||
    fail "apt's sources name no Debian mirror to get rust-src $version from: run \`rustup target add\`"
  rm -rf "$source.part"
  mkdir -p "$source.part"
  cd "$source.part"
  local sources=(-o Dir::Etc::sourcelist="$source.part/sources.list" -o Dir::Etc::sourceparts=-)
  for suite in trixie-backports testing unstable; do
    echo "deb [signed-by=$keys] $mirror $suite main" >sources.list
    # A suite that is gone is no reason not to look into the next.
    private_apt get . "${sources[@]}" update >&2 || true
    package=$(private_apt cache . "${sources[@]}" madison rust-src |
      awk -v version="$version" 'index($3, version "+") == 1 && !found { found = 1; print $3 }')
    [ -z "$package" ] || break
  done
  [ -n "$package" ] ||
    fail "Debian has no rust-src $version: run \`rustup target add\` where rustup reaches its server"
  private_apt get . "${sources[@]}" download "rust-src=$package" >&2
  dpkg-deb -x rust-src_*.deb unpacked
  mv "unpacked/usr/src/rustc-$version/library" "$source"
  cd "$tools"
  rm -rf "$source.part"
}

# Rust's core library for $1 from folder $2, of rustc's version $3, into sysroot $4.
build_target() {
  local target=$1 source=$2 version=$3 library=$4/lib/rustlib/$1 work=$tools/build
  rm -rf "$work"
  mkdir -p "$work/empty/src"
  echo '#![no_std]' >"$work/empty/src/lib.rs"
  printf '[package]\nname = "empty"\nedition = "2021"\n[profile.release]\ncodegen-units = 1\n[workspace]\n' \
    >"$work/empty/Cargo.toml"
  # As in rustup's own builds: bitcode, so that boards link with LTO, and no path of this machine.
  (cd "$work/empty" && unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET &&
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$source CARGO_TARGET_DIR=$work/build \
      RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$source=/rustc/$version/library" \
      cargo build -q --release -Zbuild-std=core,alloc,compiler_builtins --target "$target" >&2)
  rm -f "$work/build/$target/release/deps/"libempty*
  # Renamed when whole: the folder says that the target is there.
  rm -rf "$library" "$library.part"
  mkdir -p "$library.part/lib"
  cp "$work/build/$target/release/deps/"lib*.rlib "$library.part/lib"
  mv "$library.part" "$library"
  rm -rf "$work"
}

targets() {
  local version own sysroot source target
  version=$(rustc --version | cut -d ' ' -f 2)
  own=$(rustc --print sysroot)/lib/rustlib
  sysroot=$tools/sysroot-$version
  source=$tools/rust-src-$version
  for target in "$@"; do
    [ ! -d "$own/$target/lib" ] && [ ! -d "$sysroot/lib/rustlib/$target" ] || continue
    if command -v rustup >/dev/null; then
      say "getting $target with rustup"
      ! rustup target add "$target" >"$tools/rustup.log" 2>&1 || continue
      say "rustup failed: $(tail -n 1 "$tools/rustup.log")"
    fi
    say "building $target from Debian's rust-src $version"
    [ -d "$source" ] || rust_source "$version" "$source"
    build_target "$target" "$source" "$version" "$sysroot"
    say "$target is in $sysroot"
  done
}

# Runs cargo $2... in the caller's folder, with the library of target $1 that was built here, if it
# was. Flags from outside would replace those of a board; these join them.
run_cargo() {
  local target=$1 root=$PWD sysroot flags crates
  shift
  targets "$target" >&2
  sysroot=$tools/sysroot-$(rustc --version | cut -d ' ' -f 2)
  cd "$caller"
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
  unset "CARGO_TARGET_$(tr 'a-z.-' 'A-Z__' <<<"$target")_RUSTFLAGS"
  # Panic messages name source files: without the folders of this machine, the same firmware everywhere.
  flags="\"--remap-path-prefix=$root/=\""
  # The versions that were tested; a board that is new here gets its own at its first build, a product outside whenever it
  # wants to.
  local locked=--locked
  if [ -e Cargo.lock ]; then
    [[ $caller/ == "$root"/* ]] || locked=
  else
    grep -q "^name = \"$(basename "$caller")\"" ../Cargo.lock || locked= # of the boards' workspace
  fi
  cargo fetch -q $locked >&2 || true
  for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=", \"--remap-path-prefix=$crates=\""
  done
  if [ -d "$sysroot/lib/rustlib/$target" ]; then
    flags+=", \"--sysroot\", \"$sysroot\"" # rustc takes one
  fi
  exec 9>&-
  exec cargo --config "target.$target.rustflags=[$flags]" $locked "$@"
}

# Unpacks a Debian package and the libraries that it needs into $tools/$2: the first of $1 that there is, since a package
# has other names in other releases.
unpack() {
  local name package part=$tools/$2.part
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "$1 comes from Debian's packages, and this is no Debian: install what it has with the package manager"
  say "getting $1 and its libraries with apt-get, unpacked in $tools/$2"
  rm -rf "$tools/$2" "$part"
  mkdir -p "$part"
  # One of several sources may be out of reach.
  private_apt get "$part/apt" update >&2 || true
  for name in $1; do
    package=$name
    ! private_apt cache "$part/apt" show "$name" >/dev/null 2>&1 || break
  done
  private_apt get "$part/apt" install --download-only --no-install-recommends --yes "$package" >&2 ||
    fail "apt-get cannot get $package: install it with the package manager"
  for package in "$part"/apt/archives/*.deb; do
    [ -e "$package" ] || fail "Debian's $1 is installed, but what it has is not on the path"
    dpkg-deb -x "$package" "$part/root"
  done
  mv "$part/root" "$tools/$2"
  rm -rf "$part"
}

# Program $1 of Debian's package $2, one of several names, with options $4... of its own before the caller's; $3 is the folder for it.
program() {
  local libraries binary name=$1 folder=$3
  ! command -v "$name" >/dev/null || return 0
  [ ! -x "$tools/bin/$name" ] || return 0
  [ -x "$tools/$folder/usr/bin/$name" ] || unpack "$2" "$folder"
  shift 3
  mkdir -p "$tools/bin"
  # Where a package has both, the one in usr/bin is a script that looks for the other where it would be installed.
  binary=$(cd "$tools" && find "$folder/usr/lib" -maxdepth 2 -name "$name" -type f | head -n 1)
  [ -n "$binary" ] || binary=$folder/usr/bin/$name
  libraries=$(cd "$tools" && find "$folder" -name 'lib*.so*' -printf '$tools/%h\n' | sort -u | paste -sd :)
  cat >"$tools/bin/$name.part" <<-END
	#!/bin/sh
	# $name as firmware/setup.sh unpacked it.
	tools=\$(dirname "\$0")/..
	export LD_LIBRARY_PATH="$libraries"
	exec "\$tools/$binary" $* "\$@"
	END
  chmod +x "$tools/bin/$name.part"
  "$tools/bin/$name.part" --version >/dev/null ||
    fail "the $name that apt-get got does not start: install it with the package manager"
  mv "$tools/bin/$name.part" "$tools/bin/$name"
  say "$name is in $tools/bin"
}

# The folder of ALSA's library, on standard output.
alsa() {
  local cache library
  cache=$(PATH=$PATH:/sbin:/usr/sbin command -v ldconfig || true)
  library=$([ -z "$cache" ] || "$cache" -p | awk '$1 == "libasound.so.2" { print $NF }' | head -n 1)
  if [ -z "$library" ] && [ ! -e "$tools/alsa" ]; then
    unpack "libasound2t64 libasound2" alsa >&2
  fi
  [ -n "$library" ] || library=$(find "$tools/alsa" -name libasound.so.2 | head -n 1)
  dirname "$library"
}

# The path of a Chromium, on standard output.
browser() {
  local name
  for name in chromium-headless-shell chromium google-chrome-stable; do
    ! command -v "$name" || return 0
  done
  program chromium-headless-shell chromium-headless-shell chromium >&2
  echo "$tools/bin/chromium-headless-shell"
}

case ${1:-} in
  targets)
    shift
    [ $# -gt 0 ] || set -- thumbv7em-none-eabihf thumbv8m.main-none-eabihf riscv32imac-unknown-none-elf
    targets "$@"
    ;;
  qemu)
    case ${2:-arm} in
      riscv32) packages="qemu-system-riscv qemu-system-misc" folder=qemu-riscv ;;
      *) packages=qemu-system-arm folder=qemu ;;
    esac
    program "qemu-system-${2:-arm}" "$packages" "$folder" -L "\"\$tools/$folder/usr/share/qemu\""
    ;;
  gcc) program arm-none-eabi-gcc gcc-arm-none-eabi gcc ;;
  alsa) alsa ;;
  chromium) browser ;;
  cargo)
    [ $# -gt 2 ] || fail "usage: setup.sh cargo TRIPLE ARG..."
    shift
    run_cargo "$@"
    ;;
  *) fail "usage: setup.sh targets [TRIPLE...] | setup.sh qemu [CORE] | setup.sh gcc | setup.sh alsa | setup.sh chromium | setup.sh cargo TRIPLE ARG..." ;;
esac
