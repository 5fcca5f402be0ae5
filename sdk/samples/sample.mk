# How every sample is built. A sample's Makefile sets NAME and SOURCES and includes this.
#
#   make            builds $(OUT)/$(NAME).elf and .bin
#   make OUT=dir    the same, elsewhere
#   make DEBUG=1    with names and lines for a debugger, and code that follows the source
#
# The same compiler makes the same bytes anywhere: no path, date or build id gets into the image.

SDK     := $(dir $(lastword $(MAKEFILE_LIST)))..
OUT     ?= build
PREFIX  ?= arm-none-eabi-
CC      := $(PREFIX)gcc
OBJCOPY := $(PREFIX)objcopy

# Without it the image holds nothing but the program.
ifdef DEBUG
OPTIMISE := -Og -g
else
OPTIMISE := -Os
STRIP := -s
endif

CFLAGS := -std=c11 $(OPTIMISE) -mcpu=cortex-m33 -mthumb -mfloat-abi=soft -fshort-enums \
	-ffreestanding -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
	-I$(SDK)/include -I$(SDK)/lib -I$(SDK)/samples/common -I.

LDFLAGS := -nostdlib -T $(SDK)/lib/app.ld -Wl,--gc-sections -Wl,--build-id=none -Wl,--fatal-warnings $(STRIP)

ALL     := $(SOURCES) $(COMMON:%=$(SDK)/samples/common/%) $(SDK)/lib/startup.c $(SDK)/lib/memory.c $(SDK)/lib/mv_names.c
OBJECTS := $(patsubst %.c,$(OUT)/%.o,$(notdir $(ALL)))
HEADERS := $(wildcard *.h $(SDK)/samples/common/*.h $(SDK)/lib/*.h $(SDK)/include/*.h)

vpath %.c . $(SDK)/samples/common $(SDK)/lib

.PHONY: all clean
all: $(OUT)/$(NAME).elf $(OUT)/$(NAME).bin

$(OUT)/%.o: %.c $(HEADERS) | $(OUT)
	$(CC) $(CFLAGS) -c $< -o $@

$(OUT)/$(NAME).elf: $(OBJECTS) $(SDK)/lib/mv_entries.o $(SDK)/lib/app.ld
	$(CC) -mcpu=cortex-m33 -mthumb -mfloat-abi=soft $(LDFLAGS) $(OBJECTS) $(SDK)/lib/mv_entries.o -lgcc -o $@

$(OUT)/$(NAME).bin: $(OUT)/$(NAME).elf
	$(OBJCOPY) -O binary $< $@

$(OUT):
	mkdir -p $@

clean:
	rm -rf $(OUT)
