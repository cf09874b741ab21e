#!/bin/bash
cd /testbed
chown dev:dev /testbed/src/platformdirs/macos.py /testbed/src/platformdirs/__pycache__/macos.cpython-311.pyc
chmod 644 /testbed/src/platformdirs/macos.py /testbed/src/platformdirs/__pycache__/macos.cpython-311.pyc
