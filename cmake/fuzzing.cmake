# A fuzz target is one file `<stem>_fuzz.cc` beside its code, with LLVMFuzzerTestOneInput. In the
# fuzz preset it becomes `fuzz_<stem>`; everywhere else it becomes `replay_<stem>`, which runs the
# committed corpus through the same function as an ordinary test.
option(DROVER_FUZZ "Build fuzz targets with libFuzzer (clang only)" OFF)

if(DROVER_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "libFuzzer comes with clang; use: cmake --preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

function(drover_fuzz_target source)
  get_filename_component(stem ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" stem ${stem})
  if(DROVER_FUZZ)
    add_executable(fuzz_${stem} ${source})
    target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(fuzz_${stem} PRIVATE ${ARGN} drover_warnings)
    add_dependencies(fuzz_targets fuzz_${stem})
  else()
    add_executable(replay_${stem} ${source} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
    target_link_libraries(replay_${stem} PRIVATE ${ARGN} drover_warnings)
    add_test(NAME replay_${stem} COMMAND replay_${stem} ${PROJECT_SOURCE_DIR}/fuzz/corpus/${stem})
    set_tests_properties(replay_${stem} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

if(DROVER_FUZZ)
  add_custom_target(fuzz_targets)
endif()
