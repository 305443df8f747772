"""Values and pure functions. If a file is in here, it opens no socket, reads no clock and asks no environment."""
