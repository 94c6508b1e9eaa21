"""Writes the source of a scanner: one pass over the bytes, in the order of the schema.

Names in the source: `v` the value, `o` the offset, `s` the start of text not yet checked, `b3` the offset where
field 3 begins, `x3` its wanted value; `n` lengths and counts, `c` index bytes, `e` where a block says it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.avro.shape import Array, Date, Decimal, Enum, Fixed, Map, Record, Shape, Timestamp, Union
from hub.avro.stretch import Stretch
from hub.avro.union import candidates_of

SHORT = 64
"""Enums and unions up to this many members have an index of one byte below 128."""


class Walk(Stretch):
    """Emits the walk over shapes."""

    def walk(self, shape: Shape, want: str = "") -> None:
        """Emit the step over one value; with `want`, also assign its raw value to that variable."""
        if isinstance(shape, Record):
            for field in shape.fields:
                self.walk(field.shape)
        elif isinstance(shape, Union):
            self.union(shape, want)
        elif isinstance(shape, Array):
            self.array(shape)
        elif isinstance(shape, Map):
            self.map(shape)
        elif isinstance(shape, Enum):
            self.enum(shape, want)
        else:
            self.scalar(shape, want)

    def scalar(self, shape: Shape, want: str) -> None:
        if isinstance(shape, Decimal):
            self.decimal(shape)
        elif isinstance(shape, (Date, Timestamp)):
            self.moment("date" if isinstance(shape, Date) else "timestamp", want)
        elif isinstance(shape, Fixed):
            self.end_text()
            self.add(f"o += {shape.size}")
        elif shape.label in ("int", "long"):
            self.number(shape.label, want)
        elif shape.label == "string":
            self.wanted_string(want) if want else self.string()
        elif shape.label == "boolean":
            self.add("if v[o] > 1: raise Refused", *([f"{want} = v[o] == 1"] if want else []), "o += 1")
        elif shape.label == "bytes":
            self.bytes()
        elif shape.label in ("float", "double"):
            self.floating(shape.label)
        elif want:
            self.add(f"{want} = None")

    def string(self) -> None:
        self.begin_text()
        self.add("n = TEXT[v[o]]", "if n: o += n")
        with self.under("else:"):
            self.check_text()
            self.add("s = o = span(v, o, True)[1]")
        self.unchecked = True

    def wanted_string(self, want: str) -> None:
        """Decoded by itself, which is its check; inside a stretch it stays part of it, as that is cheaper."""
        self.add("n = TEXT[v[o]]", "if n: a = o + 1; o += n")
        with self.under("else:"):
            self.check_text()
            self.add("a, o = span(v, o, True)", *(["s = o"] if self.open else []))
        self.add(f"{want} = v[a:o].decode()")
        self.unchecked = self.open

    def bytes(self) -> None:
        self.end_text()
        self.add("n = TEXT[v[o]]", "if n: o += n", "else: o = span(v, o)[1]")

    def number(self, kind: str, want: str) -> None:
        """One byte goes on in the stretch; two are taken here, more by a step."""
        self.add("c = v[o]; o += 1")
        with self.under("if c > 127:"), self.maybe():
            self.end_text("o - 1")
            if want:
                self.add(f"{want}, o = {kind}_value(v, o - 1)")
            else:
                self.add(
                    f"if v[o] > 127: o = {kind}_value(v, o - 1)[1]",
                    "elif v[o]: o += 1",
                    "else: raise Refused",
                )
        if want:
            self.add(f"else: {want} = c >> 1 ^ -(c & 1)")

    def moment(self, kind: str, want: str) -> None:
        """Dates from 1992 to 3921 have three bytes, timestamps from mid-1970 to 2039 six; others take the step."""
        self.end_text()
        size, last = (3, 87) if kind == "date" else (6, 128)
        # `and` after `and`: a byte is looked at only when the one before says that there is one
        wide = " and ".join(f"v[o + {i}] > 127" for i in range(size - 1))
        with self.under(f"if {wide} and 0 < v[o + {size - 1}] < {last}:"):
            if want:
                self.add("n = " + " | ".join(f"(v[o + {i}] & 127) << {7 * i}" for i in range(size)))
                self.add(f"{want} = n >> 1 ^ -(n & 1)")
            self.add(f"o += {size}")
        self.add(f"else: {want}, o = {kind}_value(v, o)" if want else f"else: o = {kind}_value(v, o)[1]")

    def floating(self, kind: str) -> None:
        """All exponent bits set: NaN or an infinity."""
        self.end_text()
        self.add(f"o += {4 if kind == 'float' else 8}")
        self.add(f"if v[o - 1] & 127 == 127 and v[o - 2] > {127 if kind == 'float' else 239}: raise Refused")

    def decimal(self, shape: Decimal) -> None:
        self.end_text()
        if shape.size:
            self.add(f"a = o; o += {shape.size}")
        else:
            self.add("a, o = span(v, o)", f"if not 0 < o - a <= {shape.longest}: raise Refused")
            self.add(
                "if o - a > 1 and (v[a] == 0 and v[a + 1] < 128 or v[a] == 255 and v[a + 1] > 127): canonical = False"
            )
        self.add(f"if abs(int.from_bytes(v[a:o], 'big', signed=True)) >= {shape.limit}: raise Refused")

    def enum(self, shape: Enum, want: str) -> None:
        last = 2 * len(shape.symbols) - 2
        if len(shape.symbols) > SHORT:
            self.end_text()
            self.add("c, o = coded(v, o)")
        else:
            self.add("c = v[o]; o += 1")
        self.add(f"if c & 1 or c > {last}: raise Refused")
        if want:
            self.add(f"{want} = {shape.symbols!r}[c >> 1]")

    def union(self, shape: Union, want: str) -> None:
        """A shadowed branch is left to the careful path: whether it is canonical depends on the value."""
        if holds_text(shape):
            self.begin_text()
        c = self.name("c")
        if len(shape.branches) > SHORT:
            self.end_text()
            self.add(f"{c}, o = coded(v, o)")
        else:
            self.add(f"{c} = v[o]; o += 1")
        word, unchecked = "if", self.unchecked
        for index, branch in enumerate(shape.branches):
            if index not in candidates_of(shape).shadowed:
                with self.under(f"{word} {c} == {2 * index}:"):
                    self.branch(branch, want, unchecked)
                word = "elif"
        self.add("else: raise Refused")

    def branch(self, shape: Shape, want: str, unchecked: bool) -> None:
        after, self.unchecked = self.unchecked, unchecked
        with self.maybe():
            self.walk(shape, want)
        self.unchecked = self.unchecked or after

    def array(self, shape: Array) -> None:
        self.blocks(holds_text(shape.items), shape.items.smallest, lambda: self.walk(shape.items))

    def map(self, shape: Map) -> None:
        seen, key, last = self.name("seen"), self.name("key"), self.name("last")
        self.add(f"{seen} = set(); {last} = b''")

        def entry() -> None:
            self.end_text()
            self.add(f"{key}, o = map_key(v, o, {seen})")
            self.add(f"if {key} < {last}: canonical = False", f"{last} = {key}")
            self.walk(shape.values)

        self.blocks(False, 1 + shape.values.smallest, entry)

    def blocks(self, text: bool, smallest: int, item: Callable[[], None]) -> None:
        """One block without a size is the common case. With `text` the stretch runs on through the items."""
        n, e = self.name("n"), self.name("e")
        if text:
            self.begin_text()
        self.add(f"{n} = v[o]; o += 1")
        with self.under(f"if {n}:"), self.maybe():
            if not text:
                self.end_text("o - 1")
            with self.under(f"if {n} & 129:"):
                self.block_header(n, e, text, smallest)
                self.add(f"if {e}: canonical = False")
            self.add(f"else: {n} >>= 1; {e} = 0")
            with self.under("while True:"):
                self.items(n, text, item)
                self.add(f"if {e} and {e} != o: raise Refused", f"{n} = v[o]; o += 1", f"if not {n}: break")
                self.add("canonical = False")
                self.block_header(n, e, text, smallest)

    def block_header(self, n: str, e: str, text: bool, smallest: int) -> None:
        """A count that may have several bytes or a size behind it."""
        self.check_text("o - 1")
        self.add(f"{n}, {e}, o = block(v, o - 1, {smallest})")
        if text:
            self.add("s = o")

    def items(self, n: str, text: bool, item: Callable[[], None]) -> None:
        with self.under(f"for _ in range({n}):"):
            # from the second turn on there is text before the item
            self.unchecked = text
            with self.maybe():
                item()
        self.unchecked = text


def holds_text(shape: Shape) -> bool:
    """Whether strings may stand in it outside of maps, whose entries are checked one by one."""
    if isinstance(shape, Record):
        return any(holds_text(field.shape) for field in shape.fields)
    if isinstance(shape, Union):
        return any(holds_text(branch) for branch in shape.branches)
    return holds_text(shape.items) if isinstance(shape, Array) else shape.label == "string"


def has_choices(shape: Shape) -> bool:
    """Whether an encoder has a choice, so that valid bytes may not be canonical."""
    if isinstance(shape, Record):
        return any(has_choices(field.shape) for field in shape.fields)
    if isinstance(shape, Union):
        return any(has_choices(branch) for branch in shape.branches)
    return isinstance(shape, (Array, Map)) or (isinstance(shape, Decimal) and not shape.size)


def raw_want(shape: Shape) -> bool:
    """Whether the walk itself can give the value: a scalar that is no decimal, float, bytes or fixed; or a union
    of such."""
    if isinstance(shape, Union):
        return all(map(raw_want, shape.branches))
    plain = shape.label in ("null", "boolean", "int", "long", "string")
    return isinstance(shape, Enum) or (plain and not isinstance(shape, Decimal))


def scan_source(record: Record, wanted: set[int], boundaries: set[int], results: Sequence[str]) -> str:
    """Source of `scan(v)`: `wanted` are the fields whose raw value goes to `x<i>`, `boundaries` the fields whose
    offset is kept in `b<i>`, `results` the expressions returned after `canonical`."""
    walk = Walk(2)
    if has_choices(record):
        walk.add("canonical = True")
    walk.add("o = 5")
    for i, field in enumerate(record.fields):
        walk.add(f"# {i} {field.name}: {field.shape.label}", *([f"b{i} = o"] if i in boundaries else []))
        walk.walk(field.shape, f"x{i}" if i in wanted else "")
    walk.end_text()
    canonical = "canonical" if has_choices(record) else "True"
    walk.add("if o == len(v):", f"    return {', '.join([canonical, *results])},")
    body = "\n".join(walk.lines)
    return f'''\
def scan(v):
    """{record.label}: (canonical, wanted values, projections), or Refused."""
    try:
{body}
    except (IndexError, UnicodeDecodeError):
        pass  # raised below, so that the bytes do not ride along in the context
    raise Refused
'''
