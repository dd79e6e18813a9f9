"""Classical methods, one a file, each with the face of the learned one."""
