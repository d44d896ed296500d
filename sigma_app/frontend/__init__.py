"""From Reflex pages to bytes in memory: toolchain, build, finish, serve."""
