# Removes include paths that CMake rejects. Include it after rosidl_generate_interfaces.

# The ROS 2 wheels contain paths of their build machine; ROS 2 from apt does not.
get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported_targets)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(directories)
    list(FILTER directories EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
  endif()
endforeach()

# The generator exports NumPy's include path, which CMake rejects if NumPy is in a virtual environment in this checkout.
if(TARGET ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(directories ${PROJECT_NAME}__rosidl_generator_py INTERFACE_INCLUDE_DIRECTORIES)
  list(TRANSFORM directories REPLACE "^(/.+)$" "$<BUILD_INTERFACE:\\1>")
  set_target_properties(${PROJECT_NAME}__rosidl_generator_py PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
endif()
