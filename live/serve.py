"""Open the live page in the browser: ``python live/serve.py FOLDER``, until Ctrl-C.

From the disk it would not run: browsers load modules, workers and WebAssembly from a server only.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import sys
import webbrowser


def main(folder: str) -> None:
    """Serve a folder to this machine alone."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        print(f"The live page: {address} (Ctrl-C ends it)", flush=True)
        webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
