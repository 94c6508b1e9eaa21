"""Avro as the hub needs it: strict, explained, and fast where nothing needs explaining.

`codec` is the careful path (decode, encode, plain JSON), `scanner` the generated one, `lint` reads schemas.
"""
