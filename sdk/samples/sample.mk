# How every sample is built, and any application that wants to. Its Makefile sets NAME and SOURCES (.c and .cpp), SDK
# to the SDK's folder, and includes this. COMMON names files of samples/common.
#
#   make            builds $(OUT)/$(NAME).elf and .bin
#   make OUT=dir    the same, elsewhere
#   make DEBUG=1    with names and lines for a debugger, and code that follows the source
#   make NEWLIB=1   with newlib: a heap, and standard output in the log
#   make SDK=dir    with an SDK elsewhere, such as when the folder was copied out of it
#
# The same compiler makes the same bytes anywhere: no path, date or build id gets into the image.

SDK     ?= $(dir $(lastword $(MAKEFILE_LIST)))..
OUT     ?= build
PREFIX  ?= arm-none-eabi-
CC      := $(PREFIX)gcc
CXX     := $(PREFIX)g++
OBJCOPY := $(PREFIX)objcopy

# Without it the image holds nothing but the program.
ifdef DEBUG
OPTIMISE := -Og -g
else
OPTIMISE := -Os
STRIP := -s
endif

MACHINE  := -mcpu=cortex-m33 -mthumb -mfloat-abi=soft
ifdef NEWLIB
LIBRARY  := --specs=nano.specs
SUPPORT  := newlib.c
NO_START := -nostartfiles $(LIBRARY)
else
LIBRARY  := -ffreestanding -fno-tree-loop-distribute-patterns
SUPPORT  := memory.c
NO_START := -nostdlib
endif
COMPILE  := $(OPTIMISE) $(MACHINE) -fshort-enums \
	$(LIBRARY) -ffunction-sections -fdata-sections \
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
	-I$(SDK)/include -I$(SDK)/lib -I$(SDK)/samples/common -I.
CFLAGS   := -std=c11 $(COMPILE)
CXXFLAGS := -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics $(COMPILE)

LDFLAGS := $(NO_START) -T $(SDK)/lib/app.ld -Wl,--gc-sections -Wl,--build-id=none -Wl,--fatal-warnings $(STRIP)
LDLIBS  := $(if $(NEWLIB),,-lgcc)

ALL     := $(SOURCES) $(COMMON:%=$(SDK)/samples/common/%) $(SDK)/lib/startup.c $(SDK)/lib/$(SUPPORT) $(SDK)/lib/mv_names.c
ifneq ($(filter %.cpp,$(SOURCES)),)
ALL     += $(SDK)/lib/cplusplus.cpp
endif
OBJECTS := $(patsubst %.cpp,$(OUT)/%.o,$(patsubst %.c,$(OUT)/%.o,$(notdir $(ALL))))
HEADERS := $(wildcard *.h $(SDK)/samples/common/*.h $(SDK)/lib/*.h $(SDK)/include/*.h)

vpath %.c . $(SDK)/samples/common $(SDK)/lib
vpath %.cpp . $(SDK)/lib

.PHONY: all clean always
all: $(OUT)/$(NAME).elf $(OUT)/$(NAME).bin

# Everything is compiled again when the options are others, such as with DEBUG=1 after without.
$(OUT)/options: always | $(OUT)
	@echo '$(CC) $(CXXFLAGS)' | cmp -s - $@ || echo '$(CC) $(CXXFLAGS)' > $@

$(OUT)/%.o: %.c $(HEADERS) $(OUT)/options | $(OUT)
	$(CC) $(CFLAGS) -c $< -o $@

$(OUT)/%.o: %.cpp $(HEADERS) $(OUT)/options | $(OUT)
	$(CXX) $(CXXFLAGS) -c $< -o $@

$(OUT)/$(NAME).elf: $(OBJECTS) $(SDK)/lib/mv_entries.o $(SDK)/lib/app.ld
	$(CC) $(MACHINE) $(LDFLAGS) $(OBJECTS) $(SDK)/lib/mv_entries.o $(LDLIBS) -o $@

$(OUT)/$(NAME).bin: $(OUT)/$(NAME).elf
	$(OBJCOPY) -O binary $< $@

$(OUT):
	mkdir -p $@

clean:
	rm -rf $(OUT)
