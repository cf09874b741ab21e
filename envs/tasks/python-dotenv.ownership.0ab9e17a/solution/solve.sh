#!/bin/bash
cd /testbed
chown dev:dev /testbed/src/dotenv/cli.py /testbed/src/dotenv/__pycache__/cli.cpython-311.pyc
chmod 644 /testbed/src/dotenv/cli.py /testbed/src/dotenv/__pycache__/cli.cpython-311.pyc
