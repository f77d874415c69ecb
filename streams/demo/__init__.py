"""`make demo`: a water plant works, breaks, is understood and acted upon, in about a minute, in one terminal."""

from streams.demo.story import Demo, Plot

__all__ = ["Demo", "Plot"]
