"""The messages of the live tap: a library of the scripts beside it."""
import struct


def read(path):
    """The whole messages of a file by their kind, without length and kind."""
    messages = open(path, "rb").read()
    found = {}
    at = 0
    while at + 5 <= len(messages):
        (length,) = struct.unpack_from("<I", messages, at)
        if at + 4 + length > len(messages):
            break
        found.setdefault(messages[at + 4], []).append(messages[at + 5 : at + 4 + length])
        at += 4 + length
    return found
