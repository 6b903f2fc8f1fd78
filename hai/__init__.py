"""Hai: a self-hosted place where people send each other short texts and pictures.

Five levels; imports point down only, and tests/test_layers.py proves it:

    4  app  cli  bench      put the parts together, start, stop and measure them
    3  web  realtime  bots  edges: speak a protocol, never import one another
    2  core                 what Hai means: rules, permissions, use cases
    1  storage              tables, SQL, the writer thread
    0  config errors events shapes bus ids clock units paths children metrics: stdlib

A request goes in through an edge, asks core to do one thing, and core asks storage to
make it durable. A fact comes out as an event on the bus after the commit, and the edges
that care pick it up. Start reading at events.py, then app.py.
"""

__version__ = "0.2.0"
