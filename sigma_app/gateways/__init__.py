"""One thin module for each outside service: the configured one, or what stands in for it."""
