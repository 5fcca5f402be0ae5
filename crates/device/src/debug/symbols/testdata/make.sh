#!/bin/sh
# Makes the files of this folder with an Arm GCC. Paths in them are mapped to /src.
set -e
flags="-mcpu=cortex-m33 -mthumb -O1 -ffreestanding -nostdlib -Wl,--build-id=none -Ttext=0x08000008 -Wl,--section-start=.isr_vector=0x08000000 -e Reset_Handler"
arm-none-eabi-gcc $flags -g -gdwarf-5 -ffile-prefix-map="$PWD"=/src split.c -o plain.elf
arm-none-eabi-gcc $flags -g -gdwarf-5 -gsplit-dwarf -ffile-prefix-map="$PWD"=/src -c split.c -o split.o
arm-none-eabi-gcc $flags split.o -o split.elf
arm-none-eabi-objcopy --only-keep-debug plain.elf linked.debug
arm-none-eabi-objcopy --strip-all --add-gnu-debuglink=linked.debug plain.elf linked.elf
for kind in zlib zlib-gnu zstd; do arm-none-eabi-objcopy --compress-debug-sections=$kind plain.elf $kind.elf || echo "no $kind"; done
rm split.o
