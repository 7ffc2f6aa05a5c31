# Runs every store once, small, and looks at what comes out; then bad options.
file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR}/scratch)

execute_process(
  COMMAND ${BENCH} --keys 1000 --rounds 1 --dir ${DIR}/scratch --json ${DIR}/out.json
          --markdown ${DIR}/out.md --threads 1,2 --sync-writers 1,4 --sync-seconds 0.05
          --sustained-seconds 0.1
          --value-bytes 16,16KiB --live-bytes 8MiB --probes none --verbose --quiet
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "freyja-bench ended with ${status}: ${errors}")
endif()
if(NOT output MATCHES "FreyjaDB as a multiple of")
  message(FATAL_ERROR "no ratios in: ${output}")
endif()
file(READ ${DIR}/out.md markdown)
if(NOT markdown MATCHES "\\| FreyjaDB \\|" OR NOT markdown MATCHES "## Values of 16384 bytes")
  message(FATAL_ERROR "no tables in: ${markdown}")
endif()

file(GLOB leftovers ${DIR}/scratch/*)
if(leftovers)
  message(FATAL_ERROR "left behind: ${leftovers}")
endif()

file(READ ${DIR}/out.json report)
string(JSON sections LENGTH ${report} sections)
if(NOT sections EQUAL 2)
  message(FATAL_ERROR "${sections} sections in the report, not 2")
endif()
# 8 MiB hold 511 of the long values.
set(section_numbers 0 1)
set(section_keys 1000 511)
foreach(section keys IN ZIP_LISTS section_numbers section_keys)
  string(JSON stores LENGTH ${report} sections ${section} stores)
  if(stores LESS 3)
    message(FATAL_ERROR "${stores} stores in the report: FreyjaDB and two limits are always there")
  endif()
  math(EXPR last "${stores} - 1")
  foreach(i RANGE ${last})
    foreach(workload fill get get/2 miss miss/2 zipf zipf/2 multiget16 multiget128 mixed95 mixed95/2
                     mixed50 mixed50/2 overwrite overwrite/2 batch16 batch128 delete sync/1 sync/4)
      string(JSON entry GET ${report} sections ${section} stores ${i} workloads ${workload})
      string(JSON operations GET ${entry} operations 0)
      string(JSON rate GET ${entry} operations_per_second median)
      string(JSON cpu GET ${entry} process_cpu_ns_per_operation median)
      if(NOT rate GREATER 0 OR NOT cpu GREATER 0)
        message(FATAL_ERROR "store ${i}, ${workload}: ${rate}/s, ${cpu} ns")
      endif()
      # Those of sync end by time.
      if(workload MATCHES "sync" AND operations GREATER 0)
        continue()
      endif()
      if(NOT operations EQUAL keys)
        message(FATAL_ERROR "store ${i}, ${workload}: ${operations} operations, not ${keys}")
      endif()
    endforeach()
  endforeach()
  string(JSON highest GET ${report} sections ${section} stores 0 sustained_space highest median)
  if(NOT highest GREATER 1)
    message(FATAL_ERROR "FreyjaDB takes ${highest} times what it stores")
  endif()
  string(JSON ratio GET ${report} sections ${section} ratios limit get median)
  if(NOT ratio GREATER 0)
    message(FATAL_ERROR "ratio to limit is ${ratio}")
  endif()
endforeach()

# Probes, on enough keys that an index is more than what every process has.
execute_process(
  COMMAND ${BENCH} --keys 100k --rounds 1 --dir ${DIR}/scratch --json ${DIR}/probes.json
          --workloads fill --stores freyja,limit --quiet
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 0 OR NOT output MATCHES "killed, no hints")
  message(FATAL_ERROR "freyja-bench with probes ended with ${status}: ${errors}, ${output}")
endif()
file(READ ${DIR}/probes.json report)
foreach(i 0 1)
  string(JSON probe GET ${report} sections 0 probes ${i})
  string(JSON memory GET ${probe} memory_per_key median)
  string(JSON cpu GET ${probe} cpu_ns_per_operation median)
  string(JSON put GET ${probe} footprints 0 put_bytes)
  string(JSON disk GET ${probe} footprints 0 disk_bytes)
  # 8 bytes are what an entry of any index has at least; 1000 are more than key and value.
  if(NOT memory GREATER 8 OR NOT memory LESS 1000 OR NOT cpu GREATER 0 OR NOT put EQUAL 23200000
     OR NOT disk GREATER 11600000)
    message(FATAL_ERROR "probe ${i}: ${probe}")
  endif()
endforeach()
foreach(open "clean" "killed" "clean, cold" "killed, cold" "clean, no hints" "killed, no hints")
  string(JSON seconds GET ${report} sections 0 probes 0 opens ${open} seconds median)
  string(JSON checked GET ${report} sections 0 probes 0 opens ${open} rounds 0 checked)
  string(JSON missing GET ${report} sections 0 probes 0 opens ${open} rounds 0 missing)
  if(NOT seconds GREATER 0 OR NOT checked EQUAL 20000 OR NOT missing EQUAL 0)
    message(FATAL_ERROR "open, ${open}: ${seconds} s, ${missing} of ${checked} missing")
  endif()
endforeach()
file(GLOB leftovers ${DIR}/scratch/*)
if(leftovers)
  message(FATAL_ERROR "left behind: ${leftovers}")
endif()

# Pictures of both reports; the same input gives the same bytes.
foreach(report out probes)
  foreach(folder pictures again)
    execute_process(
      COMMAND ${PYTHON} ${PLOT} ${DIR}/${report}.json ${DIR}/${folder}
      RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "${PLOT} ended with ${status}: ${errors}")
    endif()
  endforeach()
endforeach()
foreach(name throughput-16 cpu-16384 latency-16 sections footprint-100 open-100)
  file(READ ${DIR}/pictures/${name}.svg picture)
  file(READ ${DIR}/again/${name}.svg again)
  if(NOT picture MATCHES "freyja.*</svg>" OR NOT picture STREQUAL again)
    message(FATAL_ERROR "${name}.svg: ${picture}")
  endif()
endforeach()
execute_process(
  COMMAND ${PYTHON} ${PLOT} ${DIR}/out.md ${DIR}/pictures
  RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
if(NOT status EQUAL 1 OR NOT errors MATCHES "out.md")
  message(FATAL_ERROR "a report that is no JSON: ${status}, ${errors}")
endif()

# Several numbers of keys; long values leave the same of all.
execute_process(
  COMMAND ${BENCH} --keys 500,1k --value-bytes 16,1MiB --live-bytes 16MiB --rounds 1 --quiet
          --dir ${DIR}/scratch --stores freyja --workloads get --probes none
          --json ${DIR}/keys.json
  RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
file(READ ${DIR}/keys.json report)
set(numbers)
string(JSON sections LENGTH ${report} sections)
math(EXPR last "${sections} - 1")
foreach(i RANGE ${last})
  string(JSON keys GET ${report} sections ${i} configuration keys)
  list(APPEND numbers ${keys})
endforeach()
if(NOT status EQUAL 0 OR NOT numbers STREQUAL "500;1000;15")
  message(FATAL_ERROR "several numbers of keys: ${status}, ${numbers}, ${errors}")
endif()

# Data larger than memory, where memory can be capped.
execute_process(
  COMMAND ${BENCH} --keys 20k --value-bytes 16KiB --rounds 1 --dir ${DIR}/scratch --quiet
          --stores freyja --workloads get --probes none --memory-cap 128MiB
          --json ${DIR}/capped.json
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(status EQUAL 0)
  file(READ ${DIR}/capped.json report)
  string(JSON cache GET ${report} sections 0 configuration cache_bytes)
  if(NOT output MATCHES "memory capped at 128 MiB" OR NOT cache EQUAL 67108864)
    message(FATAL_ERROR "a run with capped memory: ${cache}, ${output}")
  endif()
elseif(NOT status EQUAL 1 OR NOT errors MATCHES "--memory-cap: ")
  message(FATAL_ERROR "a run with capped memory ended with ${status}: ${errors}")
endif()

# Every other store can be probed, too.
execute_process(
  COMMAND ${BENCH} --keys 1000 --rounds 1 --dir ${DIR}/scratch --workloads fill --quiet
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "freyja-bench with probes of all stores ended with ${status}: ${errors}")
endif()

# Each is refused with status 2 and an error that names the option.
foreach(bad "--keys=0" "--keys=many" "--rounds=0" "--stores=nosuch" "--stores=limit,limit"
            "--workloads=nosuch" "--dir=${DIR}/nosuch" "--seconds=-1" "--value-bytes=-1"
            "--json=${DIR}/nosuch/out.json" "--markdown=${DIR}/nosuch/out.md" "--threads=0"
            "--sync-writers=0" "--live-bytes=0" "--memory-cap=1MiB" "--probes=nosuch"
            "--probes=none,open")
  execute_process(COMMAND ${BENCH} ${bad} RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  string(REGEX REPLACE "=.*" "" option ${bad})
  string(FIND "${errors}" "${option}" named)
  if(NOT status EQUAL 2 OR named EQUAL -1)
    message(FATAL_ERROR "${bad} ended with ${status}: ${errors}")
  endif()
endforeach()
