"""One integrator for every flow; stepper, controller, observation times and events are separate values."""
