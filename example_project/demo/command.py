"""The command line of the demonstration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from example_project.demo import board, tour
from example_project.demo.site import DemoSite
from example_project.demo.steps import DemoFailed
from scalekit.core.exceptions import ScalekitError
from scalekit.testing.servers import Topology

FOLDER = Path(".demo")  # the servers' files; one demonstration at a time, and gone at its end

DESCRIPTION = """\
Run the photo site on a load balancer, two web servers, a PostgreSQL primary with two streaming
replicas, two shards, a cache, a CDN edge, shared sessions and a job queue with a worker: real
servers, all on this machine, all stopped when you press Ctrl-C."""

EPILOG = """\
make demo                          browse it, and watch which server answers what
make demo ARGS=--tour              a scripted visit that proves every rung, and ends
make demo ARGS="--port 9000"       on another port"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="python -m example_project demo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--tour", action="store_true", help="prove each rung over HTTP, then stop")
    parse.add_argument(
        "--port",
        type=port_number,
        default=None,
        help="port of the load balancer (default: 8000, with --tour 0: any free one)",
    )
    parse.add_argument("--people", type=int, default=24, help="people to make up (default: 24)")
    parse.add_argument("--photos", type=int, default=60, help="photos to share (default: 60)")
    return parse


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - what TCP has
        msg = f"{text!r} is no port: use 1 to 65535, or 0 for any free one"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def main(argv: list[str]) -> int:
    """Run the demonstration; return the exit status."""
    options = parser().parse_args(argv)
    console = Console(highlight=False)
    try:
        with Topology(FOLDER, keep=False) as topology:
            return run(topology, options, console)
    except (ScalekitError, DemoFailed) as error:
        Console(stderr=True, highlight=False).print(f"[red]{escape(str(error))}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        return 130


def run(topology: Topology, options: argparse.Namespace, console: Console) -> int:
    port = (0 if options.tour else 8000) if options.port is None else options.port
    site = DemoSite(topology, port=port)
    site.start(console)
    site.fill(people=options.people, photos=options.photos)
    if options.tour:
        return tour.run(site, console)
    board.show(site, console)
    console.print("\nStopped; nothing is left running.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
