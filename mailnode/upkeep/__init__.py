"""What runs beside the service: verification and repair, sweeping."""
