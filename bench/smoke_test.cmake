# Runs every store once, small, and looks at what comes out; then bad options.
file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR}/scratch)

execute_process(
  COMMAND ${BENCH} --keys 1000 --rounds 1 --dir ${DIR}/scratch --json ${DIR}/out.json
          --verbose --quiet
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "freyja-bench ended with ${status}: ${errors}")
endif()
if(NOT output MATCHES "FreyjaDB as a multiple of")
  message(FATAL_ERROR "no ratios in: ${output}")
endif()

file(GLOB leftovers ${DIR}/scratch/*)
if(leftovers)
  message(FATAL_ERROR "left behind: ${leftovers}")
endif()

file(READ ${DIR}/out.json report)
string(JSON stores LENGTH ${report} stores)
if(stores LESS 3)
  message(FATAL_ERROR "${stores} stores in the report: FreyjaDB and two limits are always there")
endif()
math(EXPR last "${stores} - 1")
foreach(i RANGE ${last})
  foreach(workload fill get miss overwrite)
    string(JSON operations GET ${report} stores ${i} workloads ${workload} operations 0)
    string(JSON rate GET ${report} stores ${i} workloads ${workload} operations_per_second median)
    if(NOT operations EQUAL 1000 OR NOT rate GREATER 0)
      message(FATAL_ERROR "store ${i}, ${workload}: ${operations} operations at ${rate}/s")
    endif()
  endforeach()
endforeach()
string(JSON ratio GET ${report} ratios limit get median)
if(NOT ratio GREATER 0)
  message(FATAL_ERROR "ratio to limit is ${ratio}")
endif()

# Each is refused with status 2 and an error that names the option.
foreach(bad "--keys=0" "--keys=many" "--rounds=0" "--stores=nosuch" "--stores=limit,limit"
            "--workloads=nosuch" "--dir=${DIR}/nosuch" "--seconds=-1" "--value-bytes=-1"
            "--json=${DIR}/nosuch/out.json")
  execute_process(COMMAND ${BENCH} ${bad} RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  string(REGEX REPLACE "=.*" "" option ${bad})
  string(FIND "${errors}" "${option}" named)
  if(NOT status EQUAL 2 OR named EQUAL -1)
    message(FATAL_ERROR "${bad} ended with ${status}: ${errors}")
  endif()
endforeach()
