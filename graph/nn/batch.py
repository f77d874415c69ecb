"""The steps of a batch, one kernel each: calling one takes a few microseconds; one of all, half a minute to compile."""

from __future__ import annotations

from graph.nn.attention import Sources, add_ages, ask_ages, attend, locate, question
from graph.nn.desk import ROWS, Desk, Events
from graph.nn.kernels import encode, keep, keep_messages, look_at, mark, plan, recollect, remember
from graph.nn.memory import flat
from graph.nn.nodes import Nodes
from graph.nn.tiles import Floats, Ints, product
from graph.nn.weights import Net


def advance(net: Net, nodes: Nodes, desk: Desk, events: Events, out: Floats) -> None:
    """At most `EVENTS` events; into `out` each row's embedding from before its event, unless `out` has no rows."""
    count, rows, memory = len(events.at), len(events.node), nodes.memory
    waves = plan(nodes.presence, nodes.rings, desk.reads, desk.waves, events)
    product(events.message, 0, net.message, count, net.said, desk.said, 0)
    encode(net.turns, net.start, desk.reads.gap, 0, rows, desk.phase, net.time)
    product(desk.phase, 0, net.time, rows, net.since, desk.since, 0)
    other = desk.other if events.ends > 1 else desk.nothing
    remember(
        memory.memory, desk.memory, desk.reads, desk.waves, waves, events.ends, net.own, net.other,
        desk.inputs, desk.own, other, desk.said, net.said.width, desk.since, desk.gate,
    )  # fmt: skip
    recollect(desk.memory, memory.static, events.node, net.recall, desk.inputs, desk.recall)
    if len(out):
        answer(net, nodes, desk, events.node, out)
    put_away(net, nodes, desk, events.node)
    keep_messages(nodes.rings, events.owner, desk.said, net.said.width, 3 * net.memory, net.embedding)


def answer(net: Net, nodes: Nodes, desk: Desk, slots: Ints, out: Floats) -> None:
    """The embeddings (rows, o) of what is in `desk.reads`, a row for each slot."""
    rows, part, heads, memory, rings = len(slots), net.embedding // net.heads, net.heads, nodes.memory, nodes.rings
    sources = Sources(
        recall=memory.recall,
        new_recall=desk.recall,
        width=net.recall.width,
        message=rings.message,
        said=desk.said,
        said_width=net.said.width,
        said_at=3 * net.memory,
    )
    question(memory.memory, desk.memory, memory.static, desk.reads, slots, net.ask, desk.inputs, desk.ask)
    ask_ages(desk.ask, rows, net.ask.width, net.wanted, desk.wanted)
    locate(desk.reads, sources, rows, rings.size, net.embedding)
    attend(
        desk.reads, rings.size, desk.row, net.turns, net.start, rows, desk.ask, net.ask.width,
        desk.wanted, net.wanted[0].width, desk.mixed, net.time, heads, part, out,
    )  # fmt: skip
    add_ages(desk.mixed, len(desk.mixed) // (heads * ROWS), rows, net.aged, desk.aged, out, part)


def room(rows: int, columns: int) -> Floats:
    """For embeddings (rows, columns): behind them lies what a vector reads too much."""
    return flat(rows, columns)[: rows * columns].reshape(rows, columns)


def embed(net: Net, nodes: Nodes, desk: Desk, slots: Ints, at: Ints) -> Floats:
    """The embeddings (n, o) of any number of nodes at any times."""
    out = room(len(slots), net.embedding)
    for first in range(0, len(slots), ROWS):
        some = slots[first : first + ROWS]
        look_at(nodes.presence, nodes.rings, desk.reads, some, at[first : first + ROWS])
        answer(net, nodes, desk, some, out[first : first + ROWS])
    return out


def refresh(net: Net, nodes: Nodes, desk: Desk, slots: Ints) -> None:
    """Keys and values of nodes anew, from their memory and what was said of them."""
    for first in range(0, len(slots), ROWS):
        some = slots[first : first + ROWS]
        mark(nodes.presence, some, nodes.memory.memory, desk.memory, net.memory)
        recollect(desk.memory, nodes.memory.static, some, net.recall, desk.inputs, desk.recall)
        put_away(net, nodes, desk, some)


def put_away(net: Net, nodes: Nodes, desk: Desk, slots: Ints) -> None:
    """The desk's memories become the nodes'."""
    memory, width, both = net.memory, net.recall.width, 2 * net.embedding
    keep(nodes.memory, nodes.presence, slots, desk.memory, memory, desk.recall, width, both)
