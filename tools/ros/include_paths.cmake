# Mends include paths that CMake refuses. To be included after rosidl_generate_interfaces.

# ROS 2's wheels carry paths of the machine that built them. A ROS 2 from apt has none of these.
get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported_targets)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(directories)
    list(FILTER directories EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
  endif()
endforeach()

# The generator exports where it found NumPy, which is refused where that is a virtual environment inside this checkout.
if(TARGET ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(directories ${PROJECT_NAME}__rosidl_generator_py INTERFACE_INCLUDE_DIRECTORIES)
  list(TRANSFORM directories REPLACE "^(/.+)$" "$<BUILD_INTERFACE:\\1>")
  set_target_properties(${PROJECT_NAME}__rosidl_generator_py PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
endif()
