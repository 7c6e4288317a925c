"""What every other package stands on: errors, money, time and settings."""
