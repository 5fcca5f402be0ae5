#!/usr/bin/env python3
"""A second implementation of the link's wire format, written from docs/spec/link.md alone.

Usage: link_reader.py PAGE. Decodes every golden frame of the page into fields and writes it again from the fields alone.
Prints a line for each frame; ends with status 1 if a frame has bytes the page does not explain, or comes out otherwise.
"""
import re
import sys


class Broken(Exception):
    """A rule of the page was broken."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Broken("the body is too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def left(self):
        return self.at < len(self.data)

    def varint(self, longest):
        value = 0
        for index in range(longest):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if index and byte == 0:
                    raise Broken("a varint is not minimal")
                return value
        raise Broken("a varint is too long")


def varint(value):
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


# A field is a pair of functions: read from a Reader, and back to bytes.
V = (lambda r: r.varint(5), varint)
V64 = (lambda r: r.varint(10), varint)
U8 = (lambda r: r.take(1)[0], lambda v: bytes([v]))
U32 = (lambda r: int.from_bytes(r.take(4), "little"), lambda v: v.to_bytes(4, "little"))
STR = (lambda r: r.take(r.varint(5)), lambda v: varint(len(v)) + v)
REST = (lambda r: r.rest(), lambda v: v)


def fixed(count):
    return (lambda r: r.take(count), lambda v: v)


def record(*fields):
    """Fields one behind the other."""
    return (
        lambda r: [read(r) for read, _ in fields],
        lambda values: b"".join(write(value) for (_, write), value in zip(fields, values)),
    )


def until_end(field):
    """As many as there are."""

    def read(r):
        values = []
        while r.left():
            values.append(field[0](r))
        return values

    return read, lambda values: b"".join(field[1](value) for value in values)


def counted(field):
    """A count in one byte, and that many."""
    return (
        lambda r: [field[0](r) for _ in range(r.take(1)[0])],
        lambda values: bytes([len(values)]) + b"".join(field[1](value) for value in values),
    )


def optional(field, absent=None):
    """Optional: there if anything is left."""
    return (
        lambda r: field[0](r) if r.left() else absent,
        lambda value: b"" if value == absent else field[1](value),
    )


def publish():
    def read(r):
        head = r.take(1)[0]
        topic = r.take(1)[0] if head & 0x40 else STR[0](r)
        return head, topic, r.rest()

    def write(value):
        head, topic, payload = value
        return bytes([head]) + (bytes([topic]) if head & 0x40 else STR[1](topic)) + payload

    return read, write


def message():
    def read(r):
        head = r.take(1)[0]
        if head & ~3:
            raise Broken("a bit without a meaning")
        delivery = V[0](r) if head & 1 else None
        return head, delivery, STR[0](r), r.rest()

    def write(value):
        head, delivery, topic, payload = value
        return bytes([head]) + (b"" if delivery is None else varint(delivery)) + STR[1](topic) + payload

    return read, write


def connect():
    base = record(V, V, STR, STR)
    will = record(U8, STR, STR)
    tls = record(counted(STR), counted(STR), STR)

    def parts(flags):
        return [(0x04, STR), (0x04, STR), (0x08, will), (0x10, tls)], flags

    def read(r):
        flags = r.take(1)[0]
        if flags & 0xC0:
            raise Broken("a bit without a meaning")
        fields, _ = parts(flags)
        return flags, base[0](r), [field[0](r) for bit, field in fields if flags & bit]

    def write(value):
        flags, fixed_part, more = value
        fields = [field for bit, field in parts(flags)[0] if flags & bit]
        return bytes([flags]) + base[1](fixed_part) + b"".join(f[1](v) for f, v in zip(fields, more))

    return read, write


def http_response():
    def read(r):
        result, status = r.take(1)[0], V[0](r)
        lengths = [r.varint(3) for _ in range(r.take(1)[0])]
        return result, status, [r.take(length) for length in lengths], r.rest()

    def write(value):
        result, status, headers, body = value
        head = bytes([result]) + varint(status) + bytes([len(headers)])
        return head + b"".join(varint(len(h)) for h in headers) + b"".join(headers) + body

    return read, write


def config_response():
    def read(r):
        result = r.take(1)[0]
        items = [(r.take(1)[0], r.varint(3)) for _ in range(r.take(1)[0])]
        return result, [(code, r.take(length)) for code, length in items]

    def write(value):
        result, items = value
        head = b"".join(bytes([code]) + varint(len(data)) for code, data in items)
        return bytes([result, len(items)]) + head + b"".join(data for _, data in items)

    return read, write


CODES = record(U8, REST)
NOTHING = record()
# (way, on channel 0?, kind): how the body reads (sections 4 and 5 of the page).
FRAMES = {
    ("cloud", True, 0): record(V, U32, U8, V64, fixed(32)),
    ("cloud", True, 1): record(V),
    ("cloud", True, 2): record(V, V64, REST),
    ("cloud", True, 3): NOTHING,
    ("cloud", True, 4): record(V, REST),
    ("device", True, 0): record(V, V, V, V64, U8),
    ("device", True, 1): record(V),
    ("device", True, 2): record(V),
    ("device", True, 3): record(V64),
    ("device", True, 4): record(V, REST),
    ("device", True, 5): record(U8),
    ("cloud", False, 0): record(U8, V),
    ("cloud", False, 1): NOTHING,
    ("cloud", False, 2): record(V, V),
    ("cloud", False, 3): record(U8, REST),
    ("cloud", False, 4): publish(),
    ("cloud", False, 5): connect(),
    ("cloud", False, 6): until_end(record(U8, STR)),
    ("cloud", False, 7): until_end(STR),
    ("cloud", False, 8): NOTHING,
    ("cloud", False, 9): record(V),
    ("cloud", False, 10): record(STR, STR, V, counted(STR), REST),
    ("cloud", False, 11): until_end(record(U8, STR)),
    ("cloud", False, 12): REST,
    ("device", False, 1): record(U8),
    ("device", False, 2): record(V),
    ("device", False, 3): NOTHING,
    ("device", False, 4): message(),
    ("device", False, 5): record(U8, V, REST),
    ("device", False, 6): record(U8, optional(V, 0)),
    ("device", False, 7): record(U8, V),
    ("device", False, 8): CODES,
    ("device", False, 9): CODES,
    ("device", False, 10): record(U8, V),
    ("device", False, 11): http_response(),
    ("device", False, 12): config_response(),
    ("device", False, 13): REST,
}
LONGEST = 4096


def frames(data):
    """Cuts bytes into (kind, channel, more, body)."""
    reader = Reader(data)
    while reader.left():
        first = reader.take(1)[0]
        length = reader.varint(2)
        if length >> 1 > LONGEST:
            raise Broken("a frame is too long")
        yield first >> 4, first & 15, length & 1, reader.take(length >> 1)


def frame(kind, channel, more, body):
    return bytes([kind << 4 | channel]) + varint(len(body) << 1 | more) + body


def again(way, data):
    """The fields of the one item in these bytes, and the bytes encoded from them again."""
    pieces = list(frames(data))
    kind, channel, _, _ = pieces[0]
    if [more for _, _, more, _ in pieces] != [1] * (len(pieces) - 1) + [0]:
        raise Broken("an item is not finished")
    if any((k, c) != (kind, channel) for k, c, _, _ in pieces):
        raise Broken("fragments of two items")
    layout = FRAMES.get((way, channel == 0, kind))
    if layout is None:
        raise Broken("a kind without a meaning")
    reader = Reader(b"".join(body for _, _, _, body in pieces))
    fields = layout[0](reader)
    if reader.left():
        raise Broken("bytes after the last field")
    out, body = b"", layout[1](fields)
    for index, (_, _, more, piece) in enumerate(pieces):
        part, body = (body[: len(piece)], body[len(piece) :]) if more else (body, b"")
        out += frame(kind, channel, more, part)
    return fields, out


def golden(page):
    appendix = page.split("## Appendix: Golden frames")[1]
    for row in re.finditer(r"^\| `([^`]+)` \| `([0-9a-f ]+)` \| → (cloud|device) \|", appendix, re.M):
        yield row[1], bytes.fromhex(row[2]), row[3]


def main():
    with open(sys.argv[1], encoding="utf-8") as page:
        rows = list(golden(page.read()))
    failed = 0
    for name, data, way in rows:
        try:
            fields, out = again(way, data)
            verdict = "same" if out == data else f"comes out as {out.hex(' ')}"
        except Broken as broken:
            fields, verdict = None, f"broken: {broken}"
        failed += verdict != "same"
        print(f"{verdict}: {name}: {fields}")
    print(f"{len(rows)} frames, {failed} not the same")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
