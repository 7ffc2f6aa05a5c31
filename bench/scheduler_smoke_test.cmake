# Runs the scheduler benchmark once, small, and looks at its figures; then bad options.
file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR}/scratch)
set(small --keys 20k --segment-bytes 65536 --warm-up 1 --writes-per-second 2000
    --reads-per-second 2000 --quiet --dir ${DIR}/scratch)

execute_process(COMMAND ${BENCH} scheduler --seconds 2 --json ${small}
  RESULT_VARIABLE status OUTPUT_VARIABLE report ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "freyja-bench scheduler ended with ${status}: ${errors}${report}")
endif()
if(NOT errors STREQUAL "")
  message(FATAL_ERROR "with --quiet it said: ${errors}")
endif()
file(GLOB leftovers ${DIR}/scratch/*)
if(leftovers)
  message(FATAL_ERROR "left behind: ${leftovers}")
endif()

string(JSON interrupted GET ${report} interrupted)
string(JSON space GET ${report} space_amplification highest)
string(JSON written GET ${report} write_amplification records)
string(JSON read_tail GET ${report} reads off response_ns p99.9)
string(JSON write_tail GET ${report} writes on response_ns p99.9)
string(JSON checked GET ${report} answers checked)
string(JSON reopened GET ${report} reopened checked)
string(JSON met GET ${report} goals wrong_answers met)
if(interrupted OR NOT met)
  message(FATAL_ERROR "interrupted: ${interrupted}, right answers: ${met}")
endif()
foreach(answers answers reopened)
  foreach(wrong missed stale corrupt)
    string(JSON count GET ${report} ${answers} ${wrong})
    if(NOT count EQUAL 0)
      message(FATAL_ERROR "${answers}: ${count} ${wrong}")
    endif()
  endforeach()
endforeach()
if(space LESS 1 OR written LESS 1 OR NOT read_tail GREATER 0 OR NOT write_tail GREATER 0)
  message(FATAL_ERROR "space ${space}, written ${written}, p99.9 ${read_tail} and ${write_tail}")
endif()
if(checked LESS 100 OR NOT reopened EQUAL 20000)
  message(FATAL_ERROR "${checked} answers checked, ${reopened} after another open")
endif()

execute_process(COMMAND ${BENCH} scheduler --seconds 0.5 ${small}
  RESULT_VARIABLE status OUTPUT_VARIABLE report ERROR_VARIABLE errors)
if(NOT status EQUAL 0 OR NOT report MATCHES "p99.9 on over off")
  message(FATAL_ERROR "freyja-bench scheduler ended with ${status}: ${errors}${report}")
endif()

# Each is refused with status 2 and an error that names the option.
foreach(bad "--writes-per-second=0" "--reads-per-second=-1" "--ceiling=1.05" "--ceiling=nan"
            "--distribution=nosuch" "--distribution=bulk-delete" "--distribution=zipf:0"
            "--seconds=-1" "--seconds=0"
            "--writes-per-second=nan" "--readers=0" "--keys=1" "--value-bytes=8"
            "--segment-bytes=1" "--sync=nosuch" "--dead-share=0" "--slice-seconds=100"
            "--dir=${DIR}/nosuch")
  execute_process(COMMAND ${BENCH} scheduler ${bad}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  string(REGEX REPLACE "=.*" "" option ${bad})
  string(FIND "${errors}" "${option}" named)
  if(NOT status EQUAL 2 OR named EQUAL -1)
    message(FATAL_ERROR "${bad} ended with ${status}: ${errors}")
  endif()
endforeach()
