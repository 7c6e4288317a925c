"""Running Seawall: the demo, the doctor."""
