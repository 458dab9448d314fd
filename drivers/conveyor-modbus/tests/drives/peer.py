"""Drives behind a pymodbus server, over TCP or over a pseudo-terminal.

usage: peer.py tcp|rtu PROFILE [counter]

The drive is unit 1. A counter, at the same belt, is unit 2. The program prints `at PLACE` once they can be reached. Then it prints every
frame on the wire: `> HEX` (to a unit), `< HEX` (from it). Lines on standard input set faults: NAME [NUMBER...]. The numbers of
`silent`, `crc`, `short` and `other_unit` select units. Without numbers all units are selected.
"""

import asyncio
import os
import sys
import threading
import time
import tty

from pymodbus.constants import ExcCodes
from pymodbus.framer.rtu import FramerRTU
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

RAMP_HZ_PER_S = 400.0
DRIVE, COUNTER = 1, 2


def say(text):
    # A line is one write, because several threads print.
    os.write(1, f"{text}\n".encode())


class Drive:
    """A motor that follows its setpoint by a ramp."""

    registers: tuple = ()

    def __init__(self):
        self.hz, self.target, self.at = 0.0, 0.0, time.monotonic()
        self.counter = 0.0
        self.fault = 0
        self.words = {}

    def target_hz(self):
        return 0.0

    def step(self):
        now = time.monotonic()
        dt, self.at = now - self.at, now
        target = 0.0 if self.fault or "stuck" in faults else self.target_hz()
        if "runaway" in faults:
            target = self.hz
        change = max(-RAMP_HZ_PER_S * dt, min(RAMP_HZ_PER_S * dt, target - self.hz))
        before, self.hz = self.hz, self.hz + change
        if "still" not in faults:
            self.counter += (before + self.hz) / 2 * dt * 40.0

    def turning(self):
        return self.hz != 0.0 or "lying" in faults


class V20(Drive):
    registers = (0, 1, 53, 99, 100, 109, 110)

    def __init__(self):
        super().__init__()
        self.words = {99: 0, 100: 0}
        self.run = 0

    def target_hz(self):
        return self.run * self.words[100] / 16384 * 50.0

    def write(self, address, value):
        self.words[address] = value
        if address == 99:
            if value & 0x0080:
                self.fault = 0
            self.run = {0x0C7F: 1, 0x047F: -1}.get(value, 0)

    def read(self):
        status = 0x0001 | (0x0002 if self.words[99] & 1 else 0)
        status |= 0x0004 if self.turning() else 0
        status |= 0x0008 if self.fault else 0
        return {53: self.fault, 109: status, 110: round(self.hz / 50.0 * 16384) & 0xFFFF}


class MS300(Drive):
    registers = (0x0902, 0x0903, 0x2000, 0x2001, 0x2002, 0x2100, 0x2101, 0x2102, 0x2103, 0x2104)

    def __init__(self):
        super().__init__()
        self.words = {0x2001: 0}
        self.run = 0

    def target_hz(self):
        return self.run * self.words[0x2001] / 100

    def write(self, address, value):
        self.words[address] = value
        if address == 0x2000:
            self.run = {0x12: 1, 0x22: -1}.get(value, 0)
        if address == 0x2002 and value & 2:
            self.fault = 0

    def read(self):
        bits = 0
        if self.turning():
            bits = 3 if self.run else 1
        bits |= 0x18 if self.hz < 0 else 0
        return {0x2100: self.fault, 0x2101: bits, 0x2102: self.words[0x2001], 0x2103: round(abs(self.hz) * 100), 0x2104: 12}


class ABB(Drive):
    registers = (0, 1, 3, 4, 5, 400, 3017, 3018)

    def __init__(self):
        super().__init__()
        self.words = {0: 0, 1: 0}

    def target_hz(self):
        reference = self.words[1] - 65536 if self.words[1] > 32767 else self.words[1]
        return reference / 20000 * 50.0 if self.words[0] == 0x047F else 0.0

    def write(self, address, value):
        self.words[address] = value
        if address == 0 and value & 0x0080:
            self.fault = 0

    def read(self):
        status = 0x0001 | (0x0004 if self.turning() else 0) | (0x0008 if self.fault else 0)
        return {3: status, 4: round(self.hz / 50.0 * 20000) & 0xFFFF, 5: 0, 400: self.fault}


class Altivar(Drive):
    registers = (3201, 3202, 6005, 7121, 8501, 8502)

    def __init__(self):
        super().__init__()
        self.words = {8501: 0, 8502: 0}
        self.state = 0x0040

    def target_hz(self):
        sign = -1 if self.words[8501] & 0x0800 else 1
        return sign * self.words[8502] / 10 if self.state == 0x0027 else 0.0

    def write(self, address, value):
        self.words[address] = value
        if address != 8501:
            return
        if value & 0x0080:
            self.fault = 0
        step = value & 0x000F
        if step == 6:
            self.state = 0x0021
        elif step == 7 and self.state in (0x0021, 0x0027):
            self.state = 0x0023
        elif step == 15 and self.state == 0x0023:
            self.state = 0x0027

    def read(self):
        state = 0x0008 if self.fault else self.state
        if "lying" in faults:
            state = 0x0027
        return {3201: state, 3202: round(self.hz * 10) & 0xFFFF, 7121: self.fault}


