# The SDK as a CMake package: find_package(openvisor CONFIG), with openvisor_DIR or PATHS naming this folder.
#
#   openvisor::syscalls  the header, the calls' addresses and the linker script, for applications with start-up code of
#                        their own
#   openvisor::app       the same, with start-up code and what a compiler needs without a C library
#   openvisor::newlib    the same, with start-up code and newlib: a bounded heap, and standard output in the log
#
#   openvisor_image(TARGET)  names the program TARGET.elf and writes TARGET.bin beside it

if(TARGET openvisor::syscalls)
    return()
endif()

set(OPENVISOR_SDK ${CMAKE_CURRENT_LIST_DIR})
get_property(openvisor_languages GLOBAL PROPERTY ENABLED_LANGUAGES)

add_library(openvisor_syscalls INTERFACE)
add_library(openvisor::syscalls ALIAS openvisor_syscalls)
target_include_directories(openvisor_syscalls INTERFACE ${OPENVISOR_SDK}/include ${OPENVISOR_SDK}/lib)
target_link_libraries(openvisor_syscalls INTERFACE ${OPENVISOR_SDK}/lib/mv_entries.o)
target_link_options(openvisor_syscalls INTERFACE "SHELL:-T \"${OPENVISOR_SDK}/lib/app.ld\"")

# What both kinds of program share.
add_library(openvisor_startup INTERFACE)
target_sources(openvisor_startup INTERFACE ${OPENVISOR_SDK}/lib/startup.c ${OPENVISOR_SDK}/lib/mv_names.c)
target_compile_options(openvisor_startup INTERFACE
    -ffunction-sections -fdata-sections
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>)
target_link_options(openvisor_startup INTERFACE -nostartfiles -Wl,--gc-sections -Wl,--build-id=none)
target_link_libraries(openvisor_startup INTERFACE openvisor_syscalls)

add_library(openvisor_app INTERFACE)
add_library(openvisor::app ALIAS openvisor_app)
target_sources(openvisor_app INTERFACE ${OPENVISOR_SDK}/lib/memory.c)
if(CXX IN_LIST openvisor_languages)
    target_sources(openvisor_app INTERFACE ${OPENVISOR_SDK}/lib/cplusplus.cpp)
endif()
target_compile_options(openvisor_app INTERFACE -ffreestanding -fno-tree-loop-distribute-patterns)
target_link_options(openvisor_app INTERFACE -nostdlib)
target_link_libraries(openvisor_app INTERFACE openvisor_startup gcc)

add_library(openvisor_newlib INTERFACE)
add_library(openvisor::newlib ALIAS openvisor_newlib)
target_sources(openvisor_newlib INTERFACE ${OPENVISOR_SDK}/lib/newlib.c)
target_compile_options(openvisor_newlib INTERFACE --specs=nano.specs)
target_link_options(openvisor_newlib INTERFACE --specs=nano.specs)
target_link_libraries(openvisor_newlib INTERFACE openvisor_startup)

function(openvisor_image target)
    set_target_properties(${target} PROPERTIES SUFFIX .elf)
    add_custom_command(TARGET ${target} POST_BUILD
        COMMAND ${CMAKE_OBJCOPY} -O binary $<TARGET_FILE:${target}>
                $<TARGET_FILE_DIR:${target}>/${target}.bin
        VERBATIM)
endfunction()
