"""Running Sigma: whether it is well, for those who look after it and for what stands in front of it."""
