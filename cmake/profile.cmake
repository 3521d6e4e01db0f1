# Compiling for what was counted (docs/decisions/0021). `generate` makes programs that count which way
# they go, into profile/ of their build folder; the path of such a folder compiles for those counts:
# what runs stands together, in fewer pages, and what does not is out of the way. Only the modules
# that every request passes take part, and what writes its line of the log.
set(DROVER_PROFILE "" CACHE STRING "generate, or the folder of counts to compile for")
set(DROVER_PROFILED_MODULES base core wire net engine gateway)
set(DROVER_PROFILED_OF_app log_sink.cc escape.cc)

if(DROVER_PROFILE STREQUAL "generate")
  add_link_options(-fprofile-generate)
  # Programs that count are nobody's: those of the release stay where they are.
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/counting)
endif()

# To be called for each library.
function(drover_profiled lib module)
  if(NOT DROVER_PROFILE)
    return()
  endif()
  set(flags -fprofile-prefix-path=${PROJECT_BINARY_DIR})
  if(DROVER_PROFILE STREQUAL "generate")
    list(APPEND flags -fprofile-generate=${PROJECT_BINARY_DIR}/profile -fprofile-update=atomic)
  else()
    # A function that was changed since is compiled as without counts, and the compiler warns of each;
    # code is judged by the presets that compile it without. Counts that no longer add up, because what
    # is inlined was changed, are no error either.
    list(APPEND flags -fprofile-use=${DROVER_PROFILE} -fprofile-correction -w)
  endif()
  if(module IN_LIST DROVER_PROFILED_MODULES)
    target_compile_options(${lib} PRIVATE ${flags})
    # A compiler cache would have to know of the counts: left out.
    set_target_properties(${lib} PROPERTIES CXX_COMPILER_LAUNCHER "")
  elseif(DEFINED DROVER_PROFILED_OF_${module})
    set_source_files_properties(${DROVER_PROFILED_OF_${module}} PROPERTIES COMPILE_OPTIONS
                                                                           "${flags}")
  endif()
endfunction()
