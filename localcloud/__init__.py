"""The local cloud: all that the shop needs of AWS on one machine. `make run` starts it, `make stop` ends it."""
