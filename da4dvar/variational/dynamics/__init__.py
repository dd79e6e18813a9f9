"""Right-hand sides of ODEs, and the Runge-Kutta step that integrates them."""
