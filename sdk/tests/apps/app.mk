# How every test application is built: as a sample is, with what the applications share. See samples/sample.mk.

APPS    := $(dir $(lastword $(MAKEFILE_LIST)))
SOURCES += check.c notices.c

vpath %.c $(APPS)common

include $(APPS)../../samples/sample.mk

CFLAGS   += -I$(APPS)common
CXXFLAGS += -I$(APPS)common
