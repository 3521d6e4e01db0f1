# Sanitizers and hardening, chosen by the preset. Flags go to every target, because half-instrumented
# programs report errors that are not there.
set(DROVER_SANITIZE "" CACHE STRING "A list for -fsanitize=, such as address,undefined")
option(DROVER_HARDEN "Compile and link with the distribution's hardening flags" OFF)

if(DROVER_SANITIZE)
  add_compile_options(-fsanitize=${DROVER_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -DDROVER_SANITIZED)
  if(DROVER_SANITIZE MATCHES "undefined")
    # A check at each use of a pointer makes compiling a sixth longer. Nearly all that these two find
    # AddressSanitizer reports as well; not a call on a null pointer that touches no member, nor a
    # step beyond one member of an object into the next.
    add_compile_options(-fno-sanitize=null,object-size)
  endif()
  add_link_options(-fsanitize=${DROVER_SANITIZE})
endif()

# For targets of tests alone: half of all that there is to compile, and a fourth of that time goes into
# checks for undefined behaviour, which is looked for in the product. (Of an inline function of a header
# a test program may have the copy without; the daemon, which other tests drive, has none of these.)
function(drover_only_tests name)
  if(DROVER_SANITIZE MATCHES "undefined")
    target_compile_options(${name} PRIVATE -fno-sanitize=undefined)
  endif()
endfunction()

if(DROVER_HARDEN)
  # -U first: a distribution may predefine the macro, and a second definition would be an error.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS
                      -fstack-protector-strong -fstack-clash-protection -fno-plt)
  # No -fcf-protection: indirect branches of programs are not tracked by the kernel, and shadow stacks
  # need a newer C library than the oldest that is supported.
  # Not -fPIC, except where a shared library asks for it itself: code that another library might
  # replace cannot be inlined, and there is no such library.
  add_compile_options($<$<NOT:$<IN_LIST:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY$<SEMICOLON>MODULE_LIBRARY>>:-fPIE>)
  add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie> -Wl,-z,relro,-z,now)
endif()
