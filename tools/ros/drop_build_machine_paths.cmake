# ROS 2's wheels carry include paths of the machine that built them, and CMake refuses a path that does not exist. A ROS 2
# from apt has none of these. To be included after the last find_package.
get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported_targets)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(directories)
    list(FILTER directories EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
  endif()
endforeach()
