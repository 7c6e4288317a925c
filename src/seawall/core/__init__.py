"""What every other package stands on: errors, money, time, settings and logging."""
