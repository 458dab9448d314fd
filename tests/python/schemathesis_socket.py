"""schemathesis against the control socket: no answer of the kind 5xx, and none that the OpenAPI document does not describe.

    schemathesis_socket.py SOCKET FOLDER
"""

import os
import socket
import socketserver
import subprocess
import sys
import threading

PATH, FOLDER = sys.argv[1:]
CONFIGURATION = """
seed = 20180703
max-stream-events = 3
request-timeout = 40.0

[checks]
enabled = false
not_a_server_error.enabled = true
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_headers_conformance.enabled = true
response_schema_conformance.enabled = true
negative_data_rejection.enabled = true
unsupported_method.enabled = true

# The answer of a rig from which something is missing.
[[operations]]
include-path = "/v1/health/ready"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]

# It never ends.
[[operations]]
include-path = "/v1/live"
enabled = false
"""


class Relay(socketserver.BaseRequestHandler):
    """schemathesis speaks TCP."""

    def handle(self):
        with socket.socket(socket.AF_UNIX) as inner:
            inner.connect(PATH)
            back = threading.Thread(target=self.copy, args=(inner, self.request), daemon=True)
            back.start()
            self.copy(self.request, inner)
            back.join()

    @staticmethod
    def copy(source, sink):
        try:
            while piece := source.recv(1 << 16):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One of the two has hung up, and so does the other.
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


with Server(("127.0.0.1", 0), Relay) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(os.path.join(FOLDER, "schemathesis.toml"), "w") as file:
        file.write(CONFIGURATION)
    address = "http://127.0.0.1:%d" % server.server_address[1]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", address + "/v1/openapi.json"]
    command += ["--url", address, "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--warnings", "off"]
    environment = dict(os.environ, HYPOTHESIS_STORAGE_DIRECTORY=os.path.join(FOLDER, "hypothesis"))
    done = subprocess.run(command, cwd=FOLDER, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    server.shutdown()
print(done.stdout)
sys.exit(done.returncode)
