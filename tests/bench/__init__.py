"""Every figure that the docs quote, measured: `make bench`, or `make bench ARGS="pages joins starts static"`.

Contenders of one comparison run interleaved, round by round, so that what else the machine does meets them alike; a
ratio is the median of the rounds' own ratios. Nothing leaves the loopback interface, apart from npm's download of
Lighthouse. docs/benchmarks.md says how to read the tables.
"""
