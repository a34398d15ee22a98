"""ROS messages as input: images and calibrations of any class with the fields of sensor_msgs, rclpy's or a bag's."""
