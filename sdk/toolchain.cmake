# CMake's toolchain file for an application: the Arm GNU toolchain, for the processor of the device.
#
#   cmake -B build -DCMAKE_TOOLCHAIN_FILE=/path/to/sdk/toolchain.cmake
#
# OPENVISOR_COMPILER_PREFIX is what the compiler's name begins with, with a folder if it is not in PATH.

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)

set(OPENVISOR_COMPILER_PREFIX arm-none-eabi- CACHE STRING "what the compiler's name begins with")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OPENVISOR_COMPILER_PREFIX)
set(CMAKE_C_COMPILER ${OPENVISOR_COMPILER_PREFIX}gcc)
set(CMAKE_CXX_COMPILER ${OPENVISOR_COMPILER_PREFIX}g++)
set(CMAKE_ASM_COMPILER ${OPENVISOR_COMPILER_PREFIX}gcc)
set(CMAKE_OBJCOPY ${OPENVISOR_COMPILER_PREFIX}objcopy CACHE STRING "")
set(CMAKE_SIZE ${OPENVISOR_COMPILER_PREFIX}size CACHE STRING "")

# A program for the device cannot be linked without the SDK, so the compiler is tried with a library.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(OPENVISOR_MACHINE "-mcpu=cortex-m33 -mthumb -mfloat-abi=soft -fshort-enums")
foreach(language C CXX ASM)
    set(CMAKE_${language}_FLAGS_INIT "${OPENVISOR_MACHINE}")
endforeach()

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
