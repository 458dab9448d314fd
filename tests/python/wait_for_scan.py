#!/usr/bin/env python3
"""Follows the events of a daemon until a scan is closed. usage: wait_for_scan.py SOCKET SCAN"""
import http.client
import json
import socket
import sys


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def main(path, scan):
    connection = Connection(path)
    connection.request("GET", "/v1/events")
    answer = connection.getresponse()
    for line in answer:
        if line.startswith(b"data:"):
            event = json.loads(line[5:])
            if event.get("event") == "scan_closed" and event["scan"] == scan:
                return 0 if event["complete"] else 1
    return 1


sys.exit(main(*sys.argv[1:]))
