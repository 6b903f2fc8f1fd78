"""The scenarios of `run.py bench`, and the load generator in load/.

Each scenario has a file of its own; hai/cli/bench.py names them. A scenario starts a
server (processes.py) on a community made for it (community.py), pinned to one core, and
loads it from this process on another core (load/clients.py). CPU time and memory of the
server come from the kernel; latency counts from the moment at which a hai was meant to
be sent, so that a stalled server cannot hide behind a generator that waited for it.
What clients hear is checked byte for byte (load/stream.py). Standard library only, but
for stock.py and stock_pictures.py, the peers to compare with.
"""
