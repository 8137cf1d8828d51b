"""Mutated files, decoded in a process of their own: run as a script, it prints what came of them as JSON.

Arguments: how many, and the seed of the mutations.
"""

import json
import resource
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import decode, open_picture
from tests.memory import peak_mib
from tests.pipeline.images.cases import plain_files

MAX_BYTES = 512_000_000
REAL = Path("../shared/data/edge_cases")
MAX_REAL_BYTES = 150_000


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Damage a file in one of eight ways."""
    data = bytearray(content)
    at = int(random.integers(len(data)))
    head = int(random.integers(min(len(data), 64)))
    match int(random.integers(8)):
        case 0:
            data[at] ^= 1 << int(random.integers(8))
        case 1:
            data[at : at + int(random.integers(1, 64))] = random.bytes(int(random.integers(1, 64)))
        case 2:
            del data[at : at + int(random.integers(1, 256))]
        case 3:
            data[at:at] = random.bytes(int(random.integers(1, 256)))
        case 4:
            data[head : head + 4] = b"\xff\xff\xff\xff"
        case 5:
            data[head : head + 4] = bytes(4)
        case 6:
            other = int(random.integers(len(data)))
            data[at : at + 40], data[other : other + 40] = data[other : other + 40], data[at : at + 40]
        case _:
            for place in random.integers(min(len(data), 200), size=3):
                data[place] = int(random.integers(256))
    return bytes(data)


def outcome(content: bytes) -> str:
    """Return "pixels" or the status; anything else ends the process."""
    try:
        pixels = decode(content, max_bytes=MAX_BYTES)
        header = open_picture(content).header
        scaled = open_picture(content).decode_scaled(16, max_bytes=MAX_BYTES)
    except ImageError as error:
        status, said = error.status, str(error)
    else:
        assert pixels.dtype == np.uint8
        assert pixels.shape in {(header.height, header.width), (header.height, header.width, 3)}
        assert (scaled.width, scaled.height) == (header.width, header.height)
        return "pixels"
    assert status in set(Reason), said
    assert len(said.splitlines()) == 1, said
    return status


def main() -> None:
    # More than this is a crash with MemoryError, which is no status.
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    seeds = list(plain_files().values())
    if REAL.is_dir():
        seeds += [path.read_bytes() for path in sorted(REAL.iterdir()) if path.stat().st_size < MAX_REAL_BYTES]
    count, seed = (int(argument) for argument in sys.argv[1:])
    random = np.random.default_rng(seed)
    outcomes: Counter[str] = Counter()
    for number in range(count):
        content = mutate(seeds[number % len(seeds)], random)
        outcomes[outcome(content)] += 1
    json.dump({"outcomes": outcomes, "peak_mib": peak_mib(), "seeds": len(seeds)}, sys.stdout)


if __name__ == "__main__":
    main()
