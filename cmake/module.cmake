# One module is one folder is one static library. `drover_module(NAME DEPS ... LIBS ...)` finds the
# folder's files by their suffix, so that adding a file needs no edit here:
#
#   x.cc         the library drover_NAME          main.cc      left to the caller (an executable)
#   x_test.cc    NAME_test, one ctest entry       x_bench.cc   NAME_bench (with DROVER_BENCH)
#   x_fuzz.cc    fuzz_x or replay_x (see fuzzing.cmake)
#
# DEPS are our own modules and LIBS are packages. Nothing else is linked, which is the first guard of
# the include table; tools/tidy is the second, because all modules share the include root.

find_program(DROVER_CCACHE ccache)
if(DROVER_CCACHE)
  # The settings let precompiled headers be cached, and let checkouts in other folders share, and
  # builds that have the same flags (NOHASHDIR: only the name of the build folder differs).
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${DROVER_CCACHE})
endif()
find_program(DROVER_MOLD mold)
if(DROVER_MOLD AND NOT DROVER_HARDEN)
  add_link_options(-fuse-ld=mold)
endif()

# Files in debug information and in messages are named from the root of the tree.
add_compile_options(-fdebug-prefix-map=${PROJECT_SOURCE_DIR}=.
                    -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)

# A package found in one folder is named by every folder that links the module.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)

# The headers that nearly every file includes are half the time that a file takes to compile (2.0 s
# against 0.9 s), so the builds that tests run are given them compiled. The release is not: there a file
# of the product that lacks an include does not compile; test files have them everywhere but in lint.
option(DROVER_PRECOMPILE "Compile common headers once" OFF)
set(DROVER_COMMON_HEADERS
    <algorithm> <array> <chrono> <coroutine> <cstdint> <functional> <map> <memory> <optional> <set>
    <span> <string> <string_view> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# A target whose compiled headers others use.
function(drover_precompiled name)
  cmake_parse_arguments(arg "" "" "LINKS;HEADERS" ${ARGN})
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cc)
  target_link_libraries(${name} PRIVATE ${arg_LINKS} drover_warnings)
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${name} PRIVATE -fpch-preprocess)
  endif()
endfunction()

function(drover_uses_precompiled target name)
  target_precompile_headers(${target} REUSE_FROM ${name})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess -Winvalid-pch)
  endif()
endfunction()

find_package(fmt REQUIRED)
if(DROVER_PRECOMPILE)
  drover_precompiled(drover_pch LINKS fmt::fmt HEADERS ${DROVER_COMMON_HEADERS})
endif()
if(DROVER_TESTS)
  find_package(GTest REQUIRED)
  drover_precompiled(drover_test_pch LINKS GTest::gmock fmt::fmt
                     HEADERS <gtest/gtest.h> ${DROVER_COMMON_HEADERS})
  drover_only_tests(drover_test_pch)
endif()
if(DROVER_BENCH)
  find_package(benchmark REQUIRED)
endif()

# Adds a folder when it is there, so that a partial checkout still configures.
function(drover_folder path)
  # A glob and not EXISTS alone: the build then notices when the folder appears.
  file(GLOB listed CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${path}/CMakeLists.txt)
  if(listed)
    add_subdirectory(${path})
  endif()
endfunction()

# Turns the name of a package into the target to link, finding the package on the way.
function(drover_library name out)
  if(name STREQUAL "fmt")
    find_package(fmt REQUIRED)
    set(target fmt::fmt)
  elseif(name STREQUAL "simdjson")
    find_package(simdjson REQUIRED)
    set(target simdjson::simdjson)
  elseif(name STREQUAL "yaml-cpp")
    find_package(yaml-cpp REQUIRED)
    set(target yaml-cpp)
  elseif(name STREQUAL "CLI11")
    find_package(CLI11 REQUIRED)
    set(target CLI11::CLI11)
  elseif(name STREQUAL "c-ares")
    # Debian's c-ares ships a pkg-config file only.
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(cares REQUIRED GLOBAL IMPORTED_TARGET libcares)
    set(target PkgConfig::cares)
  elseif(name STREQUAL "seccomp")
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(seccomp REQUIRED GLOBAL IMPORTED_TARGET libseccomp)
    set(target PkgConfig::seccomp)
  elseif(name STREQUAL "zstd")
    find_package(PkgConfig REQUIRED)
    pkg_check_modules(zstd REQUIRED GLOBAL IMPORTED_TARGET libzstd)
    set(target PkgConfig::zstd)
  elseif(name STREQUAL "threads")
    set(target Threads::Threads)
  else()
    message(FATAL_ERROR "drover_module: no package '${name}' in cmake/module.cmake")
  endif()
  set(${out} ${target} PARENT_SCOPE)
