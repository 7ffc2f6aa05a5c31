# Registration of GoogleTest programs with CTest.

# freyja_add_test(<name> LABEL <unit|system> TIMEOUT <seconds> SOURCES ... LIBRARIES ...)
# Each test case becomes a CTest test <name>.<suite>.<case> with its own time limit.
function(freyja_add_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE FREYJA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE
    ${arg_LIBRARIES} freyja_flags
    rapidcheck_gtest GTest::gmock_main GTest::gmock GTest::gtest Threads::Threads)
  # Sanitizers slow a program down by a factor of 5 to 15.
  if(FREYJA_SANITIZE)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 5")
  endif()
  gtest_discover_tests(${name}
    TEST_PREFIX ${name}.
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS ${arg_LABEL})
endfunction()
