"""Every administrative operation, once: for the command, the control socket and the demonstration."""
