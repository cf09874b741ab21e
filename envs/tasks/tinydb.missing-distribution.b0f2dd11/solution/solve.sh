#!/bin/bash
cd /testbed
/opt/venv/bin/python -m pip install --no-deps pyyaml==6.0.3
