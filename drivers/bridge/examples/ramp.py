#!/usr/bin/env python3
"""A helper for drivers/bridge, complete but for a camera. Its counts are the band's number plus the frame's.

usage: ramp.py [PIXELS BANDS [SOCKET]]

It talks over standard input and output, or listens on a unix socket. A camera's library takes the place of `Camera`.
drivers/bridge/src/lib.rs describes the framing.
"""

import os
import select
import socket
import struct
import sys
import time
from array import array


class Camera:
    """The part of a camera's library."""

    def __init__(self, pixels, bands):
        self.pixels, self.bands = pixels, bands
        self.exposure_us, self.frame_rate_hz = 1000.0, 50.0
        self.shutter_open = True

    def greeting(self):
        return {
            "version": 1,
            "model": "ramp in Python",
            "serial": "PY01",
            "pixels": self.pixels,
            "bands": self.bands,
            "wavelengths_nm": ",".join(str(400 + 5 * band) for band in range(self.bands)),
            "saturation": 4095,
            "shutter": 1,
            "max_frame_rate_hz": 500,
            "exposure_range_us": "10,20000",
            "counter_bits": 16,
            "counter_start": 0,
        }

    def apply(self, exposure_us, frame_rate_hz, binning):
        if binning != "1,1":
            raise ValueError(f"binning {binning}: it does not bin")
        self.exposure_us = min(max(float(exposure_us), 10.0), 20000.0)
        self.frame_rate_hz = min(float(frame_rate_hz), 500.0, 1e6 / self.exposure_us)
        return {"exposure_us": self.exposure_us, "frame_rate_hz": self.frame_rate_hz, "binning": "1,1"}

    def frame(self, number):
        lowest = number % 4000 if self.shutter_open else 0
        counts = array("H")
        for band in range(self.bands):
            counts.extend([lowest + band] * self.pixels)
        if sys.byteorder == "big":
            counts.byteswap()
        return counts.tobytes()


def message(tag, body):
    return tag + struct.pack("<I", len(body)) + body


def text(tag, keys):
    return message(tag, "".join(f"{key} = {value}\n" for key, value in keys.items()).encode())


def serve(camera, lines, out):
    """Reads lines from one descriptor and writes messages to the other, until the lines end."""

    def send(data):
        view = memoryview(data)
        while view:
            view = view[os.write(out, view):]

    send(text(b"HELO", camera.greeting()))
    waiting, stream, number, begun = b"", None, 0, 0.0
    while True:
        # The wait ends with the next frame at the latest.
        due = None if stream is None else max(0.0, begun + number / camera.frame_rate_hz - time.monotonic())
        if select.select([lines], [], [], due)[0]:
            piece = os.read(lines, 4096)
            if not piece:
                return
            waiting += piece
            *whole, waiting = waiting.split(b"\n")
            for line in whole:
                id, word, *pairs = line.decode().split()
                values = dict(pair.split("=", 1) for pair in pairs)
                answer = {"id": id}
                try:
                    if word == "apply":
                        answer |= camera.apply(**values)
                    elif word == "shutter":
                        camera.shutter_open = values["open"] == "1"
                    elif word == "start":
                        stream, number, begun = int(values["stream"]), 0, time.monotonic()
                    elif word == "stop":
                        stream = None
                    elif word != "status":
                        raise ValueError(f"no such word: {word}")
                    send(text(b"DONE", answer))
                except (KeyError, TypeError, ValueError) as error:
                    send(text(b"FAIL", answer | {"reason": error}))
        elif stream is not None:
            head = struct.pack("<QQqII", number & 0xFFFF, time.monotonic_ns(), time.time_ns(), stream, 0)
            send(message(b"FRAM", head + camera.frame(number)))
            number += 1


def main():
    pixels, bands = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (32, 8)
    if len(sys.argv) <= 3:
        serve(Camera(pixels, bands), 0, 1)
        return
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[3])
        listener.listen()
        while True:
            caller, _ = listener.accept()
            try:
                serve(Camera(pixels, bands), caller.fileno(), caller.fileno())
            except OSError:
                pass
            caller.close()


try:
    main()
except BrokenPipeError:
    pass
