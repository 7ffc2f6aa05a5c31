# `cmake --install`: headers, both libraries, the command line, package files, documents.
include(CMakePackageConfigHelpers)

set(freyja_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/freyja)

install(DIRECTORY include/freyja DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(TARGETS freyja freyja_shared EXPORT freyjaTargets)
if(TARGET freyja_cli)
  install(TARGETS freyja_cli)
endif()

install(EXPORT freyjaTargets NAMESPACE freyja:: DESTINATION ${freyja_package_dir})
configure_package_config_file(cmake/freyjaConfig.cmake.in freyjaConfig.cmake
  INSTALL_DESTINATION ${freyja_package_dir})
write_basic_package_version_file(freyjaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/freyjaConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/freyjaConfigVersion.cmake
  DESTINATION ${freyja_package_dir})

# The prefix is found from where the file lies, so an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
  OUTPUT_VARIABLE FREYJA_PC_TO_PREFIX)
configure_file(cmake/freyja.pc.in freyja.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/freyja.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

foreach(document LICENSE README.md CHANGELOG.md)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${document})
    install(FILES ${document} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endif()
endforeach()
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs
  FILES_MATCHING PATTERN "*.md")
