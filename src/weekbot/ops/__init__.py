"""What operators look at: the health server, readiness, metrics, the doctor."""