class PLC(Drive):
    registers = (0, 1, 2, 10, 11, 12, 20, 21)

    def __init__(self):
        super().__init__()
        self.words = {0: 0, 1: 0}
        # It wraps soon.
        self.counter = 2.0**32 - 300

    def target_hz(self):
        speed = self.words[1] - 65536 if self.words[1] > 32767 else self.words[1]
        return speed / 10 if self.words[0] == 1 else 0.0

    def write(self, address, value):
        self.words[address] = value

    def read(self):
        counter = round(self.counter + (1 << 24 if "jump" in faults else 0)) & 0xFFFFFFFF
        status = (0x0001 if self.turning() else 0) | (0x0002 if self.fault else 0)
        return {10: status, 11: round(self.hz * 10) & 0xFFFF, 12: self.fault, 20: counter >> 16, 21: counter & 0xFFFF}


class Counter:
    """An encoder counter of its own, 32 bits, the lower half first."""

    registers = (7, 8)
    words: dict = {}

    def __init__(self, drive):
        self.drive = drive

    def step(self):
        self.drive.step()

    def write(self, address, value):
        raise NotImplementedError

    def read(self):
        counter = round(self.drive.counter) & 0xFFFFFFFF
        return {7: counter & 0xFFFF, 8: counter >> 16}


DRIVES = {"siemens-v20": V20, "delta-ms300": MS300, "abb-acs": ABB, "schneider-altivar": Altivar, "plc": PLC}
faults = {}
drive = DRIVES[sys.argv[2]]()


def accessed(unit):
    async def access(function, start, address, count, registers, values):
        """Answers one request with an exception, a lie, or the unit's own answer."""
        if "slow" in faults and function == 3:
            await asyncio.sleep(faults["slow"][0] / 1000)
        unit.step()
        if address in faults.get("refuse", ()):
            return ExcCodes.ILLEGAL_VALUE
        if values:
            for i, value in enumerate(values):
                unit.write(address + i, value)
            unit.step()
        for register, word in unit.read().items():
            registers[register - start] = word
        if values is None:
            for register in unit.words.keys() & range(address, address + count):
                registers[register - start] = unit.words[register]
        for register, word in zip(faults.get("lie", ())[::2], faults.get("lie", ())[1::2]):
            if function == 3 and address <= register < address + count:
                registers[register - start] = word
        return None

    return access


def hear():
    for line in sys.stdin:
        name, *numbers = line.split()
        if name == "trip":
            drive.fault = int(numbers[0])
        elif name == "clear":
            faults.clear()
        else:
            faults[name] = [int(n, 0) for n in numbers]
        say(f"done {name}")
    os._exit(0)


def traced(sending, data):
    if data:
        say(f"{'<' if sending else '>'} {data.hex(' ').upper()}")
    return data


def with_checksum(body):
    crc = FramerRTU.compute_CRC(body)
    return body + crc.to_bytes(2, "big")


def spoilt(fault, frame):
    return fault in faults and frame[0] in (faults[fault] or (frame[0],))


def carry(source, target, sign):
    """Carries frames from one pseudo-terminal to the other, and spoils answers."""
    while True:
        frame = os.read(source, 256)
        time.sleep(0.002)
        if sign == "<":
            if spoilt("silent", frame):
                continue
            if spoilt("crc", frame):
                frame = frame[:-1] + bytes([frame[-1] ^ 0x55])
            if spoilt("short", frame):
                frame = frame[:4]
            elif spoilt("other_unit", frame):
                frame = with_checksum(bytes([frame[0] % 2 + 1]) + frame[1:-2])
        say(f"{sign} {frame.hex(' ').upper()}")
        os.write(target, frame)


async def main():
    loop = asyncio.get_running_loop()
    units = {DRIVE: drive} | ({COUNTER: Counter(drive)} if "counter" in sys.argv[3:] else {})
    devices = []
    for number, unit in units.items():
        blocks = [SimData(address, values=0, datatype=DataType.REGISTERS) for address in unit.registers]
        devices.append(SimDevice(number, simdata=blocks, action=accessed(unit)))
    threading.Thread(target=hear, daemon=True).start()
    if sys.argv[1] == "tcp":
        server = ModbusTcpServer(devices, address=("127.0.0.1", 0), trace_packet=traced)
        await server.listen()
        port = server.transport.sockets[0].getsockname()[1]
        say(f"at 127.0.0.1:{port}")
    else:
        (ours, theirs), (line, end) = os.openpty(), os.openpty()
        for fd in (ours, theirs, line, end):
            tty.setraw(fd)
        server = ModbusSerialServer(devices, port=os.ttyname(theirs), baudrate=19200)
        await server.listen()
        threading.Thread(target=carry, args=(line, ours, ">"), daemon=True).start()
        threading.Thread(target=carry, args=(ours, line, "<"), daemon=True).start()
        say(f"at {os.ttyname(end)}")
    await server.serving if hasattr(server, "serving") else await asyncio.Event().wait()


asyncio.run(main())
