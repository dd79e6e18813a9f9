"""Right-hand sides of ODEs, and one step of Runge and Kutta."""
