#!/usr/bin/env bash
# Makes the C library for a core, with the kernels for it, and says its size:
#
#   build.sh CORE [IMAGE]
#
# CORE is host, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or cortex-m85, or a target of Rust's without kernels of its
# own, such as riscv32imac-unknown-none-elf. IMAGE is the model that it is for, models/shrunk.zerda without one.
# Into target/c/CORE come libzerda.a, zerda.h and zerda_image.h, which has the sizes of the image.
set -euo pipefail
caller=$PWD
cd "$(dirname "$(readlink -f "$0")")"
root=$(cd ../.. && pwd)

fail() { echo "build.sh: $1" >&2; exit "${2:-2}"; }

[ $# -eq 1 ] || [ $# -eq 2 ] || fail "usage: build.sh CORE [IMAGE]; CORE is host, cortex-m4, cortex-m7, cortex-m33, \
cortex-m55, cortex-m85 or a target of Rust's"
core=$1 image=$root/models/shrunk.zerda
[ $# -eq 1 ] || image=$(cd "$caller" && readlink -e "$2") || fail "$2: no such file"
host=$(rustc -vV | sed -n 's/^host: //p')
target=$core cpu=$core kernels=
case $core in
  host) target=$host cpu= kernels=std ;;
  cortex-m4 | cortex-m7) target=thumbv7em-none-eabihf kernels=dsp ;;
  cortex-m33) target=thumbv8m.main-none-eabihf kernels=dsp ;;
  cortex-m55 | cortex-m85) target=thumbv8m.main-none-eabihf kernels=mve ;;
  *-*-*) cpu= ;;
  *) fail "$core: no such core, expected host, cortex-m4, cortex-m7, cortex-m33, cortex-m55, cortex-m85 or a target" ;;
esac

# The header of the image, as the library reads it: its first four bytes, length, caches and arena.
number() { od -An -v -t u4 --endian=little -j "$1" -N 4 "$image" | tr -d ' '; }
[ "$(head -c 4 "$image" | tr -d '\0')" = ZRDA ] || fail "$image: not a Zerda image; \`zerda compile\` makes one"
state=$(sed -n 's/^#define ZERDA_STATE_BYTES //p' include/zerda.h)
memory=$(($(number 28) + $(number 32)))

out=$root/target/c/$core
mkdir -p "$out"
options=(--target "$target" ${kernels:+--features "$kernels"})
flags=${cpu:+\"-Ctarget-cpu=$cpu\"}
CARGO_TARGET_DIR=$out/build bash ../setup.sh cargo "$target" --config "target.$target.rustflags=[$flags]" \
  build --quiet --release "${options[@]}" || fail "$core: does not build; cargo says above why" 1
library=$out/build/$target/release/libzerda.a map=$out/build/libzerda.map

# What a product that calls all of it links, and no more: the size, and that nothing in it can panic.
functions=$(sed -n 's/^[^ *].* \**\(zerda_[a-z_]*\)(.*/\1/p' include/zerda.h)
"$(rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld" -flavor gnu --gc-sections --unresolved-symbols=ignore-all \
  -e zerda_init $(printf ' -u %s' $functions) -Map "$map" -o "$out/build/all.elf" "$library" ||
  fail "$core: cannot be linked" 1
if [ "$core" != host ] && grep -q rust_begin_unwind "$map"; then
  fail "$core: something in the library can panic" 1
fi
cp "$library" include/zerda.h "$out"
cat >"$out/zerda_image.h" <<END
/* Sizes of $(basename "$image"), written by build.sh. */
#ifndef ZERDA_IMAGE_H
#define ZERDA_IMAGE_H
/* The bytes that the image has in flash. */
#define ZERDA_IMAGE_BYTES $(number 8)
/* The bytes of storage that a recognizer of it needs, 16-byte aligned. */
#define ZERDA_IMAGE_STORAGE_BYTES (ZERDA_STATE_BYTES + $memory)
#endif
END

bytes() { awk -v names="$1" '$5 ~ "^(" names ")" { print $3 }' "$map" |
  while read -r size; do echo $((16#$size)); done | awk '{ all += $1 } END { print all + 0 }'; }
echo "target/c/$core/libzerda.a: ${kernels:-plain} kernels, $(bytes '\\.text|\\.rodata|\\.ARM') bytes of code and constants, \
$(bytes '\\.data|\\.bss') of RAM of its own"
echo "$(basename "$image"): $(number 8) bytes in flash, $((memory + state)) bytes of storage in RAM"
