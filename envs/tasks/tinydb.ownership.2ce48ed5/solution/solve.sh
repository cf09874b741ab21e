#!/bin/bash
cd /testbed
chown dev:dev /testbed/tinydb/operations.py /testbed/tinydb/__pycache__/operations.cpython-311.pyc
chmod 644 /testbed/tinydb/operations.py /testbed/tinydb/__pycache__/operations.cpython-311.pyc
