#!/usr/bin/env python3
"""Starts a scan over HTTP on the control socket and follows it to its end. Python's standard library is enough.

    start_scan.py SOCKET TRAY ROWSxCOLUMNS PLACE=SAMPLE [PLACE=SAMPLE ...]
    start_scan.py data/control.sock T-7 4x3 A1=ore-1 A2=ore-2

Places are a letter for the row and a number for the column. Exits with 0 where the scan is complete, else with 1.
"""

import http.client
import json
import socket
import sys


# Progress comes several times a second; a line is printed each time the belt has moved this far.
PROGRESS_MM = 50


class Control(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=60):
        super().__init__("hyclus", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(path, method, url, body=None):
    """The JSON that a call answers; a problem ends the program with its `detail`, which says what to do."""
    control = Control(path)
    headers = {} if body is None else {"Content-Type": "application/json"}
    control.request(method, url, body=None if body is None else json.dumps(body), headers=headers)
    response = control.getresponse()
    answer = json.loads(response.read())
    if response.status >= 400:
        sys.exit(answer["detail"])
    return answer


def events(path):
    """Server-sent events, those that the daemon still holds first."""
    # The connection says nothing while nothing happens, so it may wait.
    control = Control(path, timeout=None)
    control.request("GET", "/v1/events")
    for line in control.getresponse():
        if line.startswith(b"data:"):
            yield json.loads(line[len(b"data:") :])


def main(path, tray, grid, places):
    rows, columns = (int(number) for number in grid.split("x"))
    containers = [dict(zip(("at", "sample"), place.split("=", 1), strict=True)) for place in places]
    tray = {"tray": tray, "keys": [], "grid": {"rows": rows, "columns": columns}, "container": containers}
    scan = call(path, "POST", "/v1/scans", {"tray": tray})["id"]
    print(f"scan {scan}", flush=True)
    told_mm = float("-inf")
    for event in events(path):
        if event.get("scan") != scan:
            continue
        if event["event"] == "progress" and event["position_mm"] >= told_mm + PROGRESS_MM:
            told_mm = event["position_mm"]
            print(f"  {event['position_mm']:.0f} of {event['end_mm']:.0f} mm, {event['embeddings']} embeddings", flush=True)
        elif event["event"] == "sample_stored":
            record = event["record"]
            print(f"  {record['sample']}: {record['valid']} of {record['pixels']} pixels are valid, {record['file']}", flush=True)
        elif event["event"] == "scan_closed":
            break
    record = call(path, "GET", f"/v1/scans/{scan}")
    for name, camera in record["cameras"].items():
        print(f"  {name}: {camera['received']} lines received, {camera['lost']} lost, {camera['expected']} expected")
    for warning in record["warnings"]:
        print(f"  warning: {warning}")
    print("complete" if record["complete"] else f"incomplete: {record['reason']}")
    return 0 if record["complete"] else 1


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
