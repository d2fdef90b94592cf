"""Loads one implementation and says what it is, in one line of JSON: python -m conformance.probe SPEC DEVICE."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from conformance.errors import UserError
from conformance.implementations import registry

MARK = "bnconf probe: "


def main(spec: str, device: str) -> None:
    try:
        implementation = registry.load(spec)
        if device not in implementation.devices:
            raise UserError(f"{spec}: runs on {', '.join(implementation.devices)}, not on {device}")
        if device != "cpu":
            implementation.device = device
            implementation.start()
        print("\n" + MARK + json.dumps(asdict(registry.describe(spec))))
    except UserError as error:
        print("\n" + MARK + json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
