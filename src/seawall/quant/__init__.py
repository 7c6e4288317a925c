"""Pure numerics: arrays in, numbers out; never meets the database."""
