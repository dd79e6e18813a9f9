"""Right-hand sides φ of ordinary differential equations, one a file."""
