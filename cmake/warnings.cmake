# Warnings are errors in our own code, with the compiler that builds the product; clang is here for
# libFuzzer and clang-tidy, and its taste differs too much to stop a build. The target `drover_warnings` is linked privately, so that
# headers of libraries (which come in as system headers) are not judged by it.
add_library(drover_warnings INTERFACE)
target_compile_options(
  drover_warnings
  INTERFACE -Wall
            -Wextra
            -Wshadow=local
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wimplicit-fallthrough
            -Wvla
            # Designated initialisers leave out what has a default; that is their point.
            -Wno-missing-field-initializers)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(
    drover_warnings
    INTERFACE -Werror
              # g++ 12 cannot see that a coroutine frame initialises what it reads later, nor that a
              # std::variant or std::optional is engaged before it is read.
              -Wno-maybe-uninitialized
              # g++ 12 pairs the promise's operator new with the wrong operator delete.
              -Wno-mismatched-new-delete
              # Wrong on inlined std::string and std::vector growth in g++ 12 (its bug 105329).
              -Wno-restrict
              -Wno-stringop-overflow
              -Wno-stringop-overread
              -Wno-array-bounds
              # Sanitizers' instrumentation makes the null checks of g++ 12 guess.
              -Wno-null-dereference
              -Wno-nonnull)
else()
  target_compile_options(drover_warnings INTERFACE -Wno-shadow -Wno-deprecated-declarations)
endif()
