"""A site's snapshot as records of the compacted state topic: chunks, and a manifest that says what makes a whole.

Written in one transaction, so a reader finds a snapshot complete or not at all; the digest says so once more, since a topic
can be tampered with, or lose records by a wrong retention.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

CHUNK = 512 << 10
FORMAT = 1
MANIFEST = "manifest"
TOLD = "told"


class DamagedStateError(Exception):
    """The state topic does not hold what its manifest says."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`offset`: the first record that the snapshot does not know. `made`: findings that it has made, by kind."""

    format: int = FORMAT
    offset: int
    chunks: int
    digest: str
    made: dict[str, int]


def keys(site: str, chunks: int, *, start: int = 0) -> Iterator[str]:
    return (f"{site}/{number:06}" for number in range(start, chunks))


def split(
    site: str, snapshot: bytes, *, offset: int, made: Mapping[str, int], before: int
) -> Iterator[tuple[str, bytes | None]]:
    """The records of a snapshot; the last is the manifest. `before`: chunks of the one that it replaces."""
    parts = [snapshot[at : at + CHUNK] for at in range(0, len(snapshot), CHUNK)]
    yield from zip(keys(site, len(parts)), parts, strict=True)
    for key in keys(site, before, start=len(parts)):
        yield key, None
    manifest = Manifest(offset=offset, chunks=len(parts), digest=_digest(snapshot), made=dict(made))
    yield f"{site}/{MANIFEST}", msgspec.json.encode(manifest)


def joined(site: str, held: Mapping[str, bytes]) -> tuple[Manifest, bytes] | None:
    """A site's snapshot from the newest record of each key; None if there is none. Raises DamagedStateError."""
    if f"{site}/{MANIFEST}" not in held:
        return None
    manifest = _read(held[f"{site}/{MANIFEST}"], site)
    snapshot = b"".join(held.get(key, b"") for key in keys(site, manifest.chunks))
    if _digest(snapshot) != manifest.digest:
        raise DamagedStateError(f"the snapshot of site {site} is damaged: its records do not match their manifest")
    return manifest, snapshot


def _read(value: bytes, site: str) -> Manifest:
    try:
        manifest = msgspec.json.decode(value, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DamagedStateError(f"the manifest of site {site} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise DamagedStateError(f"the snapshot of site {site} has format {manifest.format}, this worker reads {FORMAT}")
    return manifest


def sites(held: Mapping[str, bytes]) -> set[str]:
    """The sites of which a partition of the state topic knows anything."""
    return {key.partition("/")[0] for key in held if "/" in key}


def _digest(snapshot: bytes) -> str:
    return hashlib.blake2b(snapshot, digest_size=32).hexdigest()
