#!/bin/bash
cd /testbed
rm /opt/venv/lib/python3.11/site-packages/cffi
/opt/venv/bin/python -m pip install --force-reinstall --no-deps cffi==2.1.1
