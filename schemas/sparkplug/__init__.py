"""Sparkplug B 3.0 as a host application needs it, pure: no I/O and no clock.

    message --topic--> codec --> session of its edge node --> events of `schemas.event`, refusals, wishes for a rebirth

`model` and `datatype` hold the nouns, `wire` and `codec` read and write the payload, `values` knows the data types, `names`
and `topic` how things are called, `sequence`, `mapping`, `session` and `host` who is alive and what was said, `state` the
host's own certificates. Fed by `streams.sparkplug`, which owns the connection. Written from the specification's numbers;
nothing of its sources is in here.
"""