endfunction()

# GoogleTest binary `name` from sources, as one ctest entry (one process per module is much faster
# than one per test).
function(drover_gtest name sources)
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARGN} fmt::fmt GTest::gmock GTest::gtest_main
                                        drover_warnings)
  drover_uses_precompiled(${name} drover_test_pch)
  drover_only_tests(${name})
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()

function(drover_module name)
  cmake_parse_arguments(arg "" "ROOT" "DEPS;LIBS;TEST_DEPS" ${ARGN})
  set(here ${CMAKE_CURRENT_SOURCE_DIR})
  set(root ${PROJECT_SOURCE_DIR}/src)
  if(arg_ROOT)
    set(root ${PROJECT_SOURCE_DIR}/${arg_ROOT})
  endif()

  file(GLOB all CONFIGURE_DEPENDS ${here}/*.cc)
  file(GLOB tests CONFIGURE_DEPENDS ${here}/*_test.cc)
  file(GLOB benches CONFIGURE_DEPENDS ${here}/*_bench.cc)
  file(GLOB fuzzers CONFIGURE_DEPENDS ${here}/*_fuzz.cc)
  set(sources ${all})
  list(REMOVE_ITEM sources ${tests} ${benches} ${fuzzers} ${here}/main.cc)

  set(uses)
  foreach(dep IN LISTS arg_DEPS)
    list(APPEND uses drover_${dep})
  endforeach()
  foreach(lib IN LISTS arg_LIBS)
    drover_library(${lib} target)
    list(APPEND uses ${target})
  endforeach()

  set(lib drover_${name})
  if(sources)
    add_library(${lib} STATIC ${sources})
    target_include_directories(${lib} PUBLIC ${root} ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${lib} PUBLIC ${uses} PRIVATE drover_warnings)
    drover_profiled(${lib} ${name})
    if(DROVER_PRECOMPILE)
      drover_uses_precompiled(${lib} drover_pch)
    endif()
  else()
    add_library(${lib} INTERFACE)
    target_include_directories(${lib} INTERFACE ${root} ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${lib} INTERFACE ${uses})
  endif()

  set(test_uses ${lib})
  foreach(dep IN LISTS arg_TEST_DEPS)
    list(APPEND test_uses drover_${dep})
  endforeach()
  if(DROVER_TESTS AND tests AND NOT DROVER_FUZZ)
    drover_gtest(${name}_test "${tests}" ${test_uses})
  endif()
  if(DROVER_TESTS OR DROVER_FUZZ)
    foreach(fuzzer IN LISTS fuzzers)
      drover_fuzz_target(${fuzzer} ${test_uses})
    endforeach()
  endif()
  if(DROVER_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE ${test_uses} benchmark::benchmark_main
                                                drover_warnings)
  endif()
endfunction()

# The executable `program` from main.cc of this folder and the module's library.
function(drover_program program module)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/main.cc)
    add_executable(${program} main.cc)
    target_link_libraries(${program} PRIVATE drover_${module} drover_warnings)
  endif()
endfunction()

# Whole-daemon tests: a GoogleTest binary from every .cc of this folder and modules to link.
function(drover_scenario_test name label)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources OR NOT DROVER_TESTS OR DROVER_FUZZ)
    return()
  endif()
  list(TRANSFORM ARGN PREPEND drover_ OUTPUT_VARIABLE uses)
  drover_gtest(${name} "${sources}" ${uses})
  set_tests_properties(${name} PROPERTIES LABELS ${label})
endfunction()

configure_file(${PROJECT_SOURCE_DIR}/cmake/drover_version.h.in
               ${PROJECT_BINARY_DIR}/generated/drover_version.h @ONLY)
